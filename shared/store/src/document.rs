//! Things that are kept whole: JSON in one attribute, and beside it only what conditions need.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StoreError;
use crate::attributes::{Item, Put, Reader, json, number};
use crate::expression::Condition;
use crate::keys::{Key, PK};

const DOCUMENT: &str = "doc";
const REVISION: &str = "rev";

/// What became of a change that was made for one revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It is saved.
    Done,
    /// It is not: something else was changed first.
    Conflict,
}

/// The item of a thing.
pub(crate) fn item(key: &Key, thing: &impl Serialize) -> Item {
    let mut item = key.item();
    item.put(DOCUMENT, json(thing));
    item
}

/// The item of a thing that counts its changes.
pub(crate) fn revised(key: &Key, thing: &impl Serialize, revision: u64) -> Item {
    let mut item = item(key, thing);
    item.put(REVISION, number(revision));
    item
}

/// The thing in an item.
pub(crate) fn read<T: DeserializeOwned>(item: &Item) -> Result<T, StoreError> {
    Reader(item).json(DOCUMENT)
}

/// The thing is as it was at this revision.
pub(crate) fn at_revision(revision: u64) -> Condition {
    let mut condition = Condition::default();
    condition.equals(REVISION, number(revision));
    condition
}

/// The thing is as this one is, to the letter.
pub(crate) fn unchanged(thing: &impl Serialize) -> Condition {
    let mut condition = Condition::default();
    condition.equals(DOCUMENT, json(thing));
    condition
}

/// Nothing is there yet.
pub(crate) fn absent() -> Condition {
    let mut condition = Condition::default();
    condition.missing(PK);
    condition
}

/// It is there.
pub(crate) fn present() -> Condition {
    let mut condition = Condition::default();
    condition.exists(PK);
    condition
}
