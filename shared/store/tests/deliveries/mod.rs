//! Deliveries: what is committed, settled, changed, listed and paid.

mod attempts;
mod budget;
mod commit;
mod due;
mod lists;
mod settle;
mod transitions;
pub(crate) mod words;
