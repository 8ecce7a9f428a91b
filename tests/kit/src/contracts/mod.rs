//! What the code relies on of each AWS service, as tests that run on the embedded engines and on
//! independent implementations. A test that passes on both describes AWS; one that passed only on
//! an embedded engine would describe only that engine.

#![allow(clippy::unwrap_used, reason = "a panic is how a contract fails")]

pub mod keys;
pub mod objects;
pub mod queue;
pub mod secrets;
pub mod table;
