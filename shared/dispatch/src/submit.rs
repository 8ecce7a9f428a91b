//! Submits a message: writes the deliveries `#01 …`, then `#00`, which commits the message, and
//! queues a task for each.

use domain::Timestamp;
use domain::attempt::Trigger;
use domain::delivery::{Delivery, DeliveryStatus, NewDelivery};
use domain::id::{DeliveryId, MessageId, OrganizationId};
use domain::message::MessageFacts;
use store::{Content, StoreError};
use telemetry::names::SUBMIT;
use telemetry::{Span, current_in};

use crate::{Dispatcher, Target, UNSENT_DUE, has_requested_updates};

/// A validated message with its id and its targets.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The organization that submits the message.
    pub organization: OrganizationId,
    /// The id of the message. If an interrupted submission is repeated, the id is the same.
    pub message: MessageId,
    /// The part of the message that every delivery carries.
    pub facts: MessageFacts,
    /// The targets of the message; at least one.
    pub targets: Vec<Target>,
    /// The payload of the message.
    pub payload: Content,
    /// How many days the history of the message is kept.
    pub retention_days: u32,
    /// How many days the payload of the message is kept.
    pub payload_retention_days: u32,
    /// When the message was accepted.
    pub accepted_at: Timestamp,
}

impl Submission {
    /// Returns the deliveries of the message as they are accepted. Responses show these deliveries,
    /// even if the response is a replay.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        (0..)
            .zip(&self.targets)
            .map(|(position, target)| self.delivery(position, target))
            .collect()
    }

    fn delivery(&self, position: u16, target: &Target) -> Delivery {
        let new = NewDelivery {
            id: DeliveryId {
                message: self.message,
                position,
            },
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
    /// Commits the message and queues its tasks. Once this method has returned successfully, the
    /// message is delivered or its failure is recorded, even after a crash.
    pub async fn submit(&self, submission: &Submission) -> Result<Vec<Delivery>, StoreError> {
        let mut span = Span::start(SUBMIT, &current_in(submission.facts.trace));
        span.set("waybill.organization", submission.organization.to_string());
        span.set("waybill.message", submission.message.to_string());
        span.set(
            "waybill.deliveries",
            i64::try_from(submission.targets.len()).unwrap_or(i64::MAX),
        );
        let submitted = span.run(self.commit_and_send(submission)).await;
        if submitted.is_err() {
            span.fails("unavailable");
        }
        submitted
    }

    async fn commit_and_send(&self, submission: &Submission) -> Result<Vec<Delivery>, StoreError> {
        let deliveries = submission.deliveries();
        let committed = self.store.commit(&deliveries, &submission.payload).await?;
        let queued: Vec<Delivery> = deliveries
            .iter()
            .filter(|delivery| delivery.status() == DeliveryStatus::Queued)
            .cloned()
            .collect();
        // The message is committed, so a failure from here on must not fail the submission.
        if queued.is_empty() {
            self.report_completed(&deliveries).await;
            return Ok(deliveries);
        }
        let unsent = self
            .send_tasks(&queued, submission.accepted_at, committed.payload_item)
            .await;
        let due_at = submission.accepted_at.plus(UNSENT_DUE);
        self.remember(unsent.iter().map(|delivery| (*delivery, due_at)))
            .await;
        Ok(deliveries)
    }

    /// Lets a worker send the status update of a message that is completed as it is accepted,
    /// because all of its destinations are disabled.
    async fn report_completed(&self, deliveries: &[Delivery]) {
        let Some(first) = deliveries.first() else {
            return;
        };
        let reported = async {
            let routes = self.store.routes(first.organization).await?;
            if !routes.is_some_and(|routes| has_requested_updates(first, &routes.settings)) {
                return Ok(true);
            }
            let task = std::slice::from_ref(first);
            Ok::<_, StoreError>(self.send(task, self.clock.now()).await.is_empty())
        };
        let failure = match reported.await {
            Ok(true) => return,
            Ok(false) => "no queue accepted its task".to_owned(),
            Err(error) => domain::chain(&error).to_string(),
        };
        tracing::warn!(
            error = failure,
            message = %first.id.message,
            "failed to request the status update of a message whose destinations are disabled"
        );
    }
}
