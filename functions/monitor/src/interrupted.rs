//! Tasks that were being processed when the process died and that their queue still holds.

use std::collections::HashMap;

use domain::delivery::Delivery;
use domain::id::DeliveryId;
use queue::Task;

/// The deliveries whose tasks were interrupted, with the generation of each task.
#[derive(Debug, Default)]
pub(crate) struct Interrupted(HashMap<DeliveryId, u32>);

impl Interrupted {
    /// Collects the message bodies that are tasks.
    pub(crate) fn of(bodies: &[String]) -> Self {
        let tasks = bodies.iter().filter_map(|body| Task::from_body(body).ok());
        Self(tasks.map(|task| (task.delivery, task.generation)).collect())
    }

    /// Returns whether the queue holds a task of the delivery's current generation.
    pub(crate) fn holds(&self, delivery: &Delivery) -> bool {
        self.0
            .get(&delivery.id)
            .is_some_and(|generation| *generation == delivery.generation)
    }
}
