//! Statistics: a destination's attempts by the hour. One update adds the counts of a worker's
//! batch.
//!
//! | name | what |
//! |---|---|
//! | `ok` | attempts that succeeded |
//! | `f.<reason>` | attempts that failed, by reason |
//! | `l.<bucket>` | attempts by the bucket of their duration |
//! | `et` | the event types that are counted by name |
//! | `s.<type>`, `x.<type>` | attempts of an event type that succeeded, that failed |
//! | `g.<minute>`, `b.<minute>` | attempts of a minute that succeeded, that failed; for destinations with a failure rate (decision 52) |
//!
//! An addition that the SDK repeats after a lost response counts twice. Nothing depends on the
//! exact numbers except the alert of a failure rate.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::id::DestinationId;
use domain::statistics::{Counted, Tally, hour_of};
use domain::{Reason, Timestamp};

use crate::attributes::{Item, Reader, number, text};
use crate::expression::{Change, Condition};
use crate::keys::{self, PK, SK, TTL};
use crate::table::{Table, Written};
use crate::{Store, StoreError, skip_unreadable};

const SUCCEEDED: &str = "ok";
const FAILED: &str = "f.";
const LATENCY: &str = "l.";
const EVENT_TYPES: &str = "et";
const TYPE_SUCCEEDED: &str = "s.";
const TYPE_FAILED: &str = "x.";
const MINUTE_SUCCEEDED: &str = "g.";
const MINUTE_FAILED: &str = "b.";
/// The most event types that are counted by name in an hour, so that an item does not grow without
/// bound. Further ones count as [`OTHER`].
pub(crate) const EVENT_TYPES_MAX: usize = 40;
/// Never the event type of a message, which cannot contain these characters.
const OTHER: &str = "(other)";
/// How long the counters of an hour are kept.
const RETENTION: Duration = Duration::from_secs(400 * 24 * 3600);

/// The attempts of one destination in one hour.
#[derive(Clone, Debug)]
pub(crate) struct Attempts {
    pub(crate) destination: DestinationId,
    /// When the hour began.
    pub(crate) hour: Timestamp,
    pub(crate) tally: Tally,
}

impl Table {
    /// Adds attempts to the counters of their hour.
    pub(crate) async fn count(&self, attempts: &Attempts) -> Result<(), StoreError> {
        let Attempts {
            destination,
            hour,
            tally,
        } = attempts;
        let key = keys::statistics(*destination, *hour);
        let action = "add up attempts";
        let known = match self
            .change(action, &key, addition(*hour, tally, true))
            .await?
        {
            Written::Done => return Ok(()),
            Written::Refused(item) => item.as_ref().map(types_of).unwrap_or_default(),
        };
        let mut folded = Tally {
            event_types: Default::default(),
            ..tally.clone()
        };
        for (event_type, counted) in &tally.event_types {
            let name = if known.contains(event_type) {
                event_type.as_str()
            } else {
                OTHER
            };
            let sum: &mut Counted = folded.event_types.entry(name.to_owned()).or_default();
            sum.succeeded += counted.succeeded;
            sum.failed += counted.failed;
        }
        self.change(action, &key, addition(*hour, &folded, false))
            .await
            .map(drop)
    }
}

impl Store {
    /// Adds a batch's counts at `at`, combined with what other batches count for the same hour.
    pub async fn add_statistics(
        &self,
        destination: DestinationId,
        at: Timestamp,
        tally: &Tally,
    ) -> Result<(), StoreError> {
        self.together
            .count(Attempts {
                destination,
                hour: hour_of(at),
                tally: tally.clone(),
            })
            .await
    }

    /// Returns the counts of the hours that begin between `since` and `until` (exclusive), oldest
    /// first.
    pub async fn statistics(
        &self,
        destination: DestinationId,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(Timestamp, Tally)>, StoreError> {
        if until <= since {
            return Ok(Vec::new());
        }
        let last = Timestamp::from_millis(until.as_millis() - 1);
        let (low, high) = (
            keys::statistics(destination, since),
            keys::statistics(destination, last),
        );
        let mut range = Condition::default();
        range
            .equals(PK, text(low.pk))
            .between(SK, text(low.sk), text(high.sk));
        let mut items = self.query(range).into_paginator().items().send();
        let mut hours = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(StoreError::of("read statistics"))?;
            if let Some(seconds) = skip_unreadable(Reader(&item).parsed::<i64>(SK))? {
                hours.push((Timestamp::from_millis(seconds * 1000), read(&item)));
            }
        }
        Ok(hours)
    }
}

fn addition(hour: Timestamp, tally: &Tally, bounded: bool) -> Change {
    let mut change = Change::default();
    let mut add = |name: &str, count: u64| {
        if count > 0 {
            change.add(name, number(count));
        }
    };
    add(SUCCEEDED, tally.succeeded);
    for (reason, count) in &tally.failed {
        add(&format!("{FAILED}{reason}"), *count);
    }
    for (bucket, count) in &tally.latency.0 {
        add(&format!("{LATENCY}{bucket}"), *count);
    }
    for (event_type, counted) in &tally.event_types {
        add(&format!("{TYPE_SUCCEEDED}{event_type}"), counted.succeeded);
        add(&format!("{TYPE_FAILED}{event_type}"), counted.failed);
    }
    for (minute, counted) in &tally.minutes {
        add(&format!("{MINUTE_SUCCEEDED}{minute}"), counted.succeeded);
        add(&format!("{MINUTE_FAILED}{minute}"), counted.failed);
    }
    change.set(TTL, number(hour.plus(RETENTION).as_seconds()));
    if bounded {
        change.add(
            EVENT_TYPES,
            AttributeValue::Ss(tally.event_types.keys().cloned().collect()),
        );
        let condition = change.when();
        let name = condition.name(EVENT_TYPES);
        let limit = condition.value(number(EVENT_TYPES_MAX));
        condition.and(format!(
            "(attribute_not_exists({name}) OR size({name}) < {limit})"
        ));
    }
    change
}

fn types_of(item: &Item) -> Vec<String> {
    item.get(EVENT_TYPES)
        .and_then(|types| types.as_ss().ok())
        .cloned()
        .unwrap_or_default()
}

/// Reads the counters of an item. Attributes with unknown names are ignored: a later version wrote
/// them.
fn read(item: &Item) -> Tally {
    let mut tally = Tally::default();
    for (name, value) in item {
        let Some(count) = value
            .as_n()
            .ok()
            .and_then(|digits| digits.parse::<u64>().ok())
        else {
            continue;
        };
        if name == SUCCEEDED {
            tally.succeeded = count;
        } else if let Some(word) = name.strip_prefix(FAILED) {
            let reason = Reason::ALL.iter().find(|reason| reason.as_str() == word);
            tally.failed.extend(reason.map(|reason| (*reason, count)));
        } else if let Some(bucket) = name.strip_prefix(LATENCY) {
            tally
                .latency
                .0
                .extend(bucket.parse().ok().map(|bucket| (bucket, count)));
        } else if let Some(event_type) = name.strip_prefix(TYPE_SUCCEEDED) {
            tally
                .event_types
                .entry(event_type.to_owned())
                .or_default()
                .succeeded = count;
        } else if let Some(event_type) = name.strip_prefix(TYPE_FAILED) {
            tally
                .event_types
                .entry(event_type.to_owned())
                .or_default()
                .failed = count;
        } else if let Some(minute) = name
            .strip_prefix(MINUTE_SUCCEEDED)
            .and_then(|minute| minute.parse().ok())
        {
            tally.minutes.entry(minute).or_default().succeeded = count;
        } else if let Some(minute) = name
            .strip_prefix(MINUTE_FAILED)
            .and_then(|minute| minute.parse().ok())
        {
            tally.minutes.entry(minute).or_default().failed = count;
        }
    }
    tally
}
