//! Tests the e-mail connector against mail servers that behave like real ones, with secrets in the
//! embedded engines.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]
#![allow(
    missing_docs,
    reason = "tests are named so that they read as what they hold"
)]

mod bench;
mod confirmation;
mod content;
mod contract;
mod conversation;
mod exim;
mod refusals;
#[allow(
    dead_code,
    reason = "shared with the webhook's tests, which use all of it"
)]
mod ses;
mod tokens;
