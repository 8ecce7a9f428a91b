//! A point in time: whole milliseconds since the Unix epoch, written as RFC 3339 in UTC.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Milliseconds since 1970-01-01T00:00:00Z; `2026-11-23T09:30:00.000Z` in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 date-time with an offset.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be a date and time with an offset, such as 2026-11-23T09:30:00Z")]
pub struct NotATimestamp;

impl Timestamp {
    /// From milliseconds since the epoch; values outside the years 1970–9999 are clamped.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, 253_402_300_799_999))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub fn as_seconds(self) -> i64 {
        self.0 / 1000
    }

    /// This time and `duration` after it.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long `self` is after `earlier`; zero when it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    /// Parses RFC 3339 with any offset; a date alone or a local time is refused (api.md, Conventions).
    pub fn parse(text: &str) -> Result<Self, NotATimestamp> {
        // jiff also takes ISO 8601 forms that RFC 3339 does not; the shape is checked first.
        let bytes = text.as_bytes();
        let shaped =
            bytes.len() >= 20 && bytes[4] == b'-' && matches!(bytes[10], b'T' | b't' | b' ') && bytes[13] == b':' && bytes[16] == b':';
        if !shaped || text.contains('[') {
            return Err(NotATimestamp);
        }
        let instant: jiff::Timestamp = text.parse().map_err(|_| NotATimestamp)?;
        if instant.as_millisecond() < 0 {
            return Err(NotATimestamp);
        }
        Ok(Self::from_millis(instant.as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(f, "{instant:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_utc_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(1_764_000_000_120).to_string(), "2025-11-24T16:00:00.120Z");
    }

    #[test]
    fn reads_any_offset_and_refuses_a_date_alone() {
        assert_eq!(Timestamp::parse("2025-11-24T17:00:00.12+01:00"), Ok(Timestamp::from_millis(1_764_000_000_120)));
        for bad in ["2025-11-24", "2025-11-24T16:00:00", "yesterday", "", "1764000000", "2025-11-24T16:00Z"] {
            assert_eq!(Timestamp::parse(bad), Err(NotATimestamp), "{bad}");
        }
    }
}
