//! Waiting: the state of a delivery that is due but may not start yet, because its destination is
//! paused or has limits.
//!
//! Waiting is neither an attempt nor a failure. A delivery that waits has either left the queue or
//! returns with a task that is delayed to the second; decision 47 describes how.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Timestamp;
use crate::bounds::{Bounds, members};
use crate::input::Fields;

/// The number of attempts of a destination that may start within a second.
const MAX_PER_SECOND: Bounds<f64> = Bounds::new(0.1, 1000.0);
/// The number of attempts of a destination that may run at the same time.
const MAX_CONCURRENT: Bounds<u32> = Bounds::new(1, 100);

/// The reason why a delivery waits, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The pause or limit that the delivery waits for.
    pub reason: WaitingFor,
    /// When the delivery is expected to start; `None` if that is not known, as for a pause without
    /// an end.
    pub expected_at: Option<Timestamp>,
}

/// The pause or limit that a delivery waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WaitingFor {
    /// The destination is paused. The wait ends when the destination is resumed.
    Pause,
    /// The destination limits the number of attempts that start within a second.
    Rate,
    /// The destination limits the number of attempts that run at the same time.
    Concurrency,
}

/// The delivery limits of a destination or organization. A limit that is `None` does not apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeliveryLimits {
    /// The number of attempts that may start within a second.
    pub max_per_second: Option<f64>,
    /// The number of attempts that may run at the same time.
    pub max_concurrent: Option<u32>,
}

impl DeliveryLimits {
    /// Returns the JSON schemas of the limits, by their names.
    #[must_use]
    pub fn numbers() -> Map<String, Value> {
        members([
            ("max_per_second", MAX_PER_SECOND.schema()),
            ("max_concurrent", MAX_CONCURRENT.schema()),
        ])
    }

    /// Reads the limits. Absent members keep the values of `self`; null removes a limit.
    pub fn read(&self, fields: &mut Fields<'_>) -> Self {
        let per_second = if fields.has("max_per_second") {
            None
        } else {
            self.max_per_second
        };
        let concurrent = if fields.has("max_concurrent") {
            None
        } else {
            self.max_concurrent
        };
        Self {
            max_per_second: MAX_PER_SECOND.read(fields, "max_per_second").or(per_second),
            max_concurrent: MAX_CONCURRENT.read(fields, "max_concurrent").or(concurrent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Errors, parse_object};

    fn read(before: DeliveryLimits, json: &str) -> Result<DeliveryLimits, Vec<String>> {
        let errors = Errors::default();
        let mut fields = Fields::new(
            "/delivery_limits",
            parse_object(json.as_bytes()).unwrap(),
            &errors,
        );
        let after = before.read(&mut fields);
        fields.finish();
        errors.into_result(after).map_err(|errors| {
            errors
                .into_iter()
                .filter_map(|error| error.pointer)
                .collect()
        })
    }

    #[test]
    fn limits_are_kept_removed_and_refused_one_by_one() {
        let both = read(
            DeliveryLimits::default(),
            r#"{"max_per_second": 0.1, "max_concurrent": 100}"#,
        )
        .unwrap();
        assert_eq!(
            both,
            DeliveryLimits {
                max_per_second: Some(0.1),
                max_concurrent: Some(100)
            }
        );
        assert_eq!(
            read(both, r#"{"max_per_second": null}"#)
                .unwrap()
                .max_per_second,
            None
        );
        assert_eq!(
            read(both, r#"{"max_per_second": 1000}"#)
                .unwrap()
                .max_concurrent,
            Some(100)
        );
        let refused = read(
            both,
            r#"{"max_per_second": 0.09, "max_concurrent": 101, "max": 1}"#,
        )
        .unwrap_err();
        assert_eq!(
            refused,
            [
                "/delivery_limits/max_per_second",
                "/delivery_limits/max_concurrent",
                "/delivery_limits/max"
            ]
        );
    }
}
