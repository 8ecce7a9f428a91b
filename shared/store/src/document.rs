//! Records that are stored as JSON in one attribute, with separate attributes only for what
//! conditions need.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StoreError;
use crate::attributes::{Item, Put, Reader, json, number};
use crate::expression::Condition;
use crate::keys::{Key, PK};

const DOCUMENT: &str = "doc";
const REVISION: &str = "rev";

/// The outcome of a change that requires a certain revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// The change was saved.
    Done,
    /// The change was not saved, because another change came first.
    Conflict,
}

/// Makes the item of a record.
pub(crate) fn item(key: &Key, thing: &impl Serialize) -> Item {
    let mut item = key.item();
    item.put(DOCUMENT, json(thing));
    item
}

/// Makes the item of a record that counts its changes.
pub(crate) fn revised(key: &Key, thing: &impl Serialize, revision: u64) -> Item {
    let mut item = item(key, thing);
    item.put(REVISION, number(revision));
    item
}

/// Reads the record in an item.
pub(crate) fn read<T: DeserializeOwned>(item: &Item) -> Result<T, StoreError> {
    Reader(item).json(DOCUMENT)
}

/// Requires that the record has this revision.
pub(crate) fn at_revision(revision: u64) -> Condition {
    let mut condition = Condition::default();
    condition.equals(REVISION, number(revision));
    condition
}

/// Requires that the stored record equals this one exactly.
pub(crate) fn unchanged(thing: &impl Serialize) -> Condition {
    let mut condition = Condition::default();
    condition.equals(DOCUMENT, json(thing));
    condition
}

/// Requires that the item does not exist.
pub(crate) fn absent() -> Condition {
    let mut condition = Condition::default();
    condition.missing(PK);
    condition
}

/// Requires that the item exists.
pub(crate) fn present() -> Condition {
    let mut condition = Condition::default();
    condition.exists(PK);
    condition
}
