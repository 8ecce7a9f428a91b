//! The routes, with one file for each noun. Each handler calls one operation.

pub(crate) mod alerts;
pub(crate) mod api_keys;
pub(crate) mod audit_events;
pub(crate) mod authorizations;
pub(crate) mod deliveries;
pub(crate) mod destinations;
pub(crate) mod jobs;
pub(crate) mod messages;
pub(crate) mod meta;
pub(crate) mod organizations;
pub(crate) mod portal_links;
pub(crate) mod statistics;

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, post};
use domain::role::Permission;
use operations::{Refusal, RefusalCode};

use crate::Api;
use crate::answer::Refused;
use crate::idempotency::{IdempotencyLayer, once};

/// Builds all routes, with the responses for unknown paths and methods.
pub(crate) fn router(api: &Api) -> Router<Api> {
    Router::new()
        .merge(meta::router())
        .merge(organizations::router(api))
        .merge(api_keys::router(api))
        .merge(destinations::router(api))
        .merge(messages::router(api))
        .merge(authorizations::router(api))
        .merge(deliveries::router(api))
        .merge(statistics::router())
        .merge(alerts::router())
        .merge(jobs::router(api))
        .merge(audit_events::router())
        .merge(portal_links::router(api))
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
}

/// Routes a POST whose response is stored under its `Idempotency-Key` for callers who hold the
/// permission.
fn post_once<H, T>(api: &Api, permission: Permission, handler: H) -> MethodRouter<Api>
where
    H: Handler<T, Api>,
    T: 'static,
{
    post(handler.layer(from_fn_with_state(
        IdempotencyLayer {
            api: api.clone(),
            permission,
        },
        once,
    )))
}

async fn unknown_path() -> Refused {
    Refusal::not_found().into()
}

async fn method_not_allowed() -> Refused {
    Refusal::new(
        RefusalCode::MethodNotAllowed,
        "this path does not take this method; `Allow` names those that it takes",
    )
    .into()
}
