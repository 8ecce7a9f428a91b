//! Submitting a message: writes deliveries `#01 …`, then `#00`, which is the commit, and sends a task for each.

use domain::Timestamp;
use domain::attempt::Trigger;
use domain::delivery::{Delivery, DeliveryStatus, NewDelivery};
use domain::id::{DeliveryId, MessageId, OrganizationId};
use domain::message::MessageFacts;
use std::time::Duration;
use store::{Content, StoreError};
use telemetry::names::SUBMIT;
use telemetry::{Parent, Span};

use crate::{Dispatcher, Target};

/// How long after acceptance the due index brings back a delivery whose task no queue took.
const UNSENT_DUE: Duration = Duration::from_secs(60);

/// An accepted message: validated, with its id and its targets.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Whose message it is.
    pub organization: OrganizationId,
    /// Its id. A repeat of an interrupted submit brings the id of the first.
    pub message: MessageId,
    /// What every delivery carries of it.
    pub facts: MessageFacts,
    /// Where it goes; at least one.
    pub targets: Vec<Target>,
    /// What is delivered.
    pub payload: Content,
    /// How long its history is kept.
    pub retention_days: u32,
    /// How long its payload is.
    pub payload_retention_days: u32,
    /// When it was accepted.
    pub accepted_at: Timestamp,
}

impl Submission {
    /// The message's deliveries as they are accepted: the answer to the submit, now and in every replay of it.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        (0..).zip(&self.targets).map(|(position, target)| self.delivery(position, target)).collect()
    }

    fn delivery(&self, position: u16, target: &Target) -> Delivery {
        let new = NewDelivery {
            id: DeliveryId { message: self.message, position },
            organization: self.organization,
            destination: target.destination,
            destination_type: target.kind,
            destination_disabled: !target.enabled,
            message: self.facts.clone(),
            fan_out: u16::try_from(self.targets.len()).unwrap_or(u16::MAX),
            trigger: Trigger::First,
            fallback_of: None,
            retention_days: self.retention_days,
            payload_retention_days: self.payload_retention_days,
        };
        Delivery::accept(new, self.accepted_at)
    }
}

impl Dispatcher {
    /// Commits the message and sends its tasks. Once this answers, the message is delivered or visibly failed, whatever crashes.
    pub async fn submit(&self, submission: &Submission) -> Result<Vec<Delivery>, StoreError> {
        let mut span = Span::start(SUBMIT, Parent::Here(submission.facts.trace));
        span.set_text("waybill.organization", submission.organization);
        span.set_text("waybill.message", submission.message);
        span.set("waybill.deliveries", i64::try_from(submission.targets.len()).unwrap_or(i64::MAX));
        let submitted = span.run(self.commit_and_send(submission)).await;
        if submitted.is_err() {
            span.fails("unavailable");
        }
        submitted
    }

    async fn commit_and_send(&self, submission: &Submission) -> Result<Vec<Delivery>, StoreError> {
        let deliveries = submission.deliveries();
        let committed = self.store.commit(&deliveries, &submission.payload).await?;
        let queued: Vec<Delivery> = deliveries.iter().filter(|delivery| delivery.status() == DeliveryStatus::Queued).cloned().collect();
        let unsent = self.send_tasks(&queued, submission.accepted_at, committed.payload_item).await;
        for delivery in unsent {
            // The message is committed, so a failure here only means that reconcile, rather than the due index, brings it back.
            if let Err(error) = self.store.remember_due(delivery, submission.accepted_at.plus(UNSENT_DUE)).await {
                tracing::warn!(error = %domain::chain(&error), delivery = %delivery.id, "failed to enter an unsent delivery in the due index; the next reconcile run sends it");
            }
        }
        Ok(deliveries)
    }
}
