//! `Idempotency-Key` for every POST without a protocol of its own: the key is claimed, the request
//! run and the claim concluded, or an earlier response is replayed.

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use domain::id::OrganizationId;
use domain::role::Permission;
use http::header::{ETAG, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use operations::{Admission, Context, Query, Refusal, RequestOutcome, StoredAnswer};

use crate::Api;
use crate::answer::{REPLAYED, Refused};
use crate::extract::{Unreadable, read};

/// The state of the layer for one route.
#[derive(Clone)]
pub(crate) struct IdempotencyLayer {
    pub(crate) api: Api,
    /// The permission that the route's operation requires, so that responses are only replayed to
    /// callers who hold it.
    pub(crate) permission: Permission,
}

/// Runs a request once for each key.
pub(crate) async fn once(
    State(state): State<IdempotencyLayer>,
    request: Request,
    next: Next,
) -> Response {
    let context = request.extensions().get::<Context>().cloned();
    match context {
        Some(context)
            if context.idempotency_key.is_some() && context.caller.role.may(state.permission) =>
        {
            run(&state.api, &context, request, next)
                .await
                .unwrap_or_else(|refusal| Refused::from(refusal).into_response())
        }
        _ => next.run(request).await,
    }
}

async fn run(
    api: &Api,
    context: &Context,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let (mut parts, body) = request.into_parts();
    let bytes = match read(body).await {
        Ok(bytes) => bytes,
        Err(refusal) => {
            parts.extensions.insert(Unreadable(refusal));
            return Ok(next
                .run(Request::from_parts(parts, axum::body::Body::empty()))
                .await);
        }
    };
    let operations = api.operations().await?;
    let named = Query::parse(parts.uri.query())
        .take_all("organization_id")
        .pop();
    let named: Option<OrganizationId> = named.and_then(|id| id.parse().ok());
    let admission = operations
        .admit(context, context.caller.organization.or(named), &bytes)
        .await?;
    let mut request = Request::from_parts(parts, axum::body::Body::from(bytes));
    match admission {
        None => Ok(next.run(request).await),
        Some(Admission::Replay(answer)) => Ok(replay(answer)),
        Some(Admission::Run(permit, reserved)) => {
            request.extensions_mut().insert(Context {
                reserved: Some(reserved),
                ..context.clone()
            });
            let (response, outcome) = outcome_of(next.run(request).await).await?;
            operations.conclude(permit, outcome).await;
            Ok(response)
        }
    }
}

/// Returns the response, and what its idempotency key records of it.
async fn outcome_of(response: Response) -> Result<(Response, RequestOutcome), Refusal> {
    if response.status().is_server_error() {
        return Ok((response, RequestOutcome::Failed));
    }
    if !response.status().is_success() {
        return Ok((response, RequestOutcome::Refused));
    }
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.map_err(Refusal::internal)?.to_bytes();
    let header = |name: HeaderName| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let stored = StoredAnswer {
        status: parts.status.as_u16(),
        location: header(LOCATION),
        etag: header(ETAG),
        body: serde_json::from_slice(&bytes).map_err(Refusal::internal)?,
    };
    Ok((
        Response::from_parts(parts, axum::body::Body::from(bytes)),
        RequestOutcome::Succeeded(stored),
    ))
}

fn replay(answer: StoredAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, Json(answer.body)).into_response();
    for (name, value) in [(LOCATION, answer.location), (ETAG, answer.etag)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
