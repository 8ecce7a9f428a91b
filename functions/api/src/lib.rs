//! The HTTP API, which translates between HTTP and operations. Every request passes through these
//! layers, in this order:
//!
//! 1. [`envelope`] gives the request its id, turns panics into a 500, renders every
//!    [`operations::Refusal`] as an RFC 9457 problem and logs a line;
//! 2. [`authentication`] finds the caller of the API key;
//! 3. [`idempotency`], for a POST with an `Idempotency-Key`, claims the key or replays the earlier
//!    response;
//! 4. a handler in [`routes`] calls one operation and writes its view as JSON.
//!
//! [`openapi`] is made from the annotations of the handlers and the types of the views.

mod answer;
mod authentication;
mod docs;
mod envelope;
mod extract;
mod idempotency;
pub mod openapi;
mod routes;

pub use front::{Config, operations};

use axum::Router;
use axum::middleware::from_fn_with_state;
use runtime::Platform;

use front::Front as Api;

/// Builds the router of the whole API.
pub fn build(platform: &Platform, config: Config) -> Router {
    let api = Api::new(platform.clone(), config);
    routes::router(&api)
        .layer(from_fn_with_state(
            api.clone(),
            authentication::authenticate,
        ))
        .layer(from_fn_with_state(api.clone(), envelope::envelope))
        .with_state(api)
}
