//! Consumed capacity, which is always measured and returned as far as the caller requested it.

use dynoxide::types::ConsumedCapacity;

use crate::call::Consumed;

/// How much of the measurement the caller requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestedCapacity {
    Nothing,
    Total,
    Indexes,
    /// An invalid value, which stays in the request so that the engine refuses it.
    Invalid,
}

impl RequestedCapacity {
    /// Reads what the caller requested, and requests everything instead.
    pub(super) fn replace(asked: &mut Option<String>) -> Self {
        let was = match asked.as_deref() {
            None | Some("NONE") => Self::Nothing,
            Some("TOTAL") => Self::Total,
            Some("INDEXES") => Self::Indexes,
            Some(_) => return Self::Invalid,
        };
        *asked = Some("INDEXES".into());
        was
    }
}

/// Whether the units of a request are read or write units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

/// The capacity field of a response: one entry, or one for each table.
pub(super) trait Meter: Sized {
    fn take(&mut self) -> Vec<ConsumedCapacity>;
    fn put(&mut self, entries: Vec<ConsumedCapacity>);
}

impl Meter for Option<ConsumedCapacity> {
    fn take(&mut self) -> Vec<ConsumedCapacity> {
        Option::take(self).into_iter().collect()
    }
    fn put(&mut self, entries: Vec<ConsumedCapacity>) {
        *self = entries.into_iter().next();
    }
}

impl Meter for Option<Vec<ConsumedCapacity>> {
    fn take(&mut self) -> Vec<ConsumedCapacity> {
        Option::take(self).unwrap_or_default()
    }
    fn put(&mut self, entries: Vec<ConsumedCapacity>) {
        *self = Some(entries);
    }
}

/// Removes the measurement from a response and puts back what was requested.
pub(super) fn measure(
    field: &mut impl Meter,
    asked: RequestedCapacity,
    kind: Kind,
) -> Vec<Consumed> {
    let mut entries = field.take();
    let consumed = entries.iter().map(|entry| consumed(entry, kind)).collect();
    match asked {
        RequestedCapacity::Nothing | RequestedCapacity::Invalid => {}
        RequestedCapacity::Total => {
            for entry in &mut entries {
                entry.table = None;
                entry.global_secondary_indexes = None;
                entry.local_secondary_indexes = None;
                entry.vector_indexes = None;
            }
            field.put(entries);
        }
        RequestedCapacity::Indexes => field.put(entries),
    }
    consumed
}

fn consumed(entry: &ConsumedCapacity, kind: Kind) -> Consumed {
    let indexes = entry
        .global_secondary_indexes
        .iter()
        .flatten()
        .map(|(name, detail)| (name.clone(), detail.capacity_units))
        .collect();
    let (read, write) = match kind {
        Kind::Read => (entry.capacity_units, 0.0),
        Kind::Write => (0.0, entry.capacity_units),
    };
    Consumed {
        table: entry.table_name.clone(),
        read,
        write,
        indexes,
    }
}
