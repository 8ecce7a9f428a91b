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
pub use mailbox::mails_counted_as;
pub use redeliver::RedeliverError;
pub use release::Extent;
pub use resolve::{Target, Unresolved, resolve};
pub use status::{Ending, TellError, is_listened_to};
pub use submit::Submission;

use domain::delivery::Delivery;
use domain::settings::email::Mailbox;
use domain::{Clock, Timestamp};
use queue::{Outgoing, Queues, Task};
use store::Store;

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
        Self { store, queues, clock, alert_from: None, bus: None }
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
    pub fn telling_on(self, bus: Option<Bus>) -> Self {
        Self { bus, ..self }
    }

    /// Returns the event bus, if there is one.
    #[must_use]
    pub fn bus(&self) -> Option<&Bus> {
        self.bus.as_ref()
    }

    /// Queues a task for each delivery, which is received not before `at`. Returns those that no
    /// queue accepted.
    pub async fn send<'d>(&self, deliveries: &'d [Delivery], at: Timestamp) -> Vec<&'d Delivery> {
        // Only the submitter knows whether the payload is an item of its own. For others the extra
        // key costs one read at most.
        self.send_tasks(deliveries, at, true).await
    }

    async fn send_tasks<'d>(&self, deliveries: &'d [Delivery], at: Timestamp, payload_item: bool) -> Vec<&'d Delivery> {
        let delay_seconds = u32::try_from(at.since(self.clock.now()).as_secs()).unwrap_or(u32::MAX);
        let outgoing: Vec<Outgoing> = deliveries.iter().map(|delivery| outgoing(delivery, delay_seconds, payload_item)).collect();
        self.queues.send(&outgoing).await.into_iter().filter_map(|position| deliveries.get(position)).collect()
    }
}

fn outgoing(delivery: &Delivery, delay_seconds: u32, payload_item: bool) -> Outgoing {
    let task = Task {
        organization: delivery.organization,
        delivery: delivery.id,
        destination: delivery.destination,
        generation: delivery.generation,
        payload_item,
    };
    Outgoing { destination_type: delivery.destination_type, task, delay_seconds }
}
