//! The responses of the handlers.

use askama::Template;
use axum::Extension;
use axum::response::{Html, IntoResponse as _, Response};
use front::Refused;
use http::header::LOCATION;
use http::{HeaderName, HeaderValue, StatusCode};
use operations::{Page, Refusal, RefusalCode, RefusalKind};

/// The response header that makes htmx load another page.
pub(crate) const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");
/// The request header that htmx sends with each of its requests.
pub(crate) const HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");

/// The result of a handler: a response, or a refusal that the envelope renders.
pub(crate) type Answer = Result<Response, Refused>;

/// An extension of each response that is a rendered page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rendered;

/// Renders a template as a page with the status 200.
pub(crate) fn page(template: &impl Template) -> Answer {
    page_as(StatusCode::OK, template)
}

/// Renders a template as a page with the given status.
pub(crate) fn page_as(status: StatusCode, template: &impl Template) -> Answer {
    let html = template.render().map_err(Refusal::internal)?;
    Ok((status, Extension(Rendered), Html(html)).into_response())
}

/// Redirects with 303 to `path`, or to `/` if `path` is not a valid header value.
pub(crate) fn see_other(path: &str) -> Response {
    match HeaderValue::from_str(path) {
        Ok(path) => (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response(),
        Err(_) => (StatusCode::SEE_OTHER, [(LOCATION, "/")]).into_response(),
    }
}

/// Returns what a page can be shown without: `None` if it does not exist, for example because it
/// was deleted, or is no longer kept. Other refusals are returned.
pub(crate) fn if_available<T>(found: Result<T, Refusal>) -> Result<Option<T>, Refusal> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(refusal) if matches!(refusal.kind(), RefusalKind::NotFound | RefusalKind::Gone) => {
            Ok(None)
        }
        Err(refusal) => Err(refusal),
    }
}

/// Logs the failure of a read without whose result the page is shown.
pub(crate) fn log_unread(what: &str, refusal: &Refusal) {
    tracing::error!(
        what,
        code = %refusal.code,
        error = refusal.chain(),
        "a read failed; the page is shown without it"
    );
}

/// Turns a refusal of a list's filter into an empty list and a sentence that describes the
/// mistakes, so that the page can show its filter again. Other refusals are returned.
pub(crate) fn list_or_problem<T: serde::Serialize>(
    found: Result<Page<T>, Refusal>,
) -> Result<(Page<T>, Option<String>), Refusal> {
    match found {
        Ok(found) => Ok((found, None)),
        // The envelope redirects to the page on which an organization is chosen.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_missing_objects_are_left_out_of_a_page() {
        let found =
            |code| if_available::<()>(Err(Refusal::new(code, "…"))).map_err(|found| found.code);
        assert_eq!(if_available(Ok(1)).unwrap(), Some(1));
        assert_eq!(found(RefusalCode::NotFound), Ok(None));
        assert_eq!(found(RefusalCode::PayloadExpired), Ok(None));
        let failures = [RefusalCode::Unavailable, RefusalCode::InternalError];
        for code in failures {
            assert_eq!(found(code), Err(code));
        }
    }
}
