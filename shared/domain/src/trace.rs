//! Trace identifiers, which connect the submitting request with the request to the receiver. The
//! `telemetry` crate reads and writes the headers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::Random;

/// A trace identifier of 16 bytes, written as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

/// The error for a text that is not a trace identifier.
#[derive(Debug, thiserror::Error)]
#[error("is not a trace id of 32 hexadecimal digits")]
pub struct NotATraceId;

impl TraceId {
    /// Generates a new trace identifier.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self(random.bytes())
    }

    /// Creates a trace identifier from its 16 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the 16 bytes of the identifier.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Returns the `traceparent` header for a request in this trace, with a new parent id.
    #[must_use]
    pub fn traceparent(self, random: &Random) -> String {
        let parent = u64::from_be_bytes(random.bytes()).max(1);
        format!("00-{self}-{parent:016x}-01")
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for TraceId {
    type Err = NotATraceId;
    fn from_str(text: &str) -> Result<Self, NotATraceId> {
        let mut bytes = [0; 16];
        let decoded = hex::decode_to_slice(text, &mut bytes);
        let is_lower_case = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        decoded
            .ok()
            .filter(|()| is_lower_case)
            .map(|()| Self(bytes))
            .ok_or(NotATraceId)
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}
