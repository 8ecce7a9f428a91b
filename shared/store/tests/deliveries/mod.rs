//! Deliveries: what is committed, settled, changed, listed and paid.

mod attempts;
mod budget;
mod commit;
mod due;
mod lists;
mod pending;
mod settle;
mod together;
mod transitions;
mod unreadable;
pub(crate) mod words;
