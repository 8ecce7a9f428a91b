//! A request as it arrived.

use bytes::Bytes;
use http::Method;
use std::time::SystemTime;
use tokio::time::Instant;

/// A request that a sink received, whatever it responded.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method of the request.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The query, if there is one.
    pub query: Option<String>,
    /// All headers in the order of their first appearance, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The bytes of the body.
    pub body: Bytes,
    /// When the headers had arrived.
    pub at: Instant,
    /// When the headers had arrived, by the wall clock.
    pub wall: SystemTime,
    /// The number of the connection, counted from 1.
    pub connection: u64,
}

impl Received {
    /// Returns the first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Returns the body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}
