//! A destination's health: counters that workers change at the same time, each change one conditional update.

use domain::Timestamp;
use domain::health::{Health, LastError};
use domain::id::{DestinationId, OrganizationId};

use crate::attributes::{Item, Reader, json, number, text, time};
use crate::expression::{Change, Condition};
use crate::keys::{self, FAILING};
use crate::table::Written;
use crate::{Store, StoreError};

pub(crate) const EPOCH: &str = "epoch";
pub(crate) const STREAK: &str = "n";
/// While people who were told of the streak are to be told of its end.
pub(crate) const ALERTED: &str = "alerted";
pub(crate) const LAST_ALERT: &str = "told";
/// Of the attempt that was counted last: an update that the SDK repeats counts once.
const TOKEN: &str = "tok";
const STREAK_BEGAN: &str = "since";
const LAST_FAILURE: &str = "failed";
const LAST_SUCCESS: &str = "succeeded";
const LAST_ERROR: &str = "error";

impl Store {
    /// A destination's health.
    pub async fn health(&self, destination: DestinationId) -> Result<Health, StoreError> {
        let item = self.get("read a destination's health", &keys::health(destination)).await?;
        read(item.as_ref())
    }

    /// The health of several destinations, in their order.
    pub async fn healths(&self, destinations: &[DestinationId]) -> Result<Vec<Health>, StoreError> {
        let keys: Vec<_> = destinations.iter().map(|id| keys::health(*id)).collect();
        let items = self.get_all("read destinations' health", &keys).await?;
        items.iter().map(|item| read(item.as_ref())).collect()
    }

    /// Counts one failed attempt, which `token` names, unless it is counted already, of an earlier epoch, or a success came after it. Was it
    /// counted?
    pub async fn count_failure(
        &self,
        destination: DestinationId,
        organization: OrganizationId,
        epoch: u32,
        token: &str,
        at: Timestamp,
        error: LastError,
    ) -> Result<bool, StoreError> {
        let mut change = Change::default();
        change.add(STREAK, number(1));
        change.set(TOKEN, text(token)).set(LAST_FAILURE, time(at)).set(LAST_ERROR, json(&error));
        change.set_if_missing(STREAK_BEGAN, time(at));
        change.set(FAILING.pk, text(keys::failing(destination))).set(FAILING.sk, text(keys::failing_sort(organization, destination)));
        of_epoch(change.when(), epoch).differs(TOKEN, text(token)).missing_or_at_most(LAST_SUCCESS, time(at));
        Ok(self.change("count a failure", &keys::health(destination), change).await?.is_done())
    }

    /// Ends the streak with a success, unless a failure or a success came after it or it is of an earlier epoch. Was it ended? Where people were
    /// told of the streak, the monitor goes on looking, to tell them of its end.
    pub async fn end_streak(&self, destination: DestinationId, epoch: u32, at: Timestamp) -> Result<bool, StoreError> {
        let action = "end a streak of failures";
        let key = keys::health(destination);
        let ended = |told: bool| {
            let mut change = Change::default();
            change.set(LAST_SUCCESS, time(at)).remove(STREAK).remove(STREAK_BEGAN);
            if !told {
                change.remove(FAILING.pk).remove(FAILING.sk);
            }
            let condition = of_epoch(change.when(), epoch);
            condition.missing_or_at_most(LAST_FAILURE, time(at)).missing_or_at_most(LAST_SUCCESS, time(at));
            if told {
                condition.exists(ALERTED)
            } else {
                condition.missing(ALERTED)
            };
            change
        };
        match self.change(action, &key, ended(false)).await? {
            Written::Refused(Some(item)) if item.contains_key(ALERTED) => Ok(self.change(action, &key, ended(true)).await?.is_done()),
            written => Ok(written.is_done()),
        }
    }
}

pub(crate) fn no_streak(change: &mut Change) {
    for name in [STREAK, STREAK_BEGAN, FAILING.pk, FAILING.sk] {
        change.remove(name);
    }
}

/// The epoch is still this one. The first has no item until something happens.
pub(crate) fn of_epoch(condition: &mut Condition, epoch: u32) -> &mut Condition {
    if epoch == 0 { condition.missing(EPOCH) } else { condition.equals(EPOCH, number(epoch)) }
}

/// The health in an item; a destination that has none is new.
pub(crate) fn read(item: Option<&Item>) -> Result<Health, StoreError> {
    let Some(item) = item else { return Ok(Health::default()) };
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
    })
}
