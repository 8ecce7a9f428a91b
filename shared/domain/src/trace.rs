//! W3C Trace Context: one trace from the submitting request to the receiver.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{Random, Timestamp};

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

    /// A new trace whose id X-Ray takes: it begins with the time, in seconds (X-Ray, "Tracing header").
    #[must_use]
    pub fn generate_at(now: Timestamp, random: &Random) -> Self {
        let mut id: [u8; 16] = random.bytes();
        id[..4].copy_from_slice(&u32::try_from(now.as_seconds()).unwrap_or_default().to_be_bytes());
        Self(id)
    }

    /// The 16 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The `traceparent` header of a request made under this trace, with a new parent id.
    #[must_use]
    pub fn traceparent(self, random: &Random) -> String {
        let parent = u64::from_be_bytes(random.bytes()).max(1);
        format!("00-{self}-{parent:016x}-01")
    }
}

/// 8 bytes that name a span of a trace; 16 lower-case hexadecimal digits in text. Never all zeroes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

impl SpanId {
    /// A new span.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self(u64::from_be_bytes(random.bytes()).max(1).to_be_bytes())
    }

    /// The 8 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        let id = u64::from_str_radix(text, 16).ok().filter(|id| is_hex && *id != 0)?;
        Some(Self(id.to_be_bytes()))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A place in a trace: what work done elsewhere continues from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The span in it, when it is known.
    pub span: Option<SpanId>,
}

impl TraceContext {
    /// From a W3C `traceparent` header; `None` when it is malformed.
    #[must_use]
    pub fn from_traceparent(header: &str) -> Option<Self> {
        let trace = TraceId::from_traceparent(header)?;
        Some(Self { trace, span: header.trim().split('-').nth(2).and_then(SpanId::parse) })
    }

    /// From `X-Amzn-Trace-Id`, or the `AWSTraceHeader` of a queue: `Root=1-<8 digits>-<24 digits>;Parent=<16 digits>;Sampled=1`.
    #[must_use]
    pub fn from_xray(header: &str) -> Option<Self> {
        let field = |name: &str| header.split(';').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
        let (seconds, rest) = field("Root")?.strip_prefix("1-")?.split_once('-')?;
        let trace: TraceId = format!("{seconds}{rest}").parse().ok().filter(|id: &TraceId| id.0 != [0; 16])?;
        Some(Self { trace, span: field("Parent").and_then(SpanId::parse) })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_continued_from_either_header() {
        let w3c = TraceContext::from_traceparent("00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01").unwrap();
        let xray = TraceContext::from_xray("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1").unwrap();
        assert_eq!(w3c, xray);
        assert_eq!(w3c.span.unwrap().to_string(), "53995c3f42cd8ad8");
        assert_eq!(TraceContext::from_xray("Root=1-5759e988-bd862e3fe1be46a994272793").unwrap().span, None);
        for malformed in ["", "Self=1-2-3", "Root=1-5759e988", "Root=1-00000000-000000000000000000000000"] {
            assert_eq!(TraceContext::from_xray(malformed), None, "{malformed}");
        }
    }

    #[test]
    fn a_new_trace_begins_with_its_time() {
        let id = TraceId::generate_at(Timestamp::from_millis(0x5759_e988 * 1000), &Random::new(|buffer| buffer.fill(7)));
        assert_eq!(id.to_string(), "5759e988070707070707070707070707");
    }
}
