//! Answers: JSON, with the headers that some have.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, StatusCode};
use operations::Refusal;
use operations::message::Download;
use serde::Serialize;

/// Says that an answer is that of an earlier request with the same `Idempotency-Key`.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What a handler answers with.
pub(crate) type Answer = Result<Response, Refused>;

/// A refusal on its way to the envelope, which writes it as a problem.
#[derive(Debug)]
pub(crate) struct Refused(Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self.0);
        response
    }
}

/// 200.
pub(crate) fn ok(view: impl Serialize) -> Answer {
    Ok(Json(view).into_response())
}

/// 200, of something with a revision.
pub(crate) fn ok_tagged(view: impl Serialize, revision: u64) -> Answer {
    Ok(([(ETAG, format!("\"{revision}\""))], Json(view)).into_response())
}

/// 201, and where it is from now on.
pub(crate) fn created(location: String, view: impl Serialize) -> Answer {
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(view)).into_response())
}

/// 201, of something with a revision.
pub(crate) fn created_tagged(location: String, view: impl Serialize, revision: u64) -> Answer {
    Ok((StatusCode::CREATED, [(LOCATION, location), (ETAG, format!("\"{revision}\""))], Json(view)).into_response())
}

/// 202, and where to look for it.
pub(crate) fn accepted(location: Option<String>, view: impl Serialize, replayed: bool) -> Answer {
    let mut response = (StatusCode::ACCEPTED, Json(view)).into_response();
    if let Some(location) = location.and_then(|location| HeaderValue::from_str(&location).ok()) {
        response.headers_mut().insert(LOCATION, location);
    }
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// 204.
pub(crate) fn no_content() -> Answer {
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// 303, to a place that is good for a short time.
pub(crate) fn see_other(url: &str) -> Answer {
    Ok((StatusCode::SEE_OTHER, [(LOCATION, url.to_owned()), (CACHE_CONTROL, "no-store".to_owned())]).into_response())
}

/// Bytes that a customer gave us: downloaded, never shown as a page of ours.
pub(crate) fn download(download: Download) -> Answer {
    let content_type = HeaderValue::from_str(&download.info.content_type);
    let content_type = content_type.unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
    let mut response = download.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CONTENT_DISPOSITION, disposition(download.info.filename.as_deref()));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    Ok(response)
}

/// RFC 6266, with the name in RFC 8187's encoding alone: every current client reads it.
fn disposition(filename: Option<&str>) -> HeaderValue {
    let Some(name) = filename else { return HeaderValue::from_static("attachment") };
    let mut value = "attachment; filename*=UTF-8''".to_owned();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            value.push(char::from(byte));
        } else {
            value.push_str(&format!("%{byte:02X}"));
        }
    }
    HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_encoded() {
        assert_eq!(disposition(None), "attachment");
        assert_eq!(disposition(Some("a \"b\";é.csv")), "attachment; filename*=UTF-8''a%20%22b%22%3B%C3%A9.csv");
    }
}
