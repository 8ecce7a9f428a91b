//! A point in time in whole milliseconds since the Unix epoch, written as RFC 3339 in UTC.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Milliseconds since 1970-01-01T00:00:00Z; written as `2026-11-23T09:30:00.000Z` in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The error for a text that is not an RFC 3339 date-time with an offset.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be a date and time with an offset, such as 2026-11-23T09:30:00Z")]
pub struct NotATimestamp;

impl Timestamp {
    /// The last millisecond of the year 9999, used where a time has no end.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// Creates a time from milliseconds since the epoch; values outside the years 1970–9999 are
    /// clamped.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, 253_402_300_799_999))
    }

    /// Returns the milliseconds since the epoch.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the whole seconds since the epoch, rounded down.
    #[must_use]
    pub fn as_seconds(self) -> i64 {
        self.0 / 1000
    }

    /// Returns the time that is `duration` after this one.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_millis(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// Returns the time that is `duration` before this one.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self::from_millis(
            self.0
                .saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// Returns how long `self` is after `earlier`; zero if `self` is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    /// Parses RFC 3339 with any offset. A date without a time and a local time are rejected.
    /// A time before 1970, such as the zero time of other languages
    /// (0001-01-01T00:00:00Z), is read as 1970-01-01T00:00:00Z, because no stored time is older.
    pub fn parse(text: &str) -> Result<Self, NotATimestamp> {
        // jiff also accepts ISO 8601 forms that RFC 3339 does not allow, so the form is checked
        // first.
        let bytes = text.as_bytes();
        let shaped = bytes.len() >= 20
            && bytes[4] == b'-'
            && matches!(bytes[10], b'T' | b't' | b' ')
            && bytes[13] == b':'
            && bytes[16] == b':';
        if !shaped || text.contains('[') {
            return Err(NotATimestamp);
        }
        Self::of_parts(text).ok_or(NotATimestamp)
    }

    /// Parses a date, a time and an offset. A `jiff::Timestamp` would end a day before the last one
    /// of the year 9999.
    fn of_parts(text: &str) -> Option<Self> {
        let parts = Pieces::parse(text).ok()?;
        let date_time = DateTime::from_parts(parts.date(), parts.time()?);
        let offset = i64::from(parts.to_numeric_offset()?.seconds());
        if offset.abs() >= DAY_SECONDS {
            return None;
        }
        let since_epoch = date_time.duration_since(EPOCH) - SignedDuration::from_secs(offset);
        Some(Self::from_millis(
            i64::try_from(since_epoch.as_millis()).ok()?,
        ))
    }
}

const EPOCH: DateTime = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
const DAY_SECONDS: i64 = 86_400;

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match EPOCH.checked_add(SignedDuration::from_millis(self.0)) {
            Ok(date_time) => write!(f, "{date_time:.3}Z"),
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
        assert_eq!(
            Timestamp::from_millis(1_764_000_000_120).to_string(),
            "2025-11-24T16:00:00.120Z"
        );
    }

    #[test]
    fn reads_any_offset_and_refuses_a_date_alone() {
        assert_eq!(
            Timestamp::parse("2025-11-24T17:00:00.12+01:00"),
            Ok(Timestamp::from_millis(1_764_000_000_120))
        );
        for bad in [
            "2025-11-24",
            "2025-11-24T16:00:00",
            "yesterday",
            "",
            "1764000000",
            "2025-11-24T16:00Z",
        ] {
            assert_eq!(Timestamp::parse(bad), Err(NotATimestamp), "{bad}");
        }
    }

    #[test]
    fn the_first_and_the_last_times_of_rfc_3339_are_read() {
        let cases = [
            ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
            ("1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00.000Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
            ("9999-12-31T23:59:59+14:00", "9999-12-31T09:59:59.000Z"),
            ("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59.999Z"),
        ];
        for (text, read) in cases {
            let at = Timestamp::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(at.to_string(), read, "{text}");
            assert_eq!(
                Timestamp::parse(&at.to_string()),
                Ok(at),
                "{text} reads back"
            );
        }
        for bad in [
            "9999-12-31T24:00:01Z",
            "9999-13-31T00:00:00Z",
            "9999-12-31T23:59:59",
            "9999-12-31T23:59:59+99",
            "9999-12-31T23:59:59é",
            "9999-12-31T23:59:59+1:000",
            "9999-12-31T23:59:59+24:00",
            "9999-12-31T23:59:59-00:60",
            "9999-12-31T23:59:59x01:00",
            "2025-11-24T16:00:00x01:00",
        ] {
            assert_eq!(Timestamp::parse(bad), Err(NotATimestamp), "{bad}");
        }
    }
}
