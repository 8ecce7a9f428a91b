//! Determines the destinations of a message: those that it names, or else the organization's
//! defaults and subscribers.

use std::collections::BTreeSet;

use domain::event_type::EventType;
use domain::id::DestinationId;
use domain::settings::DestinationType;
use store::{Route, Routes};

/// A destination that a message goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The id of the destination.
    pub destination: DestinationId,
    /// The type of the destination.
    pub kind: DestinationType,
    /// Whether the destination accepts deliveries. If not, the delivery is created as skipped.
    pub enabled: bool,
}

/// The reason why a message has no targets.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unresolved {
    /// The message named no destination, and none is a default or subscribes to the event type.
    #[error(
        "no destination was named, the organization has no default, and no enabled destination \
         subscribes to this event type"
    )]
    NoDestinations,
    /// The message named destinations at these positions that do not exist.
    #[error("some of the destinations named do not exist")]
    Unknown(Vec<usize>),
}

/// Returns the targets of a message. If the message names destinations, these are the targets, in
/// their order and without duplicates. Otherwise the targets are the defaults in their order,
/// followed by every enabled destination whose `event_types` match the event type, oldest first.
pub fn resolve(
    routes: &Routes,
    named: Option<&[DestinationId]>,
    event_type: &EventType,
) -> Result<Vec<Target>, Unresolved> {
    let route = |id: &DestinationId| routes.destinations.iter().find(|route| route.id == *id);
    let mut seen = BTreeSet::new();
    let mut targets = Vec::new();
    let mut add = |route: &Route| {
        if seen.insert(route.id) {
            targets.push(Target {
                destination: route.id,
                kind: route.kind,
                enabled: route.enabled,
            });
        }
    };
    if let Some(named) = named {
        let unknown: Vec<usize> = named
            .iter()
            .enumerate()
            .filter(|(_, id)| route(id).is_none())
            .map(|(position, _)| position)
            .collect();
        if !unknown.is_empty() {
            return Err(Unresolved::Unknown(unknown));
        }
        named.iter().filter_map(route).for_each(&mut add);
    } else {
        routes
            .settings
            .default_destination_ids
            .iter()
            .filter_map(route)
            .for_each(&mut add);
        let subscribes = |route: &&Route| {
            let patterns = route.event_types.as_deref().unwrap_or_default();
            route.enabled && patterns.iter().any(|pattern| pattern.matches(event_type))
        };
        routes
            .destinations
            .iter()
            .filter(subscribes)
            .for_each(&mut add);
    }
    if targets.is_empty() {
        Err(Unresolved::NoDestinations)
    } else {
        Ok(targets)
    }
}
