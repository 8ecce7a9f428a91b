//! The console as people use it: tasks, each a file in `tasks/`, done at a browser against the
//! running process and real receivers.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod bodies;
mod looking;
mod managing;
mod signing_in;
mod stage;
mod strangers;
mod waiting;
