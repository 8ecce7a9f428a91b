//! The HTTP API: HTTP and nothing else. Every request passes, in this order:
//!
//! 1. [`envelope`]: gets its id, answers panics with a 500, turns every [`operations::Refusal`] into an RFC 9457 problem, logs a line;
//! 2. [`authentication`]: finds the caller behind its API key;
//! 3. [`idempotency`], for a POST with an `Idempotency-Key`: claims the key, or replays the answer it had before;
//! 4. a handler in [`routes`], which calls one operation and writes its view as JSON.
//!
//! [`openapi`] is made from the handlers' own annotations and the views' types.

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

/// The router of the whole API.
pub fn build(platform: &Platform, config: Config) -> Router {
    let api = Api::new(platform.clone(), config);
    routes::router(&api)
        .layer(from_fn_with_state(api.clone(), authentication::authenticate))
        .layer(from_fn_with_state(api.clone(), envelope::envelope))
        .with_state(api)
}
