//! Event types and the patterns that subscribe to them.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// The allowed length of an event type or pattern, in bytes.
pub const EVENT_TYPE: RangeInclusive<usize> = 1..=128;

/// An event type such as `report.ready`: segments of `[A-Za-z0-9_:/-]+` joined by dots, at most 128
/// bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventType(String);

/// A pattern such as `invoice.*`: an event type whose segments may also be `*` (exactly one
/// segment) or `**` (zero or more segments). A pattern matches the whole event type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventPattern(String);

/// The error for a text that is not a valid event type or pattern.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be segments of letters, digits, `_`, `:`, `/`, `-`, joined by dots, at most {} \
     characters", EVENT_TYPE.end())]
pub struct NotAnEventType;

fn segment_is_plain(segment: &str) -> bool {
    !segment.is_empty()
        && segment
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'/' | b'-'))
}

impl EventType {
    /// Parses an event type.
    pub fn parse(text: &str) -> Result<Self, NotAnEventType> {
        let good = text.len() <= *EVENT_TYPE.end() && text.split('.').all(segment_is_plain);
        good.then(|| Self(text.to_owned())).ok_or(NotAnEventType)
    }

    /// Returns whether the event type is reserved. Clients may not submit `waybill` and
    /// `waybill.*`.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0 == "waybill" || self.0.starts_with("waybill.")
    }

    /// Returns the event type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl EventPattern {
    /// Parses a pattern for event types.
    pub fn parse(text: &str) -> Result<Self, NotAnEventType> {
        let good = text.len() <= *EVENT_TYPE.end()
            && text
                .split('.')
                .all(|s| matches!(s, "*" | "**") || segment_is_plain(s));
        good.then(|| Self(text.to_owned())).ok_or(NotAnEventType)
    }

    /// Returns whether the pattern matches the whole event type.
    #[must_use]
    pub fn matches(&self, event_type: &EventType) -> bool {
        let pattern: Vec<&str> = self.0.split('.').collect();
        let segments: Vec<&str> = event_type.0.split('.').collect();
        // `reachable[j]` is true if the pattern so far matches the first `j` segments. Each pattern
        // segment takes one pass, so the time for `**.**.**` is linear in the number of segments
        // too.
        let mut reachable = vec![false; segments.len() + 1];
        reachable[0] = true;
        for part in pattern {
            let mut next = vec![false; segments.len() + 1];
            for j in 0..=segments.len() {
                next[j] = match part {
                    "**" => reachable[j] || (j > 0 && next[j - 1]),
                    "*" => j > 0 && reachable[j - 1],
                    plain => j > 0 && reachable[j - 1] && segments[j - 1] == plain,
                };
            }
            reachable = next;
        }
        reachable[segments.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_types_are_dotted_segments() {
        for good in ["report.ready", "a", "A-b_c:d/e.f", &"x".repeat(128)] {
            assert!(EventType::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a b",
            "a.*",
            "é",
            &"x".repeat(129),
        ] {
            assert!(EventType::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_star_is_one_segment_and_two_are_any_number() {
        let matches = |pattern: &str, event: &str| {
            EventPattern::parse(pattern)
                .unwrap()
                .matches(&EventType::parse(event).unwrap())
        };
        assert!(matches("invoice.*", "invoice.paid"));
        assert!(!matches("invoice.*", "invoice"));
        assert!(!matches("invoice.*", "invoice.paid.late"));
        assert!(matches("invoice.**", "invoice"));
        assert!(matches("invoice.**", "invoice.paid.late"));
        assert!(matches("**", "anything.at.all"));
        assert!(matches("**.late", "late"));
        assert!(matches("a.**.z", "a.z"));
        assert!(matches("a.**.*.z", "a.b.c.z"));
        assert!(!matches("a.**.*.z", "a.z"));
        assert!(!matches("invoice.paid", "invoice.paidx"));
    }
}
