//! A refusal as the store put it.

use std::time::Duration;

use domain::attempt::{HEADERS_KEPT_MAX, ResponseRecord};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};

/// Where Azure says what went wrong, also when there is no body.
const AZURE_CODE: &str = "x-ms-error-code";
/// No code of the three is longer.
const CODE_MAX: usize = 100;

/// What a store answered that is not success. Of the body only code and message are kept: some stores send back what was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The store's own name for what went wrong: `NoSuchBucket`.
    pub(crate) code: Option<String>,
    message: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    headers: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, headers: &HeaderMap, body: &str) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let code = text(AZURE_CODE).or_else(|| element(body, "Code")).filter(|code| is_code(code));
        let retry_after = text(RETRY_AFTER.as_str()).and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
        let kept = headers
            .iter()
            .take(HEADERS_KEPT_MAX)
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        Self { status, code, message: element(body, "Message"), retry_after, headers: kept.collect() }
    }

    /// For the attempt's record, which the worker redacts and cuts.
    pub(crate) fn record(&self) -> ResponseRecord {
        let body = [self.code.as_deref(), self.message.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ");
        ResponseRecord { status: self.status.as_u16(), headers: self.headers.clone(), truncated: false, body }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the store answered {}", self.status)?;
        match &self.code {
            Some(code) => write!(f, " {code}"),
            None => Ok(()),
        }
    }
}

/// Whether the body of a success says that it is none: S3 answers 200 before it has put the parts together.
pub(crate) fn is_error_document(body: &str) -> bool {
    let root = body.trim_start().trim_start_matches(|c| c != '>').trim_start_matches('>').trim_start();
    body.trim_start().starts_with("<Error>") || root.starts_with("<Error>")
}

/// The tag of what a copy made.
pub(crate) fn etag(body: &str) -> Option<HeaderValue> {
    let tag = element(body, "ETag")?.replace("&quot;", "\"").replace("&#34;", "\"");
    HeaderValue::from_str(&tag).ok()
}

/// The text of the first element of this name. All three answer with a flat XML document.
fn element(body: &str, name: &str) -> Option<String> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim().to_owned())
}

fn is_code(code: &str) -> bool {
    !code.is_empty() && code.len() <= CODE_MAX && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENIED: &str = "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>No hunter22</Message><Token>t</Token></Error>";

    #[test]
    fn code_and_message_are_kept_and_nothing_else() {
        let answer = Answer::new(StatusCode::FORBIDDEN, &HeaderMap::new(), DENIED);
        assert_eq!(answer.to_string(), "the store answered 403 Forbidden AccessDenied");
        assert_eq!(answer.record().body, "AccessDenied: No hunter22");
    }

    #[test]
    fn azure_names_the_code_in_a_header() {
        let headers = [(http::HeaderName::from_static(AZURE_CODE), "BlobNotFound".parse().unwrap())].into_iter().collect();
        assert_eq!(Answer::new(StatusCode::NOT_FOUND, &headers, "").code.as_deref(), Some("BlobNotFound"));
    }

    #[test]
    fn a_success_may_be_an_error() {
        assert!(is_error_document(DENIED));
        assert!(is_error_document("<Error><Code>SlowDown</Code></Error>"));
        assert!(!is_error_document("<?xml version=\"1.0\"?><CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"));
        assert!(!is_error_document(""));
    }
}
