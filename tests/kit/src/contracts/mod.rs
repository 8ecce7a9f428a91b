//! What our code relies on of each service, as code: run on the embedded engines and on independent implementations. A row that
//! passes on both is what AWS does; a row that passes on the embedded engine alone would be our imagination.

#![allow(clippy::unwrap_used, reason = "a panic is how a contract fails")]

pub mod keys;
pub mod objects;
pub mod queue;
pub mod secrets;
pub mod table;
