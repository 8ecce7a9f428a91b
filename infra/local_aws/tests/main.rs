//! The engines through the AWS SDK.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod connector;
mod engines;
mod gateway;
mod keys;
mod objects;
mod policies;
mod queue;
mod setup;
mod table;
