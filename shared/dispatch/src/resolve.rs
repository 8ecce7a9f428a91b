//! Where a message goes: the destinations it names, or the organization's defaults and subscribers (R2.2, R2.3).

use std::collections::BTreeSet;

use domain::event_type::EventType;
use domain::id::DestinationId;
use domain::settings::DestinationType;
use store::{Route, Routes};

/// One place a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which destination.
    pub destination: DestinationId,
    /// Its type.
    pub kind: DestinationType,
    /// Whether it takes deliveries; when not, its delivery is born skipped.
    pub enabled: bool,
}

/// Why a message has no targets.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unresolved {
    /// It named none, and nothing is subscribed.
    #[error("no destination was named, the organization has no default, and no enabled destination subscribes to this event type")]
    NoDestinations,
    /// It named ones that do not exist, at these positions.
    #[error("some of the destinations named do not exist")]
    Unknown(Vec<usize>),
}

/// The targets of a message. Named ones stand in their order, each once; else the defaults in theirs, then every enabled destination whose
/// `event_types` matches, oldest first.
pub fn resolve(routes: &Routes, named: Option<&[DestinationId]>, event_type: &EventType) -> Result<Vec<Target>, Unresolved> {
    let route = |id: &DestinationId| routes.destinations.iter().find(|route| route.id == *id);
    let mut seen = BTreeSet::new();
    let mut targets = Vec::new();
    let mut add = |route: &Route| {
        if seen.insert(route.id) {
            targets.push(Target { destination: route.id, kind: route.kind, enabled: route.enabled });
        }
    };
    if let Some(named) = named {
        let unknown: Vec<usize> = named.iter().enumerate().filter(|(_, id)| route(id).is_none()).map(|(position, _)| position).collect();
        if !unknown.is_empty() {
            return Err(Unresolved::Unknown(unknown));
        }
        named.iter().filter_map(route).for_each(&mut add);
    } else {
        routes.settings.default_destination_ids.iter().filter_map(route).for_each(&mut add);
        let subscribes = |route: &&Route| {
            let patterns = route.event_types.as_deref().unwrap_or_default();
            route.enabled && patterns.iter().any(|pattern| pattern.matches(event_type))
        };
        routes.destinations.iter().filter(subscribes).for_each(&mut add);
    }
    if targets.is_empty() { Err(Unresolved::NoDestinations) } else { Ok(targets) }
}
