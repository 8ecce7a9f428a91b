//! The limits and defaults of request members, each declared once.
//!
//! Readers reject values outside the limits, the published schemas state the same limits, and the
//! console's forms are generated from those schemas. Numbers have [`Bounds`]; the lengths of texts,
//! lists and maps are ranges, as in [`limits`](crate::limits).

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

use crate::input::Fields;

/// The numbers that a member of a request accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds<T> {
    /// The smallest number that is accepted.
    pub min: T,
    /// The largest number that is accepted.
    pub max: T,
    /// The number that applies if the request has none; `None` if the member is required or means
    /// something else when it is absent.
    pub default: Option<T>,
}

impl<T: Number> Bounds<T> {
    /// Creates bounds from `min` to `max`, without a default.
    #[must_use]
    pub const fn new(min: T, max: T) -> Self {
        Self {
            min,
            max,
            default: None,
        }
    }

    /// Returns the same bounds with a default.
    #[must_use]
    pub const fn with_default(self, default: T) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }

    /// Returns the default of a number that has one.
    ///
    /// # Panics
    ///
    /// Panics if the number has no default.
    #[must_use]
    pub const fn default_value(&self) -> T {
        self.default.expect("the number has a default")
    }

    /// Reads the member; returns `None` if it is absent, null or invalid.
    pub fn read(&self, fields: &mut Fields<'_>, name: &str) -> Option<T> {
        T::read(self, fields, name)
    }

    /// Returns the JSON Schema: `type`, `minimum`, `maximum` and, if there is one, `default`.
    #[must_use]
    pub fn schema(&self) -> Value {
        let mut schema =
            json!({"type": T::TYPE, "minimum": self.min.to_json(), "maximum": self.max.to_json()});
        if let Some(default) = self.default {
            schema["default"] = default.to_json();
        }
        schema
    }
}

/// The types of number that a member can have.
pub trait Number: Copy {
    /// The name of the type in JSON Schema.
    const TYPE: &'static str;

    /// Reads the member `name` within `bounds`.
    fn read(bounds: &Bounds<Self>, fields: &mut Fields<'_>, name: &str) -> Option<Self>;

    /// Returns the number as a JSON value.
    fn to_json(self) -> Value;
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Number for $integer {
            const TYPE: &'static str = "integer";

            fn read(bounds: &Bounds<Self>, fields: &mut Fields<'_>, name: &str) -> Option<Self> {
                let limit = |number: Self| i64::try_from(number).unwrap_or(i64::MAX);
                fields.integer(name, limit(bounds.min)..=limit(bounds.max)).and_then(|number| Self::try_from(number).ok())
            }

            fn to_json(self) -> Value {
                self.into()
            }
        }
    )*};
}

integers!(u16, u32, u64);

impl Number for f64 {
    const TYPE: &'static str = "number";

    fn read(bounds: &Bounds<Self>, fields: &mut Fields<'_>, name: &str) -> Option<Self> {
        fields.number(name, bounds.min..=bounds.max)
    }

    /// A whole number is written without a fraction, as 2 and not 2.0.
    fn to_json(self) -> Value {
        if self.fract() == 0.0 && self.abs() < 1e15 {
            json!(self as i64)
        } else {
            json!(self)
        }
    }
}

/// Returns the members of an object with their schemas.
pub(crate) fn members<const N: usize>(schemas: [(&str, Value); N]) -> Map<String, Value> {
    schemas
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}

/// Returns the keywords of JSON Schema for a text of this length.
#[must_use]
pub fn text(length: &RangeInclusive<usize>) -> Value {
    json!({"minLength": length.start(), "maxLength": length.end()})
}

/// Returns the keywords of JSON Schema for a list with this number of items.
#[must_use]
pub fn list(items: &RangeInclusive<usize>) -> Value {
    match items.start() {
        0 => json!({"maxItems": items.end()}),
        least => json!({"minItems": least, "maxItems": items.end()}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Errors, parse_object};

    const COUNT: Bounds<u32> = Bounds::new(1, 100).with_default(5);
    const RATE: Bounds<f64> = Bounds::new(0.1, 1000.0);

    fn read(json: &str) -> (Option<u32>, Option<f64>, Vec<String>) {
        let errors = Errors::default();
        let mut fields = Fields::new("", parse_object(json.as_bytes()).unwrap(), &errors);
        let (count, rate) = (
            COUNT.read(&mut fields, "count"),
            RATE.read(&mut fields, "rate"),
        );
        fields.finish();
        let details = errors
            .into_result(())
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|error| error.detail);
        (count, rate, details.collect())
    }

    #[test]
    fn a_number_outside_its_bounds_is_refused_with_a_text_that_states_them() {
        assert_eq!(
            read(r#"{"count": 1, "rate": 1000}"#),
            (Some(1), Some(1000.0), Vec::new())
        );
        assert_eq!(read("{}"), (None, None, Vec::new()));
        let refused = [
            "must be an integer from 1 to 100",
            "must be from 0.1 to 1000",
        ]
        .map(str::to_owned)
        .to_vec();
        assert_eq!(
            read(r#"{"count": 101, "rate": 0.09}"#),
            (None, None, refused)
        );
    }

    #[test]
    fn the_schema_of_a_number_states_its_bounds_and_its_default() {
        assert_eq!(
            COUNT.schema(),
            json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 5})
        );
        assert_eq!(
            RATE.schema(),
            json!({"type": "number", "minimum": 0.1, "maximum": 1000})
        );
        assert_eq!(
            Bounds::new(0, 5_u64 << 30).schema()["maximum"],
            5_368_709_120_u64
        );
        assert_eq!(COUNT.default_value(), 5);
    }
}
