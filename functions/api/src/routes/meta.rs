//! The version and limits of this deployment, and its documentation.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse as _};
use axum::routing::get;
use operations::view::meta::Meta;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::answer::{Answer, ok};
use crate::extract::Call;
use crate::{docs, openapi};

pub(crate) fn router() -> Router<Api> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/docs", get(read_docs))
        .route("/v1/openapi.json", get(read_openapi))
        .route("/v1/meta", get(read_meta))
}

/// The response of `GET /healthz`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Alive {
    /// Always `ok`.
    status: &'static str,
}

/// Check whether the service is up.
#[utoipa::path(get, path = "/healthz", tag = "About", security(()),
    responses((status = 200, description = "The service is up.", body = Alive)))]
pub(crate) async fn healthz() -> Answer {
    ok(Alive { status: "ok" })
}

/// Read this documentation as a page.
#[utoipa::path(get, path = "/docs", tag = "About", security(()),
    responses((status = 200, description = "The documentation.", content_type = "text/html",
        body = String)))]
pub(crate) async fn read_docs() -> Answer {
    Ok((
        [("content-security-policy", docs::policy())],
        Html(docs::page()),
    )
        .into_response())
}

/// Read this documentation as an OpenAPI 3.1 document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "About", security(()),
    responses((status = 200, description = "The OpenAPI document, in JSON.", body = Object)))]
pub(crate) async fn read_openapi() -> Answer {
    Ok(([(CONTENT_TYPE, "application/json")], openapi::DOCUMENT).into_response())
}

/// Version, roles and limits.
#[utoipa::path(get, path = "/v1/meta", tag = "About",
    responses((status = 200, description = "Version, roles and limits.", body = Meta)))]
pub(crate) async fn read_meta(call: Call) -> Answer {
    ok(call.operations.meta(call.query)?)
}
