//! The store on the embedded engine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod configuration;
mod deliveries;
mod fixture;
mod golden;
