//! The health of a destination: counters that workers change concurrently, each with one
//! conditional update.

use std::time::Duration;

use domain::Timestamp;
use domain::health::{EndedStreak, Health, LastError};
use domain::id::{DestinationId, OrganizationId};

use crate::attributes::{Item, Reader, json, number, text, time};
use crate::expression::{Change, Condition};
use crate::keys::{self, FAILING};
use crate::table::Written;
use crate::{Store, StoreError, recovery, skip_unreadable};

pub(crate) const EPOCH: &str = "epoch";
pub(crate) const STREAK: &str = "n";
/// Set while the recipients of an alert about the streak have not been notified that it ended.
pub(crate) const ALERTED: &str = "alerted";
pub(crate) const LAST_ALERT: &str = "told";
/// When the failure rate was alerted; removed once it is healthy again.
pub(crate) const RATE_ALERTED: &str = "ra";
/// The time from which attempts count towards the failure rate.
pub(crate) const RATE_SINCE: &str = "rs";
/// The token of the attempt that was counted last, so that an update that the SDK repeats counts
/// once.
const TOKEN: &str = "tok";
pub(crate) const STREAK_BEGAN: &str = "since";
pub(crate) const LAST_FAILURE: &str = "failed";
const LAST_SUCCESS: &str = "succeeded";
const LAST_ERROR: &str = "error";
/// The streak that a success ended last: its failures, when it began, the success before it, and
/// the success that ended it.
const ENDED: &str = "en";
const ENDED_BEGAN: &str = "es";
const ENDED_AFTER: &str = "ef";
const ENDED_AT: &str = "ea";
/// How often ending a streak is tried again when it meets another change.
const RACES_MAX: u32 = 16;
/// The time within which failures are normally counted after their attempts.
const COUNTED_LATE_MAX: Duration = Duration::from_secs(10);

impl Store {
    /// Reads a destination's health.
    pub async fn health(&self, destination: DestinationId) -> Result<Health, StoreError> {
        let item = self
            .get("read a destination's health", &keys::health(destination))
            .await?;
        read(item.as_ref())
    }

    /// Reads the health of several destinations, in their order. An unreadable one is logged,
    /// counted and read as that of a new destination.
    pub async fn healths(&self, destinations: &[DestinationId]) -> Result<Vec<Health>, StoreError> {
        let keys: Vec<_> = destinations.iter().map(|id| keys::health(*id)).collect();
        let items = self.get_all("read destinations' health", &keys).await?;
        items
            .iter()
            .map(|item| Ok(skip_unreadable(read(item.as_ref()))?.unwrap_or_default()))
            .collect()
    }

    /// Counts one failed attempt, which `token` identifies, unless it is counted already or belongs
    /// to an earlier epoch. A failure before a success, or in the same millisecond, belongs to the
    /// streak that this success ended. Returns whether it was counted.
    pub async fn count_failure(
        &self,
        destination: DestinationId,
        organization: OrganizationId,
        epoch: u32,
        token: &str,
        at: Timestamp,
        error: LastError,
    ) -> Result<bool, StoreError> {
        let key = keys::health(destination);
        let mut change = counted(destination, organization, epoch, token);
        change
            .add(STREAK, number(1))
            .set(LAST_FAILURE, time(at))
            .set(LAST_ERROR, json(&error))
            .set_if_missing(STREAK_BEGAN, time(at));
        change.when().missing_or_below(LAST_SUCCESS, time(at));
        let refused = match self.change("count a failure", &key, change).await? {
            Written::Done => return Ok(true),
            Written::Refused(item) => read(item.as_ref())?,
        };
        let of_ended = |ended: &EndedStreak| {
            ended.after.is_none_or(|after| after < at) && at <= ended.ended_at
        };
        let Some(ended) = refused.ended.filter(of_ended) else {
            return Ok(false);
        };
        let mut change = counted(destination, organization, epoch, token);
        change
            .add(ENDED, number(1))
            .set_if_missing(ENDED_BEGAN, time(at));
        change
            .set_if_missing(LAST_FAILURE, time(at))
            .set_if_missing(LAST_ERROR, json(&error));
        change.when().equals(ENDED_AT, time(ended.ended_at));
        Ok(self
            .change("count a failure of a streak that ended", &key, change)
            .await?
            .is_done())
    }

    /// Ends the streak with a success, unless a failure or a success came after it or it belongs to
    /// an earlier epoch. Returns whether it was ended.
    ///
    /// `seen` is the health as the caller read it. The streak is kept as [`Health::ended`]. The
    /// monitor keeps watching the destination if the streak reached `threshold`, if its end has to
    /// be alerted, or if the destination has a failure rate (`rated`).
    pub async fn end_streak(
        &self,
        destination: DestinationId,
        seen: &Health,
        at: Timestamp,
        threshold: u32,
        rated: bool,
    ) -> Result<bool, StoreError> {
        let action = "end a streak of failures";
        let key = keys::health(destination);
        let mut before = seen.clone();
        for _ in 0..RACES_MAX {
            let item = match self
                .change(action, &key, ending(&before, at, threshold, rated))
                .await?
            {
                Written::Done => return Ok(true),
                Written::Refused(item) => item,
            };
            let found = read(item.as_ref())?;
            let is_later = |time: Option<Timestamp>| time.is_some_and(|time| time > at);
            if found.epoch != seen.epoch
                || is_later(found.last_failure_at)
                || is_later(found.last_success_at)
                || found == before
            {
                return Ok(false);
            }
            before = found;
        }
        Err(StoreError::contended(action))
    }
}

/// Returns the part of a change that counting any failure makes: the monitor watches the
/// destination.
fn counted(
    destination: DestinationId,
    organization: OrganizationId,
    epoch: u32,
    token: &str,
) -> Change {
    let mut change = Change::default();
    change.set(TOKEN, text(token));
    change
        .set(FAILING.pk, text(keys::failing(destination)))
        .set(
            FAILING.sk,
            text(keys::failing_sort(organization, destination)),
        );
    of_epoch(change.when(), epoch).differs(TOKEN, text(token));
    change
}

/// Ends the streak of a health that still equals `before`.
fn ending(before: &Health, at: Timestamp, threshold: u32, rated: bool) -> Change {
    let mut change = Change::default();
    change
        .set(LAST_SUCCESS, time(at))
        .remove(STREAK)
        .remove(STREAK_BEGAN);
    let unseen = before
        .ended
        .as_ref()
        .is_some_and(|ended| ended.failures >= threshold);
    let reached = before.consecutive_failures >= threshold && !before.is_streak_alerted();
    // Without a streak, the last ended one is kept for failures that are counted late.
    let is_recent = before
        .ended
        .as_ref()
        .is_some_and(|ended| at.since(ended.ended_at) < COUNTED_LATE_MAX);
    if !unseen && !before.is_streak_alerted() && (before.consecutive_failures > 0 || !is_recent) {
        change
            .set(ENDED, number(before.consecutive_failures))
            .set(ENDED_AT, time(at));
        change.set_or_remove(ENDED_BEGAN, before.first_failure_at.map(time));
        change.set_or_remove(ENDED_AFTER, before.last_success_at.map(time));
    }
    if before.alerted_at.is_none()
        && !unseen
        && !reached
        && !rated
        && before.rate_alerted_at.is_none()
    {
        change.remove(FAILING.pk).remove(FAILING.sk);
    }
    let condition = of_epoch(change.when(), before.epoch);
    condition
        .missing_or_at_most(LAST_FAILURE, time(at))
        .missing_or_at_most(LAST_SUCCESS, time(at));
    let streak = Some(before.consecutive_failures).filter(|streak| *streak > 0);
    condition
        .is(STREAK, streak.map(number))
        .is(ALERTED, before.alerted_at.map(time));
    ended_as_in(condition, before);
    change
}

/// Requires that the streak that ended last is still that of `health`, with as many failures.
pub(crate) fn ended_as_in(condition: &mut Condition, health: &Health) {
    condition.is(
        ENDED_AT,
        health.ended.as_ref().map(|ended| time(ended.ended_at)),
    );
    condition.is(
        ENDED,
        health.ended.as_ref().map(|ended| number(ended.failures)),
    );
}

/// Forgets the streak that ended last, which needs no further action.
pub(crate) fn forget_ended(change: &mut Change) {
    for name in [ENDED, ENDED_BEGAN, ENDED_AFTER, ENDED_AT] {
        change.remove(name);
    }
}

pub(crate) fn no_streak(change: &mut Change) {
    for name in [STREAK, STREAK_BEGAN, FAILING.pk, FAILING.sk] {
        change.remove(name);
    }
}

/// Requires that the epoch is still this one. Epoch 0 has no attribute.
pub(crate) fn of_epoch(condition: &mut Condition, epoch: u32) -> &mut Condition {
    if epoch == 0 {
        condition.missing(EPOCH)
    } else {
        condition.equals(EPOCH, number(epoch))
    }
}

/// Reads the health in an item; without an item it is that of a new destination.
pub(crate) fn read(item: Option<&Item>) -> Result<Health, StoreError> {
    let Some(item) = item else {
        return Ok(Health::default());
    };
    let reader = Reader(item);
    Ok(Health {
        epoch: reader.number_opt(EPOCH)?.unwrap_or(0),
        consecutive_failures: reader.number_opt(STREAK)?.unwrap_or(0),
        first_failure_at: reader.time_opt(STREAK_BEGAN)?,
        last_failure_at: reader.time_opt(LAST_FAILURE)?,
        last_success_at: reader.time_opt(LAST_SUCCESS)?,
        last_error: reader.json_opt(LAST_ERROR)?,
        alerted_at: reader.time_opt(ALERTED)?,
        last_alert_at: reader.time_opt(LAST_ALERT)?,
        ended: read_ended(reader)?,
        rate_alerted_at: reader.time_opt(RATE_ALERTED)?,
        rate_since: reader.time_opt(RATE_SINCE)?,
        recovery: recovery::read(reader)?,
    })
}

fn read_ended(from: Reader<'_>) -> Result<Option<EndedStreak>, StoreError> {
    let Some(ended_at) = from.time_opt(ENDED_AT)? else {
        return Ok(None);
    };
    Ok(Some(EndedStreak {
        failures: from.number_opt(ENDED)?.unwrap_or(0),
        began_at: from.time_opt(ENDED_BEGAN)?,
        after: from.time_opt(ENDED_AFTER)?,
        ended_at,
    }))
}
