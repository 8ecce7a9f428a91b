//! The reader and the triggers, on the real template and the real engines.
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
