//! Deliveries: committed with their message, leased, settled, transitioned, listed, and found again
//! when they are due.
//!
//! Every change of a delivery is one conditional write of its item. The condition is that
//! `generation`, `attempts` and `status` are as they were read.

mod accepted;
mod add;
mod attempts;
mod backlog;
mod body;
#[cfg(test)]
mod coding;
mod commit;
mod compression;
mod count;
mod due;
pub(crate) mod item;
mod list;
mod object;
mod open;
mod payload;
mod pending;
mod pending_of_each;
mod read;
mod record;
#[cfg(test)]
mod sample;
mod settle;
mod size;
mod transition;
mod work;

pub use accepted::Missed;
pub use add::Added;
pub use backlog::Backlog;
pub use body::{SentBody, StoredBody};
pub use commit::Committed;
pub use due::{DueAfter, DueEntry};
pub use list::{DeliveryFilter, MessageFilter};
pub use object::{ObjectHead, ObjectLink, ObjectLocation, OwnObject, Unreadable, UploadTerms};
pub use payload::Content;
pub(crate) use payload::OwnObjects;
pub use settle::Settled;
pub use transition::Leased;
pub use work::{Work, WorkKey};
