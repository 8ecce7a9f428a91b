//! Alerts: each is written with the change it tells of, in one transaction, and stands in the index of what the monitor looks at until it is
//! announced. So of several monitors one makes the change, and whoever comes next announces what another one left unsaid.

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
    ALERTED, EPOCH, LAST_ALERT, LAST_FAILURE, RATE_ALERTED, RATE_SINCE, STREAK, ended_as_in, forget_ended, no_streak, of_epoch,
};
use crate::keys::{self, FAILING, PK, TTL, TroubleKind};
use crate::transaction::{Transacted, Transaction};
use crate::{Page, Store, StoreError, audit, destination, recovery, routes};

/// How long alerts are kept.
const KEPT: Duration = Duration::from_secs(400 * 24 * 3600);

/// What the monitor looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Watched {
    /// A destination that fails, was told of, or takes no more deliveries while some wait.
    Destination(OrganizationId, DestinationId),
    /// A destination that deliveries may wait for.
    Waiting(OrganizationId, DestinationId),
    /// An alert that is not announced.
    Alert(Box<Alert>),
}

impl Store {
    /// One partition, below [`crate::FAILING_PARTITIONS`], of what the monitor looks at.
    pub async fn watched(&self, partition: u8) -> Result<Vec<Watched>, StoreError> {
        let mut condition = Condition::default();
        condition.equals(FAILING.pk, text(keys::failing_partition(partition)));
        let mut items = self.query(condition).index_name(FAILING.name).into_paginator().items().send();
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
        // The index may be behind: the table says what is still to be announced.
        for item in self.get_all("read alerts", &alerts).await?.iter().flatten().filter(|item| item.contains_key(FAILING.pk)) {
            watched.push(Watched::Alert(Box::new(document::read(item)?)));
        }
        Ok(watched)
    }

    /// Tells that a streak reached the alert threshold, unless somebody did or it ended meanwhile. Was it told?
    pub async fn alert(&self, health: &Health, threshold: u32, alert: &Alert) -> Result<bool, StoreError> {
        let mut change = Change::default();
        change.set(ALERTED, time(alert.occurred_at)).set(LAST_ALERT, time(alert.occurred_at));
        forget_ended(&mut change);
        let condition = of_epoch(change.when(), health.epoch).is(LAST_ALERT, health.last_alert_at.map(time));
        at_least(condition, threshold);
        self.tell("alert about a destination", change, alert).await
    }

    /// Alerts about a failure rate, unless another monitor did. Returns whether it alerted.
    pub async fn alert_rate(&self, health: &Health, alert: &Alert) -> Result<bool, StoreError> {
        let mut change = Change::default();
        change.set(RATE_ALERTED, time(alert.occurred_at)).set(LAST_ALERT, time(alert.occurred_at));
        of_epoch(change.when(), health.epoch).is(LAST_ALERT, health.last_alert_at.map(time)).missing(RATE_ALERTED);
        self.tell("alert about a failure rate", change, alert).await
    }

    /// Alerts about a streak that reached a threshold and is over, unless another monitor did. Its recovery is told next. Was it told?
    pub async fn alert_ended(&self, health: &Health, alert: &Alert) -> Result<bool, StoreError> {
        let mut change = Change::default();
        change.set(ALERTED, time(alert.occurred_at)).set(LAST_ALERT, time(alert.occurred_at));
        forget_ended(&mut change);
        let condition = of_epoch(change.when(), health.epoch).is(LAST_ALERT, health.last_alert_at.map(time));
        ended_as_in(condition, health);
        self.tell("alert about a streak that ended", change, alert).await
    }

    /// Forgets a streak that is over and is not alerted.
    pub async fn forget_ended(&self, destination: DestinationId, health: &Health) -> Result<(), StoreError> {
        let mut change = Change::default();
        forget_ended(&mut change);
        ended_as_in(of_epoch(change.when(), health.epoch), health);
        self.change("forget a streak that ended", &keys::health(destination), change).await.map(drop)
    }

    /// Tells that a destination works again, unless somebody did or it fails anew. Was it told? Its failure rate, if it has one (`rated`),
    /// is counted from then on, and the monitor goes on looking.
    pub async fn tell_recovery(&self, health: &Health, alert: &Alert, rated: bool) -> Result<bool, StoreError> {
        let mut change = Change::default();
        change.remove(ALERTED).remove(RATE_ALERTED);
        if rated {
            change.set(RATE_SINCE, time(alert.occurred_at));
        } else if health.ended.is_none() {
            // A streak that ended since may still have to be alerted: the monitor looks once more.
            change.remove(FAILING.pk).remove(FAILING.sk);
        }
        let condition = of_epoch(change.when(), health.epoch).missing(STREAK);
        condition.is(ALERTED, health.alerted_at.map(time)).is(RATE_ALERTED, health.rate_alerted_at.map(time));
        self.tell("tell that a destination recovered", change, alert).await
    }

    async fn tell(&self, action: &'static str, change: Change, alert: &Alert) -> Result<bool, StoreError> {
        let health = keys::health(alert.destination_id);
        let transaction = self.transaction().change(&health, change).put(unannounced(alert), Condition::default());
        Ok(matches!(self.transact(action, transaction).await?, Transacted::Done))
    }

    /// Disables a destination whose streak reached `threshold`: health, destination, routes, audit trail and alert together, or nothing.
    /// `recovery` is how it is brought back, if it is.
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
        let saved = self.switched(disabled, disabled.revision - 1, event, alert, change).await?;
        Ok(saved == Saved::Done)
    }

    /// Enables or disables a destination for somebody. Enabling starts a new epoch: no streak, nobody told; disabling has the monitor look at it
    /// until nothing waits for it.
    pub async fn switch_destination(
        &self,
        destination: &Destination,
        expected_revision: u64,
        event: &AuditEvent,
        alert: &Alert,
    ) -> Result<Saved, StoreError> {
        let mut change = Change::default();
        if destination.is_enabled() {
            change.add(EPOCH, number(1));
            no_streak(&mut change);
            forget_ended(&mut change);
            change.remove(ALERTED).remove(LAST_ALERT).remove(RATE_ALERTED);
            change.set(RATE_SINCE, time(destination.updated_at));
            recovery::forget(&mut change);
        } else {
            watch(&mut change, destination);
        }
        self.switched(destination, expected_revision, event, alert, change).await
    }

    async fn switched(
        &self,
        destination: &Destination,
        expected_revision: u64,
        event: &AuditEvent,
        alert: &Alert,
        health: Change,
    ) -> Result<Saved, StoreError> {
        let retention_days = self.audit_retention_days(destination.organization_id).await?;
        let transaction = self.switching(destination, expected_revision, event, alert, health, retention_days);
        match self.transact("switch a destination", transaction).await? {
            Transacted::Done => Ok(Saved::Done),
            Transacted::Refused { .. } => Ok(Saved::Conflict),
        }
    }

    /// The writes that enable or disable a destination.
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
            .put(destination::item(destination), at_revision(expected_revision))
            .change(&keys::routes(destination.organization_id), routes::saved(destination))
            .change(&keys::health(destination.id), health)
            .put(audit::item(event, retention_days), Condition::default())
            .put(unannounced(alert), Condition::default())
    }

    /// Has the monitor look at a destination that takes no more deliveries, until none waits for it.
    pub async fn watch_destination(&self, destination: &Destination) -> Result<(), StoreError> {
        let mut change = Change::default();
        watch(&mut change, destination);
        self.change("watch a destination", &keys::health(destination.id), change).await.map(drop)
    }

    /// The monitor need not look at a destination any more, unless it failed since its health was read.
    pub async fn unwatch_destination(&self, destination: DestinationId, health: &Health) -> Result<(), StoreError> {
        let mut change = Change::default();
        change.remove(FAILING.pk).remove(FAILING.sk).remove(RATE_ALERTED);
        let condition = of_epoch(change.when(), health.epoch).is(LAST_FAILURE, health.last_failure_at.map(time));
        condition.is(STREAK, Some(health.consecutive_failures).filter(|streak| *streak > 0).map(number));
        ended_as_in(condition, health);
        self.change("look away from a destination", &keys::health(destination), change).await.map(drop)
    }

    /// An alert is announced, or there is nobody to tell.
    pub async fn announced(&self, alert: &Alert) -> Result<(), StoreError> {
        self.put("keep an alert", item(alert), Condition::default()).await.map(drop)
    }

    /// An organization's alerts, newest first, those after `after`.
    pub async fn alerts_page(&self, organization: OrganizationId, after: Option<AlertId>, limit: u32) -> Result<Page<Alert>, StoreError> {
        let mut partition = Condition::default();
        partition.equals(PK, text(keys::alerts_partition(organization)));
        let start = after.map(|after| keys::alert(organization, after).item());
        let query = self.query(partition).scan_index_forward(false).set_exclusive_start_key(start);
        let page = self.list("list alerts", query, limit).await?;
        let items: Result<_, _> = page.items.iter().map(document::read).collect();
        Ok(Page { items: items?, more: page.more })
    }
}

fn at_least(condition: &mut Condition, threshold: u32) {
    let part = format!("{} >= {}", condition.name(STREAK), condition.value(number(threshold)));
    condition.and(part);
}

pub(crate) fn watch(change: &mut Change, destination: &Destination) {
    change.set(FAILING.pk, text(keys::failing(destination.id)));
    change.set(FAILING.sk, text(keys::failing_sort(destination.organization_id, destination.id)));
}

fn item(alert: &Alert) -> Item {
    let key = keys::alert(alert.organization_id, alert.id);
    let mut item = document::item(&key, alert);
    item.put(TTL, number(alert.occurred_at.plus(KEPT).as_seconds()));
    keys::put_trouble(&mut item, TroubleKind::Alert, key.sk);
    item
}

fn unannounced(alert: &Alert) -> Item {
    let mut item = item(alert);
    item.put(FAILING.pk, text(keys::failing(alert.destination_id)));
    item.put(FAILING.sk, text(keys::unannounced_sort(alert.id)));
    item
}
