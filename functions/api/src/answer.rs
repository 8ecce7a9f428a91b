//! Makes responses: JSON, with the headers that some have.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
pub(crate) use front::Refused;
use http::header::{CACHE_CONTROL, ETAG, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use operations::message::Download;
use serde::Serialize;

/// The header that marks a response as that of an earlier request with the same `Idempotency-Key`.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The result of a handler.
pub(crate) type Answer = Result<Response, Refused>;

/// Responds with status 200 and the view as JSON.
pub(crate) fn ok(view: impl Serialize) -> Answer {
    Ok(Json(view).into_response())
}

/// Responds with 200 and the revision as `ETag`.
pub(crate) fn ok_tagged(view: impl Serialize, revision: u64) -> Answer {
    Ok(([(ETAG, format!("\"{revision}\""))], Json(view)).into_response())
}

/// Responds with 201 and the location of the new object.
pub(crate) fn created(location: String, view: impl Serialize) -> Answer {
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(view)).into_response())
}

/// Responds with 201, the location of the new object and its revision as `ETag`.
pub(crate) fn created_tagged(location: String, view: impl Serialize, revision: u64) -> Answer {
    Ok((
        StatusCode::CREATED,
        [(LOCATION, location), (ETAG, format!("\"{revision}\""))],
        Json(view),
    )
        .into_response())
}

/// Responds with 202 and, if given, the location of the accepted object.
pub(crate) fn accepted(location: Option<String>, view: impl Serialize, replayed: bool) -> Answer {
    let mut response = (StatusCode::ACCEPTED, Json(view)).into_response();
    if let Some(location) = location.and_then(|location| HeaderValue::from_str(&location).ok()) {
        response.headers_mut().insert(LOCATION, location);
    }
    if replayed {
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Responds with status 204 and no body.
pub(crate) fn no_content() -> Answer {
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Responds with 303 and a location that is valid for a short time.
pub(crate) fn see_other(url: &str) -> Answer {
    Ok((
        StatusCode::SEE_OTHER,
        [
            (LOCATION, url.to_owned()),
            (CACHE_CONTROL, "no-store".to_owned()),
        ],
    )
        .into_response())
}

/// Responds with a customer's bytes as a download.
pub(crate) fn download(download: Download) -> Answer {
    Ok(front::download(download))
}
