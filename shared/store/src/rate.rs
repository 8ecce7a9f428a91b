//! Counts for quotas that all functions share: calls in a window of time, and an organization's
//! requests and deliveries.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue::UpdatedNew;
use domain::Timestamp;
use domain::id::OrganizationId;

use crate::attributes::{Item, Reader, number, time};
use crate::expression::Change;
use crate::keys::{self, TTL};
use crate::table::Written;
use crate::{Store, StoreError};

const COUNT: &str = "n";
/// When the window of the count began.
const START: &str = "at";
const REQUESTS: &str = "requests";
const DELIVERIES: &str = "deliveries";
/// Longer than any window and than the life of any function instance.
const RETENTION: Duration = Duration::from_secs(24 * 3600);
/// How often a count is tried again when others change it at the same time.
const RACES_MAX: usize = 8;

/// The outcome of counting calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The calls were within the limit and were counted.
    Done,
    /// The calls exceeded the limit, and none was counted.
    Over {
        /// When the window ends.
        until: Timestamp,
    },
}

/// A limit on calls in a window of time. A window begins with its first call.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// The name of what is counted.
    pub name: &'a str,
    /// The length of a window.
    pub length: Duration,
    /// The most calls in a window.
    pub limit: u32,
}

/// How many requests and deliveries an organization has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The number of requests.
    pub requests: u64,
    /// The number of deliveries.
    pub deliveries: u64,
}

impl Store {
    /// Counts `calls` calls, all or none.
    pub async fn count_in_window(
        &self,
        window: Window<'_>,
        calls: u32,
        now: Timestamp,
    ) -> Result<Counted, StoreError> {
        const ACTION: &str = "count a call";
        let key = keys::window(window.name);
        let room = window.limit.checked_sub(calls);
        for _ in 0..RACES_MAX {
            let mut more = Change::default();
            more.add(COUNT, number(calls));
            let begun_after = now.minus(window.length);
            let condition = more.when();
            let recent = format!(
                "{} > {}",
                condition.name(START),
                condition.value(time(begun_after))
            );
            condition.and(recent);
            let fits = format!(
                "{} <= {}",
                condition.name(COUNT),
                condition.value(number(room.map_or(-1, i64::from)))
            );
            condition.and(fits);
            let there = match self.change(ACTION, &key, more).await? {
                Written::Done => return Ok(Counted::Done),
                Written::Refused(there) => there,
            };
            let start = there
                .as_ref()
                .map(|item| Reader(item).time(START))
                .transpose()?;
            if let Some(start) = start.filter(|start| *start > begun_after) {
                return Ok(Counted::Over {
                    until: start.plus(window.length),
                });
            }
            if room.is_none() {
                return Ok(Counted::Over {
                    until: now.plus(window.length),
                });
            }
            if self.begin_window(ACTION, window, calls, start, now).await? {
                return Ok(Counted::Done);
            }
        }
        Err(StoreError::contended(ACTION))
    }

    /// Begins a window with these calls, unless another function begins it first.
    async fn begin_window(
        &self,
        action: &'static str,
        window: Window<'_>,
        calls: u32,
        before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut first = Change::default();
        first
            .set(COUNT, number(calls))
            .set(START, time(now))
            .set(TTL, number(now.plus(RETENTION).as_seconds()));
        match before {
            Some(before) => first.when().equals(START, time(before)),
            None => first.when().missing(START),
        };
        Ok(self
            .change(action, &keys::window(window.name), first)
            .await?
            .is_done())
    }

    /// Adds to an organization's usage and returns the total. This costs one write unit.
    pub async fn add_usage(
        &self,
        organization: OrganizationId,
        more: Usage,
        now: Timestamp,
    ) -> Result<Usage, StoreError> {
        const ACTION: &str = "add up an organization's usage";
        let mut change = Change::default();
        change
            .add(REQUESTS, number(more.requests))
            .add(DELIVERIES, number(more.deliveries));
        change.set(TTL, number(now.plus(RETENTION).as_seconds()));
        let call = self
            .table
            .client
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(keys::usage(organization).item()));
        let call = call
            .update_expression(change.update())
            .return_values(UpdatedNew);
        let (_, names, values) = change.rest();
        let call = call
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(values);
        let updated: Item = call
            .send()
            .await
            .map_err(StoreError::of(ACTION))?
            .attributes
            .unwrap_or_default();
        let reader = Reader(&updated);
        Ok(Usage {
            requests: reader.number(REQUESTS)?,
            deliveries: reader.number(DELIVERIES)?,
        })
    }
}
