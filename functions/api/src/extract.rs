//! What handlers extract from a request. Extraction never refuses a request: mistakes are reported
//! in the documented order, when the body is read.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use bytes::Bytes;
use domain::limits::BODY_MAX_BYTES;
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, IF_MATCH};
use http::request::Parts;
use http_body_util::{BodyExt as _, Limited};
use operations::{Body, Context, Operations, Query, Refusal};

use crate::Api;
use crate::answer::Refused;
use crate::authentication::MalformedKey;

/// The most characters of an unsupported content coding that an error quotes.
const CODING_SHOWN_MAX: usize = 64;

/// A call of an operation by an authenticated caller: everything in the request but its body. `P`
/// has the ids in the path, as text.
pub(crate) struct Call<P = ()> {
    pub(crate) operations: Arc<Operations>,
    pub(crate) ctx: Context,
    pub(crate) path: P,
    pub(crate) query: Query,
    /// The revisions that the `If-Match` header names; `None` if any revision matches.
    pub(crate) if_match: Option<Vec<u64>>,
}

impl<P: serde::de::DeserializeOwned + Send> FromRequestParts<Api> for Call<P> {
    type Rejection = Refused;
    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        let ctx = parts
            .extensions
            .get::<Context>()
            .cloned()
            .ok_or_else(|| Refusal::internal("the route is not authenticated"))?;
        // An id that is not text does not exist.
        let Path(path) = Path::<P>::from_request_parts(parts, api)
            .await
            .map_err(|_| Refusal::not_found())?;
        Ok(Self {
            operations: Arc::clone(api.operations().await?),
            ctx,
            path,
            query: Query::parse(parts.uri.query()),
            if_match: parts.headers.get(IF_MATCH).and_then(revisions),
        })
    }
}

/// Returns the revisions that an `If-Match` header names (RFC 9110 §13.1.1); `None` if it is `*`. A
/// tag that is not a revision matches none.
fn revisions(header: &HeaderValue) -> Option<Vec<u64>> {
    let tags = header
        .to_str()
        .unwrap_or_default()
        .split(',')
        .map(str::trim);
    if tags.clone().any(|tag| tag == "*") {
        return None;
    }
    let revision = |tag: &str| {
        let text = tag.strip_prefix('"')?.strip_suffix('"')?;
        let number: u64 = text.parse().ok()?;
        (number.to_string() == text).then_some(number)
    };
    Some(tags.filter_map(revision).collect())
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
    let essence = domain::media_type::essence(header);
    ["application/json", "application/merge-patch+json"].contains(&&*essence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_if_match_header_names_revisions_by_their_exact_tags() {
        let of = |header: &'static str| revisions(&HeaderValue::from_static(header));
        assert_eq!(of("\"3\""), Some(vec![3]));
        assert_eq!(of("\"3\" , \"12\""), Some(vec![3, 12]));
        for any in ["*", "\"3\", *"] {
            assert_eq!(of(any), None, "{any}");
        }
        for none in ["", "3", "W/\"3\"", "\"03\"", "\"+3\"", "\"x\""] {
            assert_eq!(of(none), Some(Vec::new()), "{none}");
        }
        let bytes = HeaderValue::from_bytes(b"\xff").unwrap();
        assert_eq!(revisions(&bytes), Some(Vec::new()));
    }
}
