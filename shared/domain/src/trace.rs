//! W3C Trace Context: one trace from the submitting request to the receiver.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::Random;

/// 16 bytes that name a trace; 32 lower-case hexadecimal digits in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

/// The text is not a trace id.
#[derive(Debug, thiserror::Error)]
#[error("is not a trace id of 32 hexadecimal digits")]
pub struct NotATraceId;

impl TraceId {
    /// A new trace.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self(random.bytes())
    }

    /// The trace an incoming `traceparent` header continues (W3C Trace Context §3.2); `None` when it is malformed, which starts a new one.
    #[must_use]
    pub fn from_traceparent(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let (version, trace, parent, _flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let well_formed = version.len() == 2 && version != "ff" && parent.len() == 16 && parent.bytes().any(|b| b != b'0');
        let id: Self = trace.parse().ok()?;
        (well_formed && id.0 != [0; 16]).then_some(id)
    }

    /// The `traceparent` header of a request made under this trace, with a new parent id.
    #[must_use]
    pub fn traceparent(self, random: &Random) -> String {
        let parent = u64::from_be_bytes(random.bytes()).max(1);
        format!("00-{self}-{parent:016x}-01")
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for TraceId {
    type Err = NotATraceId;
    fn from_str(text: &str) -> Result<Self, NotATraceId> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f')) {
            return Err(NotATraceId);
        }
        u128::from_str_radix(text, 16).map(|n| Self(n.to_be_bytes())).map_err(|_| NotATraceId)
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
