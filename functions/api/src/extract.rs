//! What handlers extract from a request. Extraction never refuses a request: mistakes are reported
//! in the documented order, when the body is read.

use std::convert::Infallible;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use bytes::Bytes;
use domain::limits::BODY_MAX_BYTES;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, IF_MATCH};
use http::request::Parts;
use http_body_util::{BodyExt as _, Limited};
use operations::{Body, Context, Query, Refusal};

use crate::answer::Refused;
use crate::authentication::MalformedKey;

/// The most characters of an unsupported content coding that an error quotes.
const CODING_SHOWN_MAX: usize = 64;

/// The context of an authenticated request, with its caller.
pub(crate) struct Asker(pub(crate) Context);

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = Refused;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let context = parts.extensions.get::<Context>().cloned();
        context
            .map(Self)
            .ok_or_else(|| Refusal::internal("the route is not authenticated").into())
    }
}

/// The query parameters of the request.
pub(crate) struct Parameters(pub(crate) Query);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Query::parse(parts.uri.query())))
    }
}

/// The ids in the path, as text. An id that is not valid text does not exist.
pub(crate) struct Ids<T>(pub(crate) T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned + Send> FromRequestParts<S> for Ids<T> {
    type Rejection = Refused;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(ids)| Self(ids))
            .map_err(|_| Refusal::not_found().into())
    }
}

/// The value of the `If-Match` header, if the request has one.
pub(crate) struct IfMatch(pub(crate) Option<String>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // A header that is not text matches no revision.
        Ok(Self(parts.headers.get(IF_MATCH).map(|value| {
            value.to_str().unwrap_or_default().to_owned()
        })))
    }
}

/// The body. A mistake in it is reported when it is read.
pub(crate) struct Content(pub(crate) Body);

impl<S: Send + Sync> FromRequest<S> for Content {
    type Rejection = Infallible;
    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        let (parts, body) = request.into_parts();
        let read = match parts.extensions.get::<Unreadable>() {
            Some(Unreadable(refusal)) => Err(refusal.clone()),
            None => read(body).await,
        };
        let empty = read.as_ref().is_ok_and(Bytes::is_empty);
        let body = match (read, parts.extensions.get::<MalformedKey>()) {
            _ if !empty && coding(&parts).is_some() => Body::refused(Refusal::unsupported_coding(
                &coding(&parts).unwrap_or_default(),
            )),
            _ if !empty && !is_json(&parts) => Body::refused(Refusal::unsupported_media_type()),
            (Err(refusal), _) => Body::refused(refusal),
            (_, Some(MalformedKey(mistake))) => Body::refused(Refusal::malformed(format!(
                "the header Idempotency-Key {mistake}"
            ))),
            (Ok(bytes), None) => Body::new(bytes),
        };
        Ok(Self(body))
    }
}

/// The reason why an earlier layer could not read the body.
#[derive(Clone, Debug)]
pub(crate) struct Unreadable(pub(crate) Refusal);

/// Reads the whole body, up to the limit.
pub(crate) async fn read(body: axum::body::Body) -> Result<Bytes, Refusal> {
    match Limited::new(body, BODY_MAX_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Refusal::too_large(
            format!("a request body has at most {BODY_MAX_BYTES} bytes"),
        )),
        Err(error) => Err(Refusal::malformed(format!("the body broke off: {error}"))),
    }
}

/// Returns the content coding of the body, if it has one (RFC 9110, 8.4).
fn coding(parts: &Parts) -> Option<String> {
    let header = parts
        .headers
        .get(CONTENT_ENCODING)?
        .to_str()
        .unwrap_or("an unreadable coding")
        .trim();
    (!header.is_empty() && !header.eq_ignore_ascii_case("identity"))
        .then(|| header.chars().take(CODING_SHOWN_MAX).collect())
}

fn is_json(parts: &Parts) -> bool {
    let header = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = header.split(';').next().unwrap_or_default().trim();
    ["application/json", "application/merge-patch+json"]
        .iter()
        .any(|accepted| essence.eq_ignore_ascii_case(accepted))
}
