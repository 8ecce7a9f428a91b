//! The keys of what the monitor watches: failing destinations, destinations that deliveries wait
//! for, and alerts.

use domain::id::{AlertId, DestinationId, OrganizationId};

use super::{FAILING_PARTITIONS, Key, health, spread};

/// The partition of `failing` that a destination is in.
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

/// Returns the destination that such a sort key names; `None` if it names an alert.
pub(crate) fn failing_of(sort: &str) -> Option<(OrganizationId, DestinationId)> {
    let (organization, destination) = sort.split_once('#')?;
    Some((organization.parse().ok()?, destination.parse().ok()?))
}

/// The sort key in `failing` of an alert that is not announced.
pub(crate) fn unannounced_sort(id: AlertId) -> String {
    format!("ALERT#{id}")
}

/// The key of the item that makes the monitor watch what waits for a destination.
pub(crate) fn waiting(id: DestinationId) -> Key {
    Key::new(health(id).pk, "WAITING")
}

/// The key of the turns and slots of a destination with limits.
pub(crate) fn limits(id: DestinationId) -> Key {
    Key::new(format!("LIMITS#{id}"), "LIMITS")
}

/// The key of the starts of a destination that limits starts alone. It differs from the key of
/// its turns, because an item takes only so many writes a second.
pub(crate) fn starts(id: DestinationId) -> Key {
    Key::new(limits(id).pk, "STARTS")
}

/// A destination's sort key in `failing` while deliveries may wait for it.
pub(crate) fn waiting_sort(organization: OrganizationId, id: DestinationId) -> String {
    format!("WAITING#{}", failing_sort(organization, id))
}

/// Returns the destination that such a sort key names.
pub(crate) fn waiting_of(sort: &str) -> Option<(OrganizationId, DestinationId)> {
    failing_of(sort.strip_prefix("WAITING#")?)
}
