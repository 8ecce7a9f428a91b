//! Announces alerts and status updates as ordinary messages, `waybill.*`.
//!
//! A process may stop at any step, and another may announce the same thing at the same time. The
//! message's id is derived from what is announced, so all of them commit the same message once. Its
//! deliveries are made like any others, and never cause further announcements.

use std::time::Duration;

use bytes::Bytes;
use domain::Timestamp;
use domain::alert::{Alert, AlertKind, data};
use domain::delivery::DeliveryStatus;
use domain::destination::Destination;
use domain::event_type::EventType;
use domain::health::Health;
use domain::id::{AlertId, DestinationId, IdMint, MessageId, OrganizationId};
use domain::message::{MessageFacts, PayloadInfo, StatusCallback};
use domain::settings::DestinationType;
use domain::trace::TraceId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use store::{Claim, IdempotencyClaim, Routes, StoreError, skip_unreadable};

use crate::bus::detail_type;
use crate::{Dispatcher, Submission, Target};

/// How long the targets of the first try are kept for later tries.
const TARGETS_RETENTION: Duration = Duration::from_secs(86_400);

/// An alert or status update to announce.
#[derive(Clone, Debug)]
pub struct Announcement<'a> {
    /// The organization that the announcement belongs to.
    pub organization: OrganizationId,
    /// The event type, which starts with `waybill.`.
    pub event_type: &'a str,
    /// When the event happened. The message's id carries this time.
    pub occurred_at: Timestamp,
    /// The name that distinguishes this announcement from all others.
    pub name: &'a str,
    /// The reference of the message that the announcement is about, if it has one.
    pub reference: Option<String>,
    /// The trace of the message.
    pub trace: TraceId,
    /// The body of the message.
    pub body: Value,
    /// The callback that the reported message requested, if any.
    pub callback: Option<StatusCallback>,
}

/// What earlier tries have stored of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoredAnnouncement {
    /// No earlier try has stored anything of it.
    Nothing,
    /// Some of its deliveries; its message is not committed.
    Begun,
    /// Its message, which was committed.
    Committed(MessageId),
}

/// A target as it is recorded: the destination, its type, and whether it was enabled.
#[derive(Serialize, Deserialize)]
struct RecordedTarget(DestinationId, DestinationType, bool);

impl Announcement<'_> {
    /// Returns the id of the message, which is the same in every process that announces it.
    fn message(&self, ids: &IdMint, routes: &Routes) -> MessageId {
        ids.derive(
            self.organization,
            routes.shards,
            self.occurred_at,
            self.name,
        )
    }
}

impl Dispatcher {
    /// Creates an alert about a destination, which is passed in its state after the alert's change.
    /// `url` is the URL of the destination's page.
    pub async fn alert_about(
        &self,
        ids: &IdMint,
        routes: &Routes,
        destination: &Destination,
        health: &Health,
        kind: AlertKind,
        url: &str,
    ) -> Result<Alert, StoreError> {
        let pending = self
            .store
            .pending(destination.organization_id, routes.shards, destination.id)
            .await?;
        let policy = destination.policy(&routes.settings.failure_policy);
        Ok(Alert {
            id: ids.mint::<AlertId>(destination.organization_id, 1),
            organization_id: destination.organization_id,
            destination_id: destination.id,
            kind,
            occurred_at: self.clock.now(),
            data: data(destination, health, policy, kind, pending, url),
            message: None,
        })
    }

    /// Sends an alert to the destinations and addresses of the organization's settings, and records
    /// that it was sent. A repeated call sends the same message.
    pub async fn announce_alert(
        &self,
        ids: &IdMint,
        routes: &Routes,
        alert: Alert,
        trace: TraceId,
    ) -> Result<Alert, StoreError> {
        let name = alert.id.to_string();
        let announcement = Announcement {
            organization: alert.organization_id,
            event_type: alert.kind.event_type(),
            occurred_at: alert.occurred_at,
            name: &name,
            reference: None,
            trace,
            body: alert.body(),
            callback: None,
        };
        // If the alert was announced before, it has already been counted for its addresses.
        let message = match self.earlier(ids, routes, &announcement).await? {
            StoredAnnouncement::Committed(message) => Some(message),
            earlier => {
                let (targets, addresses) = self.alert_targets(ids, routes, &alert).await?;
                let message = self
                    .commit_announcement(ids, routes, announcement, targets, earlier)
                    .await?;
                for address in addresses {
                    self.count_alert_mail(address).await;
                }
                message
            }
        };
        let alert = Alert { message, ..alert };
        if let Some(bus) = &self.bus
            && let Err(error) = bus.put(detail_type(alert.kind), &alert.body()).await
        {
            // The alert stays unannounced, so that the monitor publishes it again.
            tracing::warn!(
                error = %domain::chain(&error),
                alert = %alert.id,
                "failed to publish an alert to the event bus; the monitor publishes it again"
            );
            return Ok(alert);
        }
        self.store.announced(&alert).await?;
        Ok(alert)
    }

    /// Returns the destinations and mailboxes that receive an alert, and the addresses of the
    /// mailboxes. No destination receives an alert about its own failures.
    async fn alert_targets<'r>(
        &self,
        ids: &IdMint,
        routes: &'r Routes,
        alert: &Alert,
    ) -> Result<(Vec<Target>, Vec<&'r str>), StoreError> {
        let works = matches!(alert.kind, AlertKind::Enabled | AlertKind::Recovered);
        let named = routes.settings.alert_destination_ids.iter().copied();
        let named: Vec<DestinationId> = named
            .filter(|id| works || *id != alert.destination_id)
            .collect();
        let (addresses, mailboxes): (Vec<_>, Vec<_>) = self
            .alert_mailboxes(ids, routes, alert.organization_id)
            .await?
            .into_iter()
            .unzip();
        Ok((
            existing(routes, &named).chain(mailboxes).collect(),
            addresses,
        ))
    }

    /// Announces to these targets. Returns the id of the message, or `None` if there are no
    /// targets.
    pub(crate) async fn announce_to(
        &self,
        ids: &IdMint,
        routes: &Routes,
        announcement: Announcement<'_>,
        targets: Vec<Target>,
    ) -> Result<Option<MessageId>, StoreError> {
        match self.earlier(ids, routes, &announcement).await? {
            StoredAnnouncement::Committed(message) => Ok(Some(message)),
            earlier => {
                self.commit_announcement(ids, routes, announcement, targets, earlier)
                    .await
            }
        }
    }

    /// Returns what earlier tries have left of an announcement. If it was committed, deliveries
    /// whose tasks may not have been queued are entered in the due index.
    async fn earlier(
        &self,
        ids: &IdMint,
        routes: &Routes,
        announcement: &Announcement<'_>,
    ) -> Result<StoredAnnouncement, StoreError> {
        let message = announcement.message(ids, routes);
        let stored = self
            .store
            .stored_message(announcement.organization, message)
            .await?;
        match stored.first() {
            None => return Ok(StoredAnnouncement::Nothing),
            Some((0, _)) => {}
            Some(_) => return Ok(StoredAnnouncement::Begun),
        }
        for (_, delivery) in stored {
            let queued = skip_unreadable(delivery)?
                .filter(|delivery| delivery.status() == DeliveryStatus::Queued);
            if let Some(delivery) = queued {
                self.store
                    .remember_due(&delivery, self.unsent_due(&delivery))
                    .await?;
            }
        }
        Ok(StoredAnnouncement::Committed(message))
    }

    /// Returns the targets of the first try. It may have been interrupted after it had written some
    /// of several deliveries, so these targets are recorded, and later tries write the same ones.
    async fn first_targets(
        &self,
        organization: OrganizationId,
        message: MessageId,
        targets: Vec<Target>,
        earlier: StoredAnnouncement,
    ) -> Result<Vec<Target>, StoreError> {
        if targets.len() < 2 && earlier == StoredAnnouncement::Nothing {
            return Ok(targets);
        }
        let record =
            |target: &Target| RecordedTarget(target.destination, target.kind, target.enabled);
        let recorded: Vec<RecordedTarget> = targets.iter().map(record).collect();
        let now = self.clock.now();
        let claim = IdempotencyClaim {
            organization,
            key_hash: message.to_string(),
            request_hash: String::new(),
            lease_until: now.plus(TARGETS_RETENTION),
            recorded: json!(recorded),
        };
        let first = match self.store.claim(&claim, now).await? {
            Claim::New => return Ok(targets),
            Claim::Finished { recorded, .. }
            | Claim::Running { recorded, .. }
            | Claim::TakenOver { recorded } => recorded,
        };
        let Ok(first) = serde_json::from_value::<Vec<RecordedTarget>>(first) else {
            return Ok(targets);
        };
        let target = |RecordedTarget(destination, kind, enabled)| Target {
            destination,
            kind,
            enabled,
        };
        Ok(first.into_iter().map(target).collect())
    }

    async fn commit_announcement(
        &self,
        ids: &IdMint,
        routes: &Routes,
        announcement: Announcement<'_>,
        targets: Vec<Target>,
        earlier: StoredAnnouncement,
    ) -> Result<Option<MessageId>, StoreError> {
        let Ok(event_type) = EventType::parse(announcement.event_type) else {
            return Ok(None);
        };
        let message = announcement.message(ids, routes);
        let targets = self
            .first_targets(announcement.organization, message, targets, earlier)
            .await?;
        if targets.is_empty() {
            return Ok(None);
        }
        let Announcement {
            organization,
            occurred_at,
            ..
        } = announcement;
        let payload = Bytes::from(announcement.body.to_string());
        let sha256 = hex::encode(Sha256::digest(&payload));
        let facts = MessageFacts {
            event_type,
            reference: announcement.reference,
            metadata: Default::default(),
            payload: PayloadInfo {
                size_bytes: payload.len() as u64,
                content_type: "application/json".to_owned(),
                filename: None,
                sha256: Some(sha256),
            },
            expires_at: None,
            trace: announcement.trace,
            test: false,
            status_callback: announcement.callback,
        };
        let (retention_days, payload_retention_days) = (
            routes.settings.retention_days,
            routes.settings.payload_retention_days,
        );
        let accepted_at = occurred_at;
        let payload = store::Content::Bytes(payload);
        let submission = Submission {
            organization,
            message,
            facts,
            targets,
            payload,
            retention_days,
            payload_retention_days,
            accepted_at,
        };
        self.submit(&submission).await?;
        Ok(Some(message))
    }
}

/// Returns those of the destinations that exist.
pub(crate) fn existing(
    routes: &Routes,
    destinations: &[DestinationId],
) -> impl Iterator<Item = Target> {
    let routes = destinations
        .iter()
        .filter_map(|id| routes.destinations.iter().find(|route| route.id == *id));
    routes.map(|route| Target {
        destination: route.id,
        kind: route.kind,
        enabled: route.enabled,
    })
}
