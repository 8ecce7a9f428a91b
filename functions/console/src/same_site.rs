//! Refuses requests that change something and come from another site.
//!
//! The token of a form prevents other sites from acting in a session. Signing in and opening a
//! portal link happen without a session, so another site could sign its visitors in to a foreign
//! account. Therefore every request with an unsafe method must come from this site according to
//! `Sec-Fetch-Site` or, if that header is absent, `Origin`. A request with neither header does not
//! come from a browser, so no site can have caused it.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use front::{Refused, RequestFacts};
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderName};
use operations::{Refusal, RefusalCode};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses requests with an unsafe method that come from another site.
pub(crate) async fn same_site(request: Request, next: Next) -> Response {
    let base_url = request
        .extensions()
        .get::<RequestFacts>()
        .map(|facts| facts.base_url.as_str())
        .unwrap_or_default();
    if request.method().is_safe() || is_own(request.headers(), base_url) {
        return next.run(request).await;
    }
    telemetry::metrics::security_event("cross_site_request");
    tracing::warn!(security_event = true, "cross_site_request");
    let detail = "this request came from another site; open the page here and send it again";
    Refused::from(Refusal::new(RefusalCode::CrossSiteRequest, detail)).into_response()
}

/// Whether a request comes from this site or from no browser.
fn is_own(headers: &HeaderMap, base_url: &str) -> bool {
    let text = |name: &HeaderName| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    match (text(&SEC_FETCH_SITE), text(&ORIGIN)) {
        // `none`: a person caused the request directly (Fetch Metadata Request Headers, 2.3).
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            origin == base_url || (authority.is_some() && authority == text(&HOST))
        }
        (None, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_own_request(headers: &[(&'static str, &'static str)]) -> bool {
        let all = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        is_own(&all.collect(), "https://waybill.example")
    }

    #[test]
    fn a_request_of_another_site_is_recognized() {
        for site in ["cross-site", "same-site", "", "nonsense"] {
            assert!(!is_own_request(&[("sec-fetch-site", site)]), "{site}");
            assert!(
                !is_own_request(&[
                    ("sec-fetch-site", site),
                    ("origin", "https://waybill.example")
                ]),
                "{site}"
            );
        }
        for origin in [
            "null",
            "https://evil.example",
            "http://waybill.example",
            "https://waybill.example.evil.example",
            "",
            "waybill.example",
        ] {
            assert!(!is_own_request(&[("origin", origin)]), "{origin}");
        }
        assert!(!is_own_request(&[
            ("origin", "http://evil.example"),
            ("host", "127.0.0.1:8080")
        ]));
    }

    #[test]
    fn requests_of_the_consoles_pages_and_of_programs_are_accepted() {
        assert!(is_own_request(&[]));
        assert!(is_own_request(&[("sec-fetch-site", "same-origin")]));
        assert!(is_own_request(&[("sec-fetch-site", "none")]));
        assert!(is_own_request(&[("origin", "https://waybill.example")]));
        assert!(is_own_request(&[
            ("origin", "http://127.0.0.1:8080"),
            ("host", "127.0.0.1:8080")
        ]));
    }
}
