//! Tasks that were being worked on when the process died. Their queue holds them still.

use std::collections::HashMap;

use domain::delivery::Delivery;
use domain::id::DeliveryId;
use queue::Task;

/// The generations of the deliveries whose tasks were interrupted.
#[derive(Debug, Default)]
pub(crate) struct Interrupted(HashMap<DeliveryId, u32>);

impl Interrupted {
    /// Those of these message bodies that are tasks.
    pub(crate) fn of(bodies: &[String]) -> Self {
        let tasks = bodies.iter().filter_map(|body| Task::from_body(body).ok());
        Self(tasks.map(|task| (task.delivery, task.generation)).collect())
    }

    /// Whether the queue holds a task of the delivery as it stands.
    pub(crate) fn holds(&self, delivery: &Delivery) -> bool {
        self.0.get(&delivery.id).is_some_and(|generation| *generation == delivery.generation)
    }
}
