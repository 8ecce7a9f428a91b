//! Tests deliveries to object storage, against servers that require credentials and keep state.

#![allow(
    missing_docs,
    reason = "tests are named so that they read as what they hold"
)]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests have the machine's clock and may fail anywhere"
)]

mod azure;
mod bucket;
mod connectors;
mod contract;
mod gcs;
mod odd_s3;
mod s3;
mod way_out;
