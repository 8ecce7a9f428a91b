//! Responses with a customer's bytes, which are downloaded and never shown as a page.

use axum::response::{IntoResponse as _, Response};
use domain::percent::encoded;
use http::HeaderValue;
use http::header::{
    CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use operations::message::Download;

/// Makes a response that browsers save as a file.
#[must_use]
pub fn download(download: Download) -> Response {
    let content_type = HeaderValue::from_str(&download.info.content_type);
    let content_type =
        content_type.unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
    let mut response = download.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(
        CONTENT_DISPOSITION,
        disposition(download.info.filename.as_deref()),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox; default-src 'none'"),
    );
    response
}

/// Makes the header of RFC 6266, with the name only in RFC 8187's encoding, which every current
/// client reads.
fn disposition(filename: Option<&str>) -> HeaderValue {
    let Some(name) = filename else {
        return HeaderValue::from_static("attachment");
    };
    let value = format!("attachment; filename*=UTF-8''{}", encoded(name));
    HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_encoded() {
        assert_eq!(disposition(None), "attachment");
        assert_eq!(
            disposition(Some("a \"b\";é.csv")),
            "attachment; filename*=UTF-8''a%20%22b%22%3B%C3%A9.csv"
        );
    }
}
