//! Tests of the API through its router, on embedded engines. The files mirror the URL tree.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]
#![allow(
    missing_docs,
    reason = "tests are named so that they read as what they hold"
)]

#[path = "api/api_keys.rs"]
mod api_keys;
#[path = "api/conventions.rs"]
mod conventions;
#[path = "api/deliveries.rs"]
mod deliveries;
#[path = "api/destinations.rs"]
mod destinations;
#[path = "api/fixture.rs"]
mod fixture;
#[path = "api/idempotency.rs"]
mod idempotency;
#[path = "api/interrupted.rs"]
mod interrupted;
#[path = "api/isolation.rs"]
mod isolation;
#[path = "api/limits.rs"]
mod limits;
#[path = "api/messages.rs"]
mod messages;
#[path = "api/moved_secrets.rs"]
mod moved_secrets;
#[path = "api/openapi.rs"]
mod openapi;
#[path = "api/organizations.rs"]
mod organizations;
#[path = "api/portal_links.rs"]
mod portal_links;
#[path = "api/quotas.rs"]
mod quotas;
