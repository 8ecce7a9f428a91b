//! Responses of the API.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

/// A response with its complete body.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status of the response.
    pub status: u16,
    /// The headers of the response.
    pub headers: HeaderMap,
    /// The body of the response.
    pub body: Bytes,
}

impl Answer {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// Returns the body as JSON, or null if it is empty.
    #[track_caller]
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }

    /// Returns the body of a response with this status. Panics with the response if it has another.
    #[track_caller]
    pub fn ok(&self, status: u16) -> Value {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        self.json()
    }

    /// Returns the body of a problem (RFC 9457) with this status and code, after checking that it
    /// is complete.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.ok(status);
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{problem}"
        );
        for member in ["type", "title", "detail"] {
            assert!(
                problem[member]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{member} in {problem}"
            );
        }
        assert_eq!(
            problem["request_id"].as_str(),
            self.header("request-id"),
            "{problem}"
        );
        problem
    }

    /// Returns the positions of a problem's errors, sorted: pointers into the body, names of query
    /// parameters.
    #[track_caller]
    pub fn mistakes(&self) -> Vec<String> {
        let problem = self.json();
        let errors = problem["errors"]
            .as_array()
            .unwrap_or_else(|| panic!("no errors in {problem}"));
        let pointer = |error: &Value| {
            error["pointer"]
                .as_str()
                .or(error["parameter"].as_str())
                .map(str::to_owned)
        };
        let mut pointers: Vec<String> = errors
            .iter()
            .map(|error| pointer(error).unwrap_or_else(|| panic!("no pointer in {error}")))
            .collect();
        pointers.sort();
        pointers
    }
}
