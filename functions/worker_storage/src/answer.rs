//! A refusal by an object store.

use std::time::Duration;

use domain::Timestamp;
use domain::attempt::{HEADERS_KEPT_MAX, ResponseRecord};
use domain::retry::retry_after;
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};

/// The header in which Azure reports an error code, also for answers without a body.
const AZURE_CODE: &str = "x-ms-error-code";
/// The header in which S3 reports a bucket's region.
const BUCKET_REGION: &str = "x-amz-bucket-region";
const REGION_MAX: usize = 40;
/// The longest error code that is accepted. No code of the three providers is longer.
const CODE_MAX: usize = 100;

/// S3's error codes for a request to a region that the bucket is not in.
const OTHER_REGION: &[&str] = &[
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
];

/// An answer of a store that is not a success. Of its body, only code and message are kept, because
/// some stores return the signed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The store's error code, such as `NoSuchBucket`.
    pub(crate) code: Option<String>,
    message: Option<String>,
    /// The region in which the bucket is, according to S3.
    region: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    headers: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, headers: &HeaderMap, body: &str, now: Timestamp) -> Self {
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let code = text(AZURE_CODE)
            .or_else(|| element(body, "Code"))
            .filter(|code| is_code(code));
        let asked = text(RETRY_AFTER.as_str());
        let retry_after =
            asked.and_then(|value| retry_after(&value, text(DATE.as_str()).as_deref(), now));
        let region = text(BUCKET_REGION)
            .or_else(|| element(body, "Region"))
            .filter(|region| is_region(region));
        let shown = headers.iter().take(HEADERS_KEPT_MAX).map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        });
        Self {
            status,
            code,
            message: element(body, "Message"),
            region,
            retry_after,
            headers: shown.collect(),
        }
    }

    /// Returns the bucket's region if the request was sent to another one.
    pub(crate) fn other_region(&self) -> Option<&str> {
        let is_elsewhere = matches!(self.status, StatusCode::MOVED_PERMANENTLY)
            || self
                .code
                .as_deref()
                .is_some_and(|code| OTHER_REGION.contains(&code));
        self.region.as_deref().filter(|_| is_elsewhere)
    }

    /// Returns an explanation for the codes that are not self-explanatory.
    fn explanation(&self) -> Option<String> {
        if let Some(region) = self.other_region() {
            return Some(format!(
                "the bucket is in the region {region}; set region to it"
            ));
        }
        let text = match self.code.as_deref()? {
            code if code.starts_with("Lease") => {
                "an active lease protects the blob; release or break it"
            }
            "OperationAborted" => "a conflicting operation on the bucket is in progress",
            "BlobImmutableDueToPolicy" => "an immutability policy protects the blob",
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// Returns the answer for the attempt's record, which the worker redacts and cuts.
    pub(crate) fn record(&self) -> ResponseRecord {
        let body = [self.code.as_deref(), self.message.as_deref()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(": ");
        ResponseRecord {
            status: self.status.as_u16(),
            headers: self.headers.clone(),
            truncated: false,
            body,
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the store answered {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        match self.explanation() {
            Some(explanation) => write!(f, ": {explanation}"),
            None => Ok(()),
        }
    }
}

/// Whether the body of a successful status reports an error: S3 answers 200 before it has completed
/// an upload.
pub(crate) fn is_error_document(body: &str) -> bool {
    let root = body
        .trim_start()
        .trim_start_matches(|c| c != '>')
        .trim_start_matches('>')
        .trim_start();
    body.trim_start().starts_with("<Error>") || root.starts_with("<Error>")
}

/// Returns the entity tag in the answer to a copy or a completed upload.
pub(crate) fn etag(body: &str) -> Option<HeaderValue> {
    let tag = element(body, "ETag")?
        .replace("&quot;", "\"")
        .replace("&#34;", "\"");
    HeaderValue::from_str(&tag).ok()
}

/// Returns the text of the first element of this name. All three providers answer with flat XML
/// documents.
fn element(body: &str, name: &str) -> Option<String> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim().to_owned())
}

fn is_region(region: &str) -> bool {
    !region.is_empty()
        && region.len() <= REGION_MAX
        && region
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_code(code: &str) -> bool {
    !code.is_empty()
        && code.len() <= CODE_MAX
        && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENIED: &str = "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>No \
         hunter22</Message><Token>t</Token></Error>";

    fn answer(status: StatusCode, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let named = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), value.parse().unwrap())
        };
        Answer::new(
            status,
            &headers.iter().map(named).collect(),
            body,
            Timestamp::from_millis(0),
        )
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        let date = ("date", "Mon, 30 Nov 2026 02:00:00 GMT");
        for (value, seconds) in [("7", 7), ("Mon, 30 Nov 2026 02:01:30 GMT", 90)] {
            let answer = answer(
                StatusCode::SERVICE_UNAVAILABLE,
                &[date, ("retry-after", value)],
                "",
            );
            assert_eq!(
                answer.retry_after,
                Some(Duration::from_secs(seconds)),
                "{value}"
            );
        }
    }

    #[test]
    fn the_region_of_a_bucket_elsewhere_is_named() {
        let moved = answer(
            StatusCode::MOVED_PERMANENTLY,
            &[(BUCKET_REGION, "eu-central-1")],
            "",
        );
        assert!(moved.to_string().contains("eu-central-1"), "{moved}");
        let malformed =
            "<Error><Code>AuthorizationHeaderMalformed</Code><Region>ap-south-1</Region></Error>";
        let malformed = answer(StatusCode::BAD_REQUEST, &[], malformed);
        assert!(malformed.to_string().contains("ap-south-1"), "{malformed}");
        let denied = answer(
            StatusCode::FORBIDDEN,
            &[(BUCKET_REGION, "eu-central-1")],
            DENIED,
        );
        assert!(!denied.to_string().contains("eu-central-1"), "{denied}");
    }

    #[test]
    fn only_the_code_and_the_message_are_kept() {
        let answer = answer(StatusCode::FORBIDDEN, &[], DENIED);
        assert_eq!(
            answer.to_string(),
            "the store answered 403 Forbidden AccessDenied"
        );
        assert_eq!(answer.record().body, "AccessDenied: No hunter22");
    }

    #[test]
    fn azure_names_the_code_in_a_header() {
        assert_eq!(
            answer(StatusCode::NOT_FOUND, &[(AZURE_CODE, "BlobNotFound")], "")
                .code
                .as_deref(),
            Some("BlobNotFound")
        );
    }

    #[test]
    fn a_2xx_with_an_error_in_its_body_is_a_failure() {
        assert!(is_error_document(DENIED));
        assert!(is_error_document("<Error><Code>SlowDown</Code></Error>"));
        assert!(!is_error_document(
            "<?xml version=\"1.0\"?><CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"
        ));
        assert!(!is_error_document(""));
    }
}
