//! What handlers answer with.

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use front::Refused;
use http::header::LOCATION;
use http::{HeaderName, HeaderValue, StatusCode};
use operations::{Page, Refusal, RefusalCode};

/// Tells htmx to go to another page.
pub(crate) const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");
/// htmx says that it asks.
pub(crate) const HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");

/// What a handler answers with.
pub(crate) type Answer = Result<Response, Refused>;

/// A page.
pub(crate) fn page(template: &impl Template) -> Answer {
    page_as(StatusCode::OK, template)
}

/// A page with a status of its own.
pub(crate) fn page_as(status: StatusCode, template: &impl Template) -> Answer {
    let html = template.render().map_err(Refusal::internal)?;
    Ok((status, Html(html)).into_response())
}

/// 303: what was asked for is done; look here.
pub(crate) fn see(path: &str) -> Response {
    match HeaderValue::from_str(path) {
        Ok(path) => (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response(),
        Err(_) => (StatusCode::SEE_OTHER, [(LOCATION, "/")]).into_response(),
    }
}

/// A list, or what is wrong with the filter that it was asked with: then the page shows its filter
/// again.
pub(crate) fn list_or_problem<T: serde::Serialize>(
    found: Result<Page<T>, Refusal>,
) -> Result<(Page<T>, Option<String>), Refusal> {
    match found {
        Ok(found) => Ok((found, None)),
        // Which organization is meant is asked for on a page of its own.
        Err(refusal) if refusal.code == RefusalCode::OrganizationRequired => Err(refusal),
        Err(refusal)
            if refusal.is_invalid()
                && refusal.errors.iter().any(|error| error.parameter.is_some()) =>
        {
            let mistakes = refusal.errors.iter().map(|error| {
                let name = error
                    .parameter
                    .as_deref()
                    .unwrap_or_default()
                    .replace('_', " ");
                crate::show::sentence(&format!("{name}: {}", error.detail))
            });
            let text = format!(
                "The filter cannot be used. {}",
                mistakes.collect::<Vec<_>>().join(" ")
            );
            Ok((Page::empty(), Some(text)))
        }
        Err(refusal) => Err(refusal),
    }
}
