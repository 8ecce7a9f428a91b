//! One request as it arrived.

use bytes::Bytes;
use http::Method;
use std::time::SystemTime;
use tokio::time::Instant;

/// A request that a sink got, whatever it answered.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The query, if there is one.
    pub query: Option<String>,
    /// All headers in the order of their first appearance, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Bytes,
    /// When the headers had arrived.
    pub at: Instant,
    /// The same by the wall clock.
    pub wall: SystemTime,
    /// Which of the sink's connections it came by, counted from 1.
    pub connection: u64,
}

impl Received {
    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}
