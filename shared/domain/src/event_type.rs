//! Event types and the patterns that subscribe to them.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// The length of an event type or pattern, in bytes.
pub const EVENT_TYPE: RangeInclusive<usize> = 1..=128;

/// `report.ready`: segments of `[A-Za-z0-9_:/-]+` joined by dots, at most 128 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventType(String);

/// `invoice.*`: an event type whose segments may be `*` (exactly one) or `**` (zero or more);
/// matches the whole type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventPattern(String);

/// The text is neither.
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
    /// Reads an event type.
    pub fn parse(text: &str) -> Result<Self, NotAnEventType> {
        let good = text.len() <= *EVENT_TYPE.end() && text.split('.').all(segment_is_plain);
        good.then(|| Self(text.to_owned())).ok_or(NotAnEventType)
    }

    /// `waybill.*` is ours: clients may not submit it.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0 == "waybill" || self.0.starts_with("waybill.")
    }

    /// The text.
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
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, NotAnEventType> {
        let good = text.len() <= *EVENT_TYPE.end()
            && text
                .split('.')
                .all(|s| matches!(s, "*" | "**") || segment_is_plain(s));
        good.then(|| Self(text.to_owned())).ok_or(NotAnEventType)
    }

    /// Does the pattern match the whole type?
    #[must_use]
    pub fn matches(&self, event_type: &EventType) -> bool {
        let pattern: Vec<&str> = self.0.split('.').collect();
        let segments: Vec<&str> = event_type.0.split('.').collect();
        // reachable[j]: the pattern so far can match the first j segments. One pass a pattern
        // segment, so `**.**.**` costs no more.
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
