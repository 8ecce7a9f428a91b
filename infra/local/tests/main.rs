//! Tests of the template reader and the triggers, with the real template and engines.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod agreement;
mod bus;
mod console_calls;
mod events;
mod opened;
mod policies;
mod poller;
mod process;
mod template;
