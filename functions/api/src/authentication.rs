//! Authentication: every path under `/v1` requires an API key, except the OpenAPI document and the
//! page that OAuth providers redirect to.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::AUTHORIZATION;
use http::{HeaderName, Method};
use operations::authorization::CALLBACK_PATH;
use operations::{Context, IdempotencyKey, Refusal};

use crate::Api;
use crate::answer::Refused;
use front::RequestFacts;

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The request's `Idempotency-Key` is malformed, which is reported after the refusals that come
/// before it.
#[derive(Clone, Debug)]
pub(crate) struct MalformedKey(pub(crate) String);

/// Authenticates the caller, which handlers receive as [`Context`].
pub(crate) async fn authenticate(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if !(path == "/v1" || path.starts_with("/v1/"))
        || path == "/v1/openapi.json"
        || path == CALLBACK_PATH
    {
        return next.run(request).await;
    }
    match context(&api, &mut request).await {
        Ok(context) => {
            request.extensions_mut().insert(context);
            next.run(request).await
        }
        Err(refusal) => Refused::from(refusal).into_response(),
    }
}

async fn context(api: &Api, request: &mut Request) -> Result<Context, Refusal> {
    let facts = request
        .extensions()
        .get::<RequestFacts>()
        .cloned()
        .ok_or_else(|| Refusal::internal("the request has no envelope"))?;
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let operations = api.operations().await?;
    let (caller, routes) = if submits(request) {
        operations
            .authenticate_with_routes(header, facts.ip.as_deref(), &facts.id)
            .await?
    } else {
        (
            operations
                .authenticate(header, facts.ip.as_deref(), &facts.id)
                .await?,
            None,
        )
    };
    operations.admit_request(&caller).await?;
    let key = request
        .headers()
        .get(&IDEMPOTENCY_KEY)
        .map(|value| IdempotencyKey::parse(value.to_str().unwrap_or_default()));
    if let Some(Err(mistake)) = &key {
        request
            .extensions_mut()
            .insert(MalformedKey(mistake.clone()));
    }
    Ok(Context {
        idempotency_key: key.and_then(Result::ok),
        routes,
        ..facts.of(caller)
    })
}

/// Whether the request submits messages, and so needs to know where they may go.
fn submits(request: &Request) -> bool {
    request.method() == Method::POST
        && matches!(request.uri().path(), "/v1/messages" | "/v1/messages/batch")
}
