//! The keys of what the monitor watches: destinations that fail, destinations that deliveries wait for, and alerts.

use domain::id::{AlertId, DestinationId, OrganizationId};

use super::{FAILING_PARTITIONS, Key, health, spread};

/// The partition of `failing` a destination is in.
pub(crate) fn failing(id: DestinationId) -> String {
    failing_partition(spread(&id.to_string()) % FAILING_PARTITIONS)
}

/// A partition of `failing`.
pub(crate) fn failing_partition(partition: u8) -> String {
    format!("FAILING#{partition}")
}

/// A destination's sort key in `failing`.
pub(crate) fn failing_sort(organization: OrganizationId, id: DestinationId) -> String {
    format!("{organization}#{id}")
}

/// The destination that such a sort key names; `None`: it is an alert's.
pub(crate) fn failing_of(sort: &str) -> Option<(OrganizationId, DestinationId)> {
    let (organization, destination) = sort.split_once('#')?;
    Some((organization.parse().ok()?, destination.parse().ok()?))
}

/// An alert's sort key in `failing`, until it is announced.
pub(crate) fn unannounced_sort(id: AlertId) -> String {
    format!("ALERT#{id}")
}

/// The item by which the monitor watches over the deliveries that wait for a destination.
pub(crate) fn waiting(id: DestinationId) -> Key {
    Key::new(health(id).pk, "WAITING")
}

/// The turns and places of a destination with limits.
pub(crate) fn limits(id: DestinationId) -> Key {
    Key::new(format!("LIMITS#{id}"), "LIMITS")
}

/// A destination's sort key in `failing` while deliveries may wait for it.
pub(crate) fn waiting_sort(organization: OrganizationId, id: DestinationId) -> String {
    format!("WAITING#{}", failing_sort(organization, id))
}

/// The destination that such a sort key names.
pub(crate) fn waiting_of(sort: &str) -> Option<(OrganizationId, DestinationId)> {
    failing_of(sort.strip_prefix("WAITING#")?)
}
