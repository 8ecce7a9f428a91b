//! Turns accepted messages into deliveries and tasks, and reopens finished deliveries.
//!
//! [`resolve`] determines where a message goes. [`Dispatcher::submit`] writes its deliveries, the
//! first one last because it is the commit, and queues a task for each. [`Dispatcher::redeliver`]
//! reopens one. Records are written before tasks are queued: the due index brings back a delivery
//! whose task could not be queued, so nothing that was accepted is lost.

mod add;
mod announce;
mod bus;
mod callback;
mod check;
mod end;
mod mailbox;
mod redeliver;
mod release;
mod resolve;
mod security;
mod skip;
mod status;
mod submit;
pub mod view;

pub use add::Addition;
pub use announce::Announcement;
pub use bus::{Bus, BusError};
pub use check::{CheckError, Checker};
pub use end::EndError;
pub use mailbox::mails_counted_as;
pub use redeliver::RedeliverError;
pub use release::ReleaseLimits;
pub use resolve::{Target, Unresolved, resolve};
pub use status::{Ending, StatusUpdateError, has_requested_updates};
pub use submit::Submission;

use std::time::Duration;

use domain::delivery::Delivery;
use domain::settings::email::Mailbox;
use domain::{Clock, Timestamp};
use futures_util::future::join_all;
use queue::{Outgoing, Queues, Task};
use store::{Store, StoreError};

/// The time after which a delivery whose task no queue accepted comes due, counted from when the
/// task should have been received.
const UNSENT_DUE: Duration = Duration::from_secs(60);

/// Writes deliveries and queues their tasks.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    store: Store,
    queues: Queues,
    clock: Clock,
    alert_from: Option<Mailbox>,
    bus: Option<Bus>,
}

impl Dispatcher {
    /// Creates a dispatcher over this table and these queues.
    #[must_use]
    pub fn new(store: Store, queues: Queues, clock: Clock) -> Self {
        Self {
            store,
            queues,
            clock,
            alert_from: None,
            bus: None,
        }
    }

    /// Sets the address that alert e-mails are sent from. Without one, no alert is sent by e-mail.
    #[must_use]
    pub fn alerting_from(self, alert_from: Option<Mailbox>) -> Self {
        Self { alert_from, ..self }
    }

    /// Returns the address that alert e-mails are sent from, if the deployment has one.
    #[must_use]
    pub fn alert_from(&self) -> Option<&Mailbox> {
        self.alert_from.as_ref()
    }

    /// Sets the event bus to publish on. Without one, nothing is published.
    #[must_use]
    pub fn publishing_on(self, bus: Option<Bus>) -> Self {
        Self { bus, ..self }
    }

    /// Returns the event bus, if there is one.
    #[must_use]
    pub fn bus(&self) -> Option<&Bus> {
        self.bus.as_ref()
    }

    /// Queues a task for each delivery, as [`Self::send`] does. A delivery that no queue accepts
    /// comes due a minute after `at`, whatever its record says. Returns how many were queued.
    pub async fn send_or_remember(&self, deliveries: &[Delivery], at: Timestamp) -> usize {
        let unsent = self.send(deliveries, at).await;
        let due_at = at.plus(UNSENT_DUE);
        self.remember(unsent.iter().map(|delivery| (*delivery, due_at)))
            .await;
        deliveries.len() - unsent.len()
    }

    /// Enters the deliveries of a message that was accepted before in the due index, as far as
    /// nothing has happened to them: the process that accepted it may have stopped before it queued
    /// their tasks.
    pub async fn remember_untouched(&self, deliveries: &[Delivery]) {
        let untouched = deliveries.iter().filter(|delivery| delivery.is_untouched());
        let due = untouched.map(|delivery| (delivery, self.unsent_due(delivery)));
        self.remember(due).await;
    }

    /// Returns when a delivery comes due whose task may not have been queued: in a minute, or when
    /// a first attempt can no longer be running.
    fn unsent_due(&self, delivery: &Delivery) -> Timestamp {
        let at = self.clock.now().plus(UNSENT_DUE);
        delivery
            .unleased_until()
            .map_or(at, |unleased_until| at.max(unleased_until))
    }

    /// Enters deliveries in the due index at these times, so that the sweep queues them. If that
    /// fails, a later sweep or the next reconcile finds them.
    async fn remember(&self, deliveries: impl IntoIterator<Item = (&Delivery, Timestamp)>) {
        let remembering = deliveries.into_iter().map(|(delivery, due_at)| async move {
            if let Err(error) = self.store.remember_due(delivery, due_at).await {
                tracing::warn!(
                    error = %domain::chain(&error),
                    delivery = %delivery.id,
                    "failed to enter an unsent delivery in the due index; a later sweep or the \
                     next reconcile sends it"
                );
            }
        });
        join_all(remembering).await;
    }

    /// Queues a task for each delivery, which is received not before `at`. Returns those that no
    /// queue accepted.
    #[must_use = "a delivery that no queue accepted needs another way back"]
    pub async fn send<'d>(&self, deliveries: &'d [Delivery], at: Timestamp) -> Vec<&'d Delivery> {
        // Only the submitter knows whether the payload is an item of its own. For others the extra
        // key costs one read at most.
        self.send_tasks(deliveries, at, true).await
    }

    async fn send_tasks<'d>(
        &self,
        deliveries: &'d [Delivery],
        at: Timestamp,
        payload_item: bool,
    ) -> Vec<&'d Delivery> {
        let delay_seconds = u32::try_from(at.since(self.clock.now()).as_secs()).unwrap_or(u32::MAX);
        let outgoing: Vec<Outgoing> = deliveries
            .iter()
            .map(|delivery| outgoing(delivery, delay_seconds, payload_item))
            .collect();
        self.queues
            .send(&outgoing)
            .await
            .into_iter()
            .filter_map(|position| deliveries.get(position))
            .collect()
    }
}

/// Separates what was written from the first error. What was written must be processed even if
/// another write failed, because nothing else processes it before it is due again.
pub fn separate<T>(
    outcomes: impl IntoIterator<Item = Result<Option<T>, StoreError>>,
) -> (Vec<T>, Result<(), StoreError>) {
    let (mut written, mut first_error) = (Vec::new(), Ok(()));
    for outcome in outcomes {
        match outcome {
            Ok(one) => written.extend(one),
            Err(error) => first_error = first_error.and(Err(error)),
        }
    }
    (written, first_error)
}

fn outgoing(delivery: &Delivery, delay_seconds: u32, payload_item: bool) -> Outgoing {
    let task = Task {
        organization: delivery.organization,
        delivery: delivery.id,
        destination: delivery.destination,
        generation: delivery.generation,
        payload_item,
    };
    Outgoing {
        destination_type: delivery.destination_type,
        task,
        delay_seconds,
    }
}
