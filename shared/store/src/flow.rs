//! The flow of deliveries to a destination: pausing and resuming, and the turns and slots of a
//! destination with limits.
//!
//! While deliveries may wait for a destination, the monitor watches it by an entry in the `failing`
//! index. The entry is written together with whatever makes deliveries wait or releases them, so
//! the monitor completes a release that is interrupted.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnValue::UpdatedNew;
use domain::Timestamp;
use domain::audit::AuditEvent;
use domain::destination::Destination;
use domain::id::{DeliveryId, DestinationId};

use crate::attributes::{Item, Reader, number, text, time};
use crate::document::{Saved, at_revision};
use crate::expression::{Change, Condition};
use crate::keys::{self, FAILING, PK, TTL};
use crate::table::Written;
use crate::transaction::Transacted;
use crate::{Store, StoreError, audit, destination, routes};

/// When the next turn is, in epoch microseconds.
const NEXT_TURN: &str = "turn";
/// When the next slot is expected to become free, in epoch microseconds.
const NEXT_SLOT: &str = "place";
/// When the next attempt may start, in epoch microseconds.
const NEXT_START: &str = "start";
/// How long recent attempts took, in milliseconds.
const RECENT_DURATION: &str = "took";
/// Until when each slot is taken: `p0`, `p1`, …
const SLOT_PREFIX: &str = "p";
/// Longer than any wait for a turn during which the item is not written.
const RETENTION: Duration = Duration::from_secs(40 * 24 * 3600);
/// Of a watched destination: its revision when it was paused or resumed.
const REVISION: &str = "rev";
/// Of a watched destination: when its limits changed, until every waiting delivery has a new turn.
const RESET: &str = "reset";
/// The last delivery that was released since the limits changed.
const RELEASED: &str = "released";
/// How long attempts took, in milliseconds, when the queue for a slot began.
const LINE: &str = "line";
/// The most slots that a destination can have.
const SLOTS_MAX: u32 = 100;
/// The queue for a slot is rebuilt when attempts have become this many times faster since it began
/// …
const LINE_SPEEDUP: u64 = 4;
/// … and it is longer than this.
const LINE_MIN: Duration = Duration::from_secs(60);
/// An attempt may start this much before the time that the limit allows, or half the time between
/// two starts if that is longer, so that a late attempt does not delay those after it.
const START_SLACK_MIN: Duration = Duration::from_millis(50);
/// How far ahead a start is given at most.
const START_AHEAD_MAX: Duration = Duration::from_secs(1);
/// How often a change is tried again when it meets another one.
const RACES_MAX: usize = 16;
/// The expected duration of an attempt before the first one was made. A short one, because a
/// delivery that comes too early looks for a slot again, while a slot stays unused until a
/// delivery comes.
const ASSUMED_DURATION: Duration = Duration::from_millis(200);

/// A slot at a destination that one attempt occupies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenSlot {
    number: u32,
    /// How many slots the destination has.
    slots: u32,
    until: Timestamp,
    /// How long recent attempts took, in milliseconds.
    took_ms: Option<u64>,
    /// How long attempts took, in milliseconds, when the queue began, and how much of the queue is
    /// left.
    line: Option<(u64, Duration)>,
}

impl TakenSlot {
    /// Returns how many slots the destination has.
    #[must_use]
    pub fn total(self) -> u32 {
        self.slots
    }
}

/// What an attempt asks for at a destination that limits concurrent attempts.
#[derive(Clone, Copy, Debug)]
pub struct SlotRequest {
    /// How many attempts may run at once.
    pub slots: u32,
    /// When the slot becomes free if it is not left before.
    pub until: Timestamp,
    /// A random number that decides which of several free slots is taken.
    pub first: u32,
}

/// A series of times, each a step after the one before it.
struct Series {
    action: &'static str,
    key: keys::Key,
    /// The attribute with the next time.
    name: &'static str,
    /// The next time if the series is idle.
    from: Timestamp,
    /// The latest time to give.
    until: Option<Timestamp>,
}

/// A change of a destination's limits, after which waiting deliveries need new turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// When the limits changed.
    pub at: Timestamp,
    /// The last delivery that was released since then.
    pub released: Option<DeliveryId>,
}

impl Store {
    /// Saves a destination that was paused or resumed, whose revision is already raised. The
    /// monitor watches it from then on.
    pub async fn save_flow(
        &self,
        destination: &Destination,
        expected_revision: u64,
        event: &AuditEvent,
    ) -> Result<Saved, StoreError> {
        let retention_days = self
            .audit_retention_days(destination.organization_id)
            .await?;
        let transaction = self
            .transaction()
            .put(
                destination::item(destination),
                at_revision(expected_revision),
            )
            .change(
                &keys::routes(destination.organization_id),
                routes::saved(destination),
            )
            .put(audit::item(event, retention_days), Condition::default())
            .change(&keys::waiting(destination.id), watched(destination));
        match self
            .transact("pause or resume a destination", transaction)
            .await?
        {
            Transacted::Done => Ok(Saved::Done),
            Transacted::Refused { .. } => Ok(Saved::Conflict),
        }
    }

    /// Saves a destination whose limits have changed, as [`Self::save_destination`] does. In the
    /// same transaction, voids the turns that were given, and makes the monitor release what waits
    /// for one.
    pub async fn save_limits(
        &self,
        destination: &Destination,
        expected_revision: u64,
        event: &AuditEvent,
    ) -> Result<Saved, StoreError> {
        let (id, now) = (destination.id, destination.updated_at);
        let limits = keys::limits(id);
        if self.get("read turns", &limits).await?.is_none() {
            return self
                .save_destination(destination, expected_revision, event)
                .await;
        }
        let mut voided = voided_turns();
        voided.set(TTL, number(now.plus(RETENTION).as_seconds()));
        let changes = [
            (limits, voided),
            (keys::waiting(id), watched_for_reset(destination, now)),
        ];
        let saved = self
            .save_destination_with(destination, expected_revision, event, &changes)
            .await?;
        if saved == Saved::Done
            && let Err(error) = self.reset_starts(id, now).await
        {
            tracing::warn!(
                error = %domain::chain(&error),
                destination = %id,
                "failed to reset the starts of a destination; the next attempt starts when the \
                 earlier limits allow it"
            );
        }
        Ok(saved)
    }

    /// Voids the turns that were given, and makes the monitor release what waits for one. Does
    /// nothing for a destination that gave none.
    pub async fn reset_turns(
        &self,
        destination: &Destination,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut change = voided_turns();
        change.when().exists(PK);
        if !self
            .change(
                "reset the turns of a destination",
                &keys::limits(destination.id),
                change,
            )
            .await?
            .is_done()
        {
            return Ok(());
        }
        self.reset_starts(destination.id, now).await?;
        self.change(
            "watch what waits",
            &keys::waiting(destination.id),
            watched_for_reset(destination, now),
        )
        .await
        .map(drop)
    }

    /// Allows the next attempt to start as soon as all starts that were given have passed.
    async fn reset_starts(
        &self,
        destination: DestinationId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // Starts that were given are at most this far ahead, and stay valid.
        let latest = number(now.plus(START_AHEAD_MAX).as_millis().saturating_mul(1000));
        let mut starts = Change::default();
        starts.set(NEXT_START, latest.clone());
        let when = starts.when();
        let is_later = format!("{} > {}", when.name(NEXT_START), when.value(latest));
        when.and(is_later);
        self.change(
            "reset the starts of a destination",
            &keys::starts(destination),
            starts,
        )
        .await
        .map(drop)
    }

    /// Returns the reset of turns whose release is not complete, if there is one.
    pub async fn turns_reset(
        &self,
        destination: DestinationId,
    ) -> Result<Option<Reset>, StoreError> {
        let Some(item) = self
            .get("read what waits", &keys::waiting(destination))
            .await?
        else {
            return Ok(None);
        };
        let from = Reader(&item);
        let released = from
            .text_opt(RELEASED)?
            .map(|id| id.parse::<DeliveryId>())
            .transpose();
        let released =
            released.map_err(|_| from.corrupt(format!("{RELEASED} is not a delivery id")))?;
        Ok(from.time_opt(RESET)?.map(|at| Reset { at, released }))
    }

    /// Records how far the release after a reset has come; `None` completes it. A later reset
    /// starts again.
    pub async fn keep_release(
        &self,
        destination: DestinationId,
        at: Timestamp,
        released: Option<DeliveryId>,
    ) -> Result<(), StoreError> {
        let mut change = Change::default();
        match released {
            Some(released) => change.set(RELEASED, text(released.to_string())),
            None => change.remove(RESET).remove(RELEASED),
        };
        change.when().equals(RESET, time(at));
        self.change(
            "record how far turns are released",
            &keys::waiting(destination),
            change,
        )
        .await
        .map(drop)
    }

    /// Stops watching a destination that nothing waits for, as of this revision. A later pause or
    /// reset stays watched.
    pub async fn unwatch_waiting(
        &self,
        destination: DestinationId,
        revision: u64,
    ) -> Result<(), StoreError> {
        let mut change = Change::default();
        change.remove(FAILING.pk).remove(FAILING.sk);
        change
            .when()
            .exists(PK)
            .missing_or_at_most(REVISION, number(revision))
            .missing(RESET);
        self.change(
            "stop watching what waits",
            &keys::waiting(destination),
            change,
        )
        .await
        .map(drop)
    }

    /// Stops watching a destination that takes no more deliveries, as of this revision. Its waiting
    /// deliveries are skipped.
    pub async fn forget_waiting(
        &self,
        destination: DestinationId,
        revision: u64,
    ) -> Result<(), StoreError> {
        let mut change = Change::default();
        change
            .remove(FAILING.pk)
            .remove(FAILING.sk)
            .remove(RESET)
            .remove(RELEASED);
        change
            .when()
            .exists(PK)
            .missing_or_at_most(REVISION, number(revision));
        self.change(
            "stop watching what waits",
            &keys::waiting(destination),
            change,
        )
        .await
        .map(drop)
    }

    /// Frees every slot of a destination. Only valid when no attempt can be running, because the
    /// only process that makes attempts has just started.
    pub async fn free_slots(&self, destination: DestinationId) -> Result<(), StoreError> {
        let mut change = Change::default();
        for number in 0..SLOTS_MAX {
            change.remove(&name_of(number));
        }
        change.when().exists(PK);
        self.change("free slots", &keys::limits(destination), change)
            .await
            .map(drop)
    }

    /// Returns the next turn, which is `step` after the previous one and no earlier than `now`.
    pub async fn next_turn(
        &self,
        destination: DestinationId,
        now: Timestamp,
        step: Duration,
    ) -> Result<Timestamp, StoreError> {
        let action = "give a turn";
        let series = Series {
            action,
            key: keys::limits(destination),
            name: NEXT_TURN,
            from: now,
            until: None,
        };
        Ok(self.advance(series, now, step, None).await?.unwrap_or(now))
    }

    /// Returns when an attempt may start, which is on average `step` after the start before it and
    /// no earlier than `now`. Returns `None`, and gives nothing away, if that is more than a second
    /// later than `now`.
    pub async fn take_start(
        &self,
        destination: DestinationId,
        now: Timestamp,
        step: Duration,
    ) -> Result<Option<Timestamp>, StoreError> {
        let series = Series {
            action: "start an attempt",
            key: keys::starts(destination),
            name: NEXT_START,
            from: now.minus((step / 2).max(START_SLACK_MIN)),
            until: Some(now.plus(START_AHEAD_MAX)),
        };
        Ok(self
            .advance(series, now, step, None)
            .await?
            .map(|at| at.max(now)))
    }

    /// Estimates when a slot becomes free, from how long recent attempts took and how many
    /// deliveries wait already.
    pub async fn expected_slot(
        &self,
        destination: DestinationId,
        now: Timestamp,
        slots: u32,
    ) -> Result<Timestamp, StoreError> {
        let key = keys::limits(destination);
        let item = self.get("read what attempts take", &key).await?;
        let took = item
            .as_ref()
            .map(|item| Reader(item).number_opt::<u64>(RECENT_DURATION))
            .transpose()?
            .flatten();
        let took = took.map_or(ASSUMED_DURATION, Duration::from_millis);
        let step = took / slots.max(1);
        let line = (LINE, number(took.as_millis()));
        let series = Series {
            action: "expect a slot",
            key,
            name: NEXT_SLOT,
            from: now,
            until: None,
        };
        let at = self
            .advance(series, now, step, Some(line))
            .await?
            .unwrap_or(now);
        // No slot has become free yet, so the first that waits waits for one attempt.
        Ok(at.plus(step))
    }

    /// Takes a slot. Returns `None` if as many as `request.slots` are taken.
    pub async fn take_slot(
        &self,
        destination: DestinationId,
        now: Timestamp,
        request: SlotRequest,
    ) -> Result<Option<TakenSlot>, StoreError> {
        const ACTION: &str = "take a slot";
        let key = keys::limits(destination);
        let SlotRequest {
            slots,
            until,
            first,
        } = request;
        for _ in 0..RACES_MAX {
            let item = self.get(ACTION, &key).await?.unwrap_or_default();
            let from = Reader(&item);
            let Some(slot) = find_free_slot(&from, now, slots, first)? else {
                return Ok(None);
            };
            let mut change = Change::default();
            change
                .set(&name_of(slot), number(until.as_millis()))
                .set(TTL, number(now.plus(RETENTION).as_seconds()));
            change
                .when()
                .missing_or_at_most(&name_of(slot), number(now.as_millis()));
            if self.change(ACTION, &key, change).await?.is_done() {
                let ends_at = from
                    .number_opt::<i64>(NEXT_SLOT)?
                    .map(|micros| Timestamp::from_millis(micros / 1000));
                let line = from.number_opt(LINE)?.zip(ends_at.map(|at| at.since(now)));
                return Ok(Some(TakenSlot {
                    number: slot,
                    slots,
                    until,
                    took_ms: from.number_opt(RECENT_DURATION)?,
                    line,
                }));
            }
        }
        Ok(None)
    }

    /// Leaves a slot after an attempt that took `took`, or after none was made. If attempts have
    /// become much faster, the deliveries that wait for a slot get new expected times.
    pub async fn leave_slot(
        &self,
        destination: &Destination,
        slot: TakenSlot,
        took: Option<Duration>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let took_ms = took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        // A moving average, because a single quick or slow attempt says little.
        let took_ms = took_ms.map(|took| {
            slot.took_ms
                .map_or(took, |before| (3 * before).saturating_add(took) / 4)
        });
        let mut change = Change::default();
        let name = name_of(slot.number);
        change.remove(&name);
        if let Some(took_ms) = took_ms {
            change.set(RECENT_DURATION, number(took_ms));
        }
        change.when().equals(&name, number(slot.until.as_millis()));
        self.change("leave a slot", &keys::limits(destination.id), change)
            .await?;
        match slot.line.zip(took_ms) {
            Some(((began_ms, left), took_ms))
                if left > LINE_MIN && took_ms.saturating_mul(LINE_SPEEDUP) < began_ms =>
            {
                self.reset_turns(destination, now).await
            }
            _ => Ok(()),
        }
    }

    /// Moves the next time of a series forward by `step`; in an idle series, that time is
    /// `series.from`, and `at_first` is set too. Returns the time before the change, or `None` if
    /// it is later than `series.until`.
    async fn advance(
        &self,
        series: Series,
        now: Timestamp,
        step: Duration,
        at_first: Option<(&str, AttributeValue)>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let Series {
            action,
            key,
            name,
            from,
            until,
        } = series;
        let step = i64::try_from(step.as_micros()).unwrap_or(i64::MAX).max(1);
        let micros = |at: Timestamp| at.as_millis().saturating_mul(1000);
        let until = until.map_or(i64::MAX, micros);
        let ttl = || number(now.plus(RETENTION).as_seconds());
        for _ in 0..RACES_MAX {
            let mut later = Change::default();
            later.add(name, number(step)).set(TTL, ttl());
            let when = later.when();
            let name_of_it = when.name(name);
            let is_near = format!(
                "{name_of_it} > {} AND {name_of_it} <= {}",
                when.value(number(micros(from))),
                when.value(number(until))
            );
            when.and(is_near);
            if let Some(after) = self.updated(action, &key, later, name).await? {
                return Ok(Some(Timestamp::from_millis((after - step) / 1000)));
            }
            let mut first = Change::default();
            first.set(name, number(micros(from) + step)).set(TTL, ttl());
            if let Some((name, value)) = &at_first {
                first.set(name, value.clone());
            }
            first.when().missing_or_at_most(name, number(micros(from)));
            match self.change(action, &key, first).await? {
                Written::Done => return Ok(Some(from)),
                Written::Refused(there) => {
                    let next = there
                        .as_ref()
                        .map(|item| Reader(item).number_opt::<i64>(name))
                        .transpose()?;
                    if next.flatten().is_some_and(|next| next > until) {
                        return Ok(None);
                    }
                }
            }
        }
        Err(StoreError::contended(action))
    }

    /// Makes a change and returns the new value of the number `name`; `None` if the condition did
    /// not hold.
    async fn updated(
        &self,
        action: &'static str,
        key: &keys::Key,
        change: Change,
        name: &str,
    ) -> Result<Option<i64>, StoreError> {
        let call = self
            .table
            .client
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(key.item()));
        let call = call
            .update_expression(change.update())
            .return_values(UpdatedNew);
        let (condition, names, values) = change.rest();
        let call = call
            .set_condition_expression(condition)
            .set_expression_attribute_names(Some(names));
        match call.set_expression_attribute_values(values).send().await {
            Ok(answer) => {
                let item: Item = answer.attributes.unwrap_or_default();
                Reader(&item).number(name).map(Some)
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(None)
            }
            Err(error) => Err(StoreError::of(action)(error)),
        }
    }
}

/// Returns a free slot if fewer than `slots` are taken: the one after `first` free ones.
/// Attempts that started under a higher limit count, too, whatever their slot.
fn find_free_slot(
    from: &Reader<'_>,
    now: Timestamp,
    slots: u32,
    first: u32,
) -> Result<Option<u32>, StoreError> {
    let (mut taken, mut free) = (0, Vec::new());
    for slot in 0..SLOTS_MAX {
        let until = from.time_opt(&name_of(slot))?;
        if until.is_some_and(|until| until > now) {
            taken += 1;
        } else if slot < slots {
            free.push(slot);
        }
    }
    let nth = usize::try_from(first).unwrap_or_default() % free.len().max(1);
    Ok(free.get(nth).copied().filter(|_| taken < slots))
}

fn name_of(slot: u32) -> String {
    format!("{SLOT_PREFIX}{slot}")
}

/// Voids the turns and the expectations of slots that were given.
fn voided_turns() -> Change {
    let mut change = Change::default();
    change.remove(NEXT_TURN).remove(NEXT_SLOT).remove(LINE);
    change
}

/// Makes the monitor release what waits for a destination whose turns are void since `now`.
fn watched_for_reset(destination: &Destination, now: Timestamp) -> Change {
    let mut change = watched(destination);
    change.set(RESET, time(now)).remove(RELEASED);
    change
}

/// Makes the monitor watch what waits for a destination.
fn watched(destination: &Destination) -> Change {
    let mut change = Change::default();
    change.set(FAILING.pk, text(keys::failing(destination.id)));
    change.set(
        FAILING.sk,
        text(keys::waiting_sort(
            destination.organization_id,
            destination.id,
        )),
    );
    change.set(REVISION, number(destination.revision()));
    change
}
