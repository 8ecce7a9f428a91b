//! Alerts. Each alert is written in one transaction with the change that it reports, and stays in
//! the index of what the monitor watches until it is announced. When several monitors run, exactly
//! one makes the change; the next one announces what an interrupted monitor did not.

use std::time::Duration;

use domain::alert::Alert;
use domain::audit::AuditEvent;
use domain::destination::Destination;
use domain::health::Health;
use domain::id::{AlertId, DestinationId, OrganizationId};
use domain::recovery::Recovery;

use crate::attributes::{Item, Put, Reader, number, text, time};
use crate::document::{self, Saved, at_revision};
use crate::expression::{Change, Condition};
use crate::health::{
    ALERTED, EPOCH, LAST_ALERT, LAST_FAILURE, RATE_ALERTED, RATE_SINCE, STREAK, ended_as_in,
    forget_ended, no_streak, of_epoch,
};
use crate::keys::{self, FAILING, PK, TTL, TroubleKind};
use crate::tally::Within;
use crate::transaction::{Transacted, Transaction};
use crate::unreadable::readable;
use crate::{Job, Page, Store, StoreError, audit, destination, recovery, routes};

/// How long an alert is kept.
const RETENTION: Duration = Duration::from_secs(400 * 24 * 3600);

/// An entry of the index that the monitor watches.
#[derive(Clone, Debug, PartialEq)]
pub enum Watched {
    /// A destination that fails, has been alerted about, or takes no more deliveries while some
    /// still wait.
    Destination(OrganizationId, DestinationId),
    /// A destination whose deliveries may be waiting.
    Waiting(OrganizationId, DestinationId),
    /// An alert that has not been announced.
    Alert(Box<Alert>),
}

impl Store {
    /// Reads one partition of what the monitor watches. `partition` is below
    /// [`crate::FAILING_PARTITIONS`].
    pub async fn watched(&self, partition: u8) -> Result<Vec<Watched>, StoreError> {
        let mut condition = Condition::default();
        condition.equals(FAILING.pk, text(keys::failing_partition(partition)));
        let mut items = self
            .query(condition)
            .index_name(FAILING.name)
            .into_paginator()
            .items()
            .send();
        let (mut watched, mut alerts) = (Vec::new(), Vec::new());
        while let Some(item) = items.next().await {
            let item = item.map_err(StoreError::of("read what is watched"))?;
            let from = Reader(&item);
            let sort = from.text(FAILING.sk)?;
            if let Some((organization, id)) = keys::waiting_of(sort) {
                watched.push(Watched::Waiting(organization, id));
            } else if let Some((organization, id)) = keys::failing_of(sort) {
                watched.push(Watched::Destination(organization, id));
            } else {
                alerts.extend(keys::Key::of(&item));
            }
        }
        // The index is eventually consistent; the table says which alerts are still unannounced.
        let items = self.get_all("read alerts", &alerts).await?;
        let unannounced = items
            .iter()
            .flatten()
            .filter(|item| item.contains_key(FAILING.pk));
        let alerts = readable(unannounced.map(document::read::<Alert>))?;
        watched.extend(
            alerts
                .into_iter()
                .map(|alert| Watched::Alert(Box::new(alert))),
        );
        Ok(watched)
    }

    /// Writes the alert that a streak reached the threshold, unless another monitor wrote it or the
    /// streak has ended since. Returns whether it was written.
    pub async fn alert(
        &self,
        health: &Health,
        threshold: u32,
        alert: &Alert,
    ) -> Result<bool, StoreError> {
        let mut change = Change::default();
        change
            .set(ALERTED, time(alert.occurred_at))
            .set(LAST_ALERT, time(alert.occurred_at));
        forget_ended(&mut change);
        let condition =
            of_epoch(change.when(), health.epoch).is(LAST_ALERT, health.last_alert_at.map(time));
        at_least(condition, threshold);
        self.write_alert("alert about a destination", change, alert)
            .await
    }

    /// Writes an alert about a failure rate, unless another monitor did. Returns whether it was
    /// written.
    pub async fn alert_rate(&self, health: &Health, alert: &Alert) -> Result<bool, StoreError> {
        let mut change = Change::default();
        change
            .set(RATE_ALERTED, time(alert.occurred_at))
            .set(LAST_ALERT, time(alert.occurred_at));
        of_epoch(change.when(), health.epoch)
            .is(LAST_ALERT, health.last_alert_at.map(time))
            .missing(RATE_ALERTED);
        self.write_alert("alert about a failure rate", change, alert)
            .await
    }

    /// Writes the alert about a streak that reached a threshold and has ended, unless another
    /// monitor did. The recovery is alerted next. Returns whether it was written.
    pub async fn alert_ended(&self, health: &Health, alert: &Alert) -> Result<bool, StoreError> {
        let mut change = Change::default();
        change
            .set(ALERTED, time(alert.occurred_at))
            .set(LAST_ALERT, time(alert.occurred_at));
        forget_ended(&mut change);
        let condition =
            of_epoch(change.when(), health.epoch).is(LAST_ALERT, health.last_alert_at.map(time));
        ended_as_in(condition, health);
        self.write_alert("alert about a streak that ended", change, alert)
            .await
    }

    /// Forgets a streak that has ended and needs no alert.
    pub async fn forget_ended(
        &self,
        destination: DestinationId,
        health: &Health,
    ) -> Result<(), StoreError> {
        let mut change = Change::default();
        forget_ended(&mut change);
        ended_as_in(of_epoch(change.when(), health.epoch), health);
        self.change(
            "forget a streak that ended",
            &keys::health(destination),
            change,
        )
        .await
        .map(drop)
    }

    /// Writes the alert that a destination works again, unless another monitor did or the
    /// destination has failed since. Returns whether it was written. If the destination has a
    /// failure rate (`rated`), the rate is counted from now on and the monitor keeps watching the
    /// destination.
    pub async fn write_recovery_alert(
        &self,
        health: &Health,
        alert: &Alert,
        rated: bool,
    ) -> Result<bool, StoreError> {
        let mut change = Change::default();
        change.remove(ALERTED).remove(RATE_ALERTED);
        if rated {
            change.set(RATE_SINCE, time(alert.occurred_at));
        } else if health.ended.is_none() {
            // A streak that has ended since may still need an alert, so the monitor looks once
            // more.
            change.remove(FAILING.pk).remove(FAILING.sk);
        }
        let condition = of_epoch(change.when(), health.epoch).missing(STREAK);
        condition
            .is(ALERTED, health.alerted_at.map(time))
            .is(RATE_ALERTED, health.rate_alerted_at.map(time));
        self.write_alert("record that a destination recovered", change, alert)
            .await
    }

    async fn write_alert(
        &self,
        action: &'static str,
        change: Change,
        alert: &Alert,
    ) -> Result<bool, StoreError> {
        let health = keys::health(alert.destination_id);
        let transaction = self
            .transaction()
            .change(&health, change)
            .put(unannounced(alert), Condition::default());
        Ok(matches!(
            self.transact(action, transaction).await?,
            Transacted::Done
        ))
    }

    /// Disables a destination whose streak reached `threshold`. Writes health, destination, routes,
    /// audit event and alert in one transaction. `recovery` says how Waybill will try to enable it
    /// again; `None` means that it will not.
    pub async fn disable_failing(
        &self,
        health: &Health,
        threshold: u32,
        disabled: &Destination,
        recovery: Option<&Recovery>,
        event: &AuditEvent,
        alert: &Alert,
    ) -> Result<bool, StoreError> {
        let mut change = Change::default();
        change.set(ALERTED, time(alert.occurred_at));
        match recovery {
            Some(recovery) => recovery::put(&mut change, recovery),
            None => recovery::forget(&mut change),
        }
        at_least(of_epoch(change.when(), health.epoch), threshold);
        let saved = self
            .switched(disabled, disabled.revision() - 1, event, alert, change)
            .await?;
        Ok(saved == Saved::Done)
    }

    /// Enables or disables a destination on request. Enabling starts a new epoch without a streak
    /// or an alert. Disabling makes the monitor watch the destination until no delivery waits for
    /// it.
    pub async fn switch_destination(
        &self,
        destination: &Destination,
        expected_revision: u64,
        event: &AuditEvent,
        alert: &Alert,
    ) -> Result<Saved, StoreError> {
        let change = health_after_switch(destination);
        self.switched(destination, expected_revision, event, alert, change)
            .await
    }

    /// Enables a destination as [`Self::switch_destination`] does, and saves the job that replays
    /// what it missed in the same transaction. Returns `None`, and changes nothing, if the
    /// organization has reached its limit of unfinished jobs.
    pub async fn enable_with_replay(
        &self,
        destination: &Destination,
        expected_revision: u64,
        event: &AuditEvent,
        alert: &Alert,
        job: &Job,
    ) -> Result<Option<Saved>, StoreError> {
        let retention_days = self
            .audit_retention_days(destination.organization_id)
            .await?;
        let switching = || {
            self.switching(
                destination,
                expected_revision,
                event,
                alert,
                health_after_switch(destination),
                retention_days,
            )
        };
        let enabled = self
            .transact_with_job("enable a destination with a replay", job, switching)
            .await?;
        Ok(match enabled {
            Within::Done => Some(Saved::Done),
            Within::Over => None,
            Within::Refused => Some(Saved::Conflict),
        })
    }

    async fn switched(
        &self,
        destination: &Destination,
        expected_revision: u64,
        event: &AuditEvent,
        alert: &Alert,
        health: Change,
    ) -> Result<Saved, StoreError> {
        let retention_days = self
            .audit_retention_days(destination.organization_id)
            .await?;
        let transaction = self.switching(
            destination,
            expected_revision,
            event,
            alert,
            health,
            retention_days,
        );
        match self.transact("switch a destination", transaction).await? {
            Transacted::Done => Ok(Saved::Done),
            Transacted::Refused { .. } => Ok(Saved::Conflict),
        }
    }

    /// Returns the writes that enable or disable a destination.
    pub(crate) fn switching(
        &self,
        destination: &Destination,
        expected_revision: u64,
        event: &AuditEvent,
        alert: &Alert,
        health: Change,
        retention_days: u32,
    ) -> Transaction<'_> {
        self.transaction()
            .put(
                destination::item(destination),
                at_revision(expected_revision),
            )
            .change(
                &keys::routes(destination.organization_id),
                routes::saved(destination),
            )
            .change(&keys::health(destination.id), health)
            .put(audit::item(event, retention_days), Condition::default())
            .put(unannounced(alert), Condition::default())
    }

    /// Makes the monitor watch a destination that takes no more deliveries, until none waits for
    /// it.
    pub async fn watch_destination(&self, destination: &Destination) -> Result<(), StoreError> {
        let mut change = Change::default();
        watch(&mut change, destination);
        self.change("watch a destination", &keys::health(destination.id), change)
            .await
            .map(drop)
    }

    /// Stops the monitor from watching a destination, unless it has failed since its health was
    /// read.
    pub async fn unwatch_destination(
        &self,
        destination: DestinationId,
        health: &Health,
    ) -> Result<(), StoreError> {
        let mut change = Change::default();
        change
            .remove(FAILING.pk)
            .remove(FAILING.sk)
            .remove(RATE_ALERTED);
        let condition = of_epoch(change.when(), health.epoch)
            .is(LAST_FAILURE, health.last_failure_at.map(time));
        condition.is(
            STREAK,
            Some(health.consecutive_failures)
                .filter(|streak| *streak > 0)
                .map(number),
        );
        ended_as_in(condition, health);
        self.change(
            "look away from a destination",
            &keys::health(destination),
            change,
        )
        .await
        .map(drop)
    }

    /// Records that an alert was announced, or that it has no recipients.
    pub async fn announced(&self, alert: &Alert) -> Result<(), StoreError> {
        self.put("keep an alert", item(alert), Condition::default())
            .await
            .map(drop)
    }

    /// Lists an organization's alerts that follow `after`, newest first.
    pub async fn alerts_page(
        &self,
        organization: OrganizationId,
        after: Option<AlertId>,
        limit: u32,
    ) -> Result<Page<Alert>, StoreError> {
        let mut partition = Condition::default();
        partition.equals(PK, text(keys::alerts_partition(organization)));
        let start = after.map(|after| keys::alert(organization, after).item());
        let query = self
            .query(partition)
            .scan_index_forward(false)
            .set_exclusive_start_key(start);
        self.list_as("list alerts", query, limit, document::read)
            .await
    }
}

/// Returns the change of a destination's health when it is enabled or disabled on request.
fn health_after_switch(destination: &Destination) -> Change {
    let mut change = Change::default();
    if destination.is_enabled() {
        change.add(EPOCH, number(1));
        no_streak(&mut change);
        forget_ended(&mut change);
        change
            .remove(ALERTED)
            .remove(LAST_ALERT)
            .remove(RATE_ALERTED);
        change.set(RATE_SINCE, time(destination.updated_at));
        recovery::forget(&mut change);
    } else {
        watch(&mut change, destination);
    }
    change
}

fn at_least(condition: &mut Condition, threshold: u32) {
    let part = format!(
        "{} >= {}",
        condition.name(STREAK),
        condition.value(number(threshold))
    );
    condition.and(part);
}

pub(crate) fn watch(change: &mut Change, destination: &Destination) {
    change.set(FAILING.pk, text(keys::failing(destination.id)));
    change.set(
        FAILING.sk,
        text(keys::failing_sort(
            destination.organization_id,
            destination.id,
        )),
    );
}

fn item(alert: &Alert) -> Item {
    let key = keys::alert(alert.organization_id, alert.id);
    let mut item = document::item(&key, alert);
    item.put(TTL, number(alert.occurred_at.plus(RETENTION).as_seconds()));
    keys::put_trouble(&mut item, TroubleKind::Alert, key.sk);
    item
}

fn unannounced(alert: &Alert) -> Item {
    let mut item = item(alert);
    item.put(FAILING.pk, text(keys::failing(alert.destination_id)));
    item.put(FAILING.sk, text(keys::unannounced_sort(alert.id)));
    item
}
