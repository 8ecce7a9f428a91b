//! Answers: JSON, with the headers that some have.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
pub(crate) use front::Refused;
use http::header::{CACHE_CONTROL, ETAG, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use operations::message::Download;
use serde::Serialize;

/// Says that an answer is that of an earlier request with the same `Idempotency-Key`.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What a handler answers with.
pub(crate) type Answer = Result<Response, Refused>;

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

/// A customer's bytes.
pub(crate) fn download(download: Download) -> Answer {
    Ok(front::download(download))
}
