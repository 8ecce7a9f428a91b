//! `/v1/oauth2`.

use axum::extract::{RawQuery, State};
use axum::response::{Html, IntoResponse as _};
use axum::routing::get;
use axum::{Extension, Router};
use domain::role::Permission;
use http::StatusCode;
use operations::authorization::{CALLBACK_PATH, Consented, CreateAuthorization};
use operations::view::authorization::{AuthorizationView, NewAuthorization};
use operations::{Input, Query};

use super::post_once;
use crate::Api;
use crate::answer::{Answer, created, no_content, ok};
use crate::docs::escape;
use crate::extract::{Call, Content};
use front::RequestFacts;

pub(crate) fn router(api: &Api) -> Router<Api> {
    Router::new()
        .route(
            "/v1/oauth2/authorizations",
            post_once(api, Permission::ManageDestinations, create_authorization),
        )
        .route(
            "/v1/oauth2/authorizations/{id}",
            get(get_authorization).delete(delete_authorization),
        )
        .route(CALLBACK_PATH, get(finish_authorization))
}

/// Request a person's consent to send from their mailbox.
///
/// The person opens `url` in a browser within the hour. Then an e-mail destination can name the
/// authorization:
/// `"credentials": {"kind": "oauth2_authorization", "authorization_id": "oau_…", "username": "…"}`.
#[utoipa::path(post, path = "/v1/oauth2/authorizations", tag = "Destinations",
    request_body = CreateAuthorization,
    responses((status = 201, description = "The request for consent was created.",
        body = NewAuthorization),
        (status = 409, description = "`limit_reached`: the organization already has 100 \
             authorizations.")))]
pub(crate) async fn create_authorization(call: Call, Content(body): Content) -> Answer {
    let new = call
        .operations
        .create_authorization(&call.ctx, Input::request(call.query, body))
        .await?;
    created(format!("/v1/oauth2/authorizations/{}", new.view.id), new)
}

/// Read an authorization, with whether the person has consented.
#[utoipa::path(get, path = "/v1/oauth2/authorizations/{id}", tag = "Destinations",
    params(("id" = String, Path)),
    responses((status = 200, description = "The authorization.", body = AuthorizationView)))]
pub(crate) async fn get_authorization(call: Call<String>) -> Answer {
    ok(call
        .operations
        .authorization(&call.ctx, &call.path, call.query)
        .await?)
}

/// Delete an authorization. Destinations that use it can no longer sign in.
#[utoipa::path(delete, path = "/v1/oauth2/authorizations/{id}", tag = "Destinations",
    params(("id" = String, Path)),
    responses((status = 204, description = "The object was deleted.")))]
pub(crate) async fn delete_authorization(call: Call<String>) -> Answer {
    call.operations
        .delete_authorization(&call.ctx, &call.path, call.query)
        .await?;
    no_content()
}

/// Handle the browser that a provider redirects back, and respond with a page.
#[utoipa::path(get, path = "/v1/oauth2/callback", tag = "Destinations", security(()),
    params(
        ("state" = Option<String>, Query, description = "Identifies the request for consent that \
             the response belongs to."),
        ("code" = Option<String>, Query, description = "The authorization code, which is \
             exchanged for a refresh token."),
        ("error" = Option<String>, Query, description = "The error with which the provider \
             refused, if it sent no code."),
    ),
    responses(
        (status = 200, description = "A page that says whether Waybill can now sign in to the \
             mailbox or consent was refused.", content_type = "text/html", body = String),
        (status = 404, description = "No request for consent with this state is pending.",
            content_type = "text/html", body = String),
    ))]
pub(crate) async fn finish_authorization(
    State(api): State<Api>,
    Extension(facts): Extension<RequestFacts>,
    RawQuery(query): RawQuery,
) -> Answer {
    let consented = api
        .operations()
        .await?
        .finish_authorization(
            Query::parse(query.as_deref()),
            facts.ip.as_deref(),
            &facts.id,
        )
        .await?;
    let (status, title, text) = match consented {
        Consented::Granted(detail) => (
            StatusCode::OK,
            "Access was granted",
            format!("{detail}. You can close this page."),
        ),
        Consented::Refused(detail) => (
            StatusCode::OK,
            "Access was not granted",
            format!("{detail}."),
        ),
        Consented::Again(detail) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Not finished yet",
            format!("{detail}. Load this page again in a moment."),
        ),
        Consented::Unknown => {
            let text =
                "The request is unknown, was answered before, or has expired. Ask for a new one.";
            (
                StatusCode::NOT_FOUND,
                "No request waits for this",
                text.to_owned(),
            )
        }
    };
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action \
         'none'; frame-ancestors 'none'";
    let headers = [
        ("content-security-policy", policy),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ];
    Ok((status, headers, Html(page(title, &text))).into_response())
}

fn page(title: &str, text: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title} · Waybill</title><style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}}\
         :root{{color-scheme:light dark}}</style><main><h1>{title}</h1><p>{}</p></main></html>",
        escape(text)
    )
}
