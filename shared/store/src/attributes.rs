//! Typed access to the attributes of items. Reading errors name the item and the attribute.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StoreError;
use crate::keys::{PK, SK};

/// An item as the DynamoDB SDK represents it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// Makes a text value.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// Makes a number value.
pub(crate) fn number(value: impl Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Makes a number value of a time, in epoch milliseconds.
pub(crate) fn time(value: Timestamp) -> AttributeValue {
    number(value.as_millis())
}

/// Makes a binary value.
pub(crate) fn binary(value: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// Makes the value `true`. A flag that is false is left out of the item.
pub(crate) fn flag() -> AttributeValue {
    AttributeValue::Bool(true)
}

/// Makes a map of texts.
pub(crate) fn text_map<'a>(
    entries: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> AttributeValue {
    AttributeValue::M(
        entries
            .into_iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
    )
}

/// Makes a text value that holds JSON, for what is only ever read as a whole.
pub(crate) fn json(value: &impl Serialize) -> AttributeValue {
    text(serde_json::to_string(value).expect("our own types have text keys and finite numbers"))
}

/// Sets attributes of an item.
pub(crate) trait Put {
    /// Sets an attribute of the item.
    fn put(&mut self, name: &str, value: AttributeValue);
    /// Sets an attribute if there is a value.
    fn put_some(&mut self, name: &str, value: Option<AttributeValue>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }
}

impl Put for Item {
    fn put(&mut self, name: &str, value: AttributeValue) {
        self.insert(name.to_owned(), value);
    }
}

/// Reads the attributes of an item.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a Item);

impl<'a> Reader<'a> {
    /// Reads a required text.
    pub(crate) fn text(self, name: &str) -> Result<&'a str, StoreError> {
        self.text_opt(name)?.ok_or_else(|| self.missing(name))
    }

    /// Reads an optional text.
    pub(crate) fn text_opt(self, name: &str) -> Result<Option<&'a str>, StoreError> {
        self.typed(name, "a text", |value| {
            value.as_s().ok().map(String::as_str)
        })
    }

    /// Reads a required text and parses it as a `T`.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(self, name: &str) -> Result<T, StoreError> {
        self.text(name)?
            .parse()
            .map_err(|error| self.corrupt(format!("{name} {error}")))
    }

    /// Reads a required number.
    pub(crate) fn number<T: FromStr>(self, name: &str) -> Result<T, StoreError> {
        self.number_opt(name)?.ok_or_else(|| self.missing(name))
    }

    /// Reads an optional number.
    pub(crate) fn number_opt<T: FromStr>(self, name: &str) -> Result<Option<T>, StoreError> {
        self.typed(name, "a number in range", |value| {
            value.as_n().ok().and_then(|digits| digits.parse().ok())
        })
    }

    /// Reads a required time.
    pub(crate) fn time(self, name: &str) -> Result<Timestamp, StoreError> {
        self.number(name).map(Timestamp::from_millis)
    }

    /// Reads an optional time.
    pub(crate) fn time_opt(self, name: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.number_opt(name)?.map(Timestamp::from_millis))
    }

    /// Returns the bytes of an attribute, if the item has it.
    pub(crate) fn binary_opt(self, name: &str) -> Result<Option<&'a [u8]>, StoreError> {
        self.typed(name, "binary", |value| value.as_b().ok().map(Blob::as_ref))
    }

    /// Reads a flag; a missing one is false.
    pub(crate) fn flag(self, name: &str) -> Result<bool, StoreError> {
        Ok(self
            .typed(name, "a flag", |value| value.as_bool().ok().copied())?
            .unwrap_or(false))
    }

    /// Reads a map of texts; a missing one is empty.
    pub(crate) fn text_map<M: FromIterator<(String, String)>>(
        self,
        name: &str,
    ) -> Result<M, StoreError> {
        let entries = self.typed(name, "a map", |value| value.as_m().ok())?;
        let entries = entries
            .into_iter()
            .flatten()
            .map(|(key, value)| match value.as_s() {
                Ok(value) => Ok((key.clone(), value.clone())),
                Err(_) => Err(self.corrupt(format!("{name}.{key} is not a text"))),
            });
        entries.collect()
    }

    /// Reads a required value that is stored as JSON text.
    pub(crate) fn json<T: DeserializeOwned>(self, name: &str) -> Result<T, StoreError> {
        self.json_opt(name)?.ok_or_else(|| self.missing(name))
    }

    /// Reads an optional value that is stored as JSON text.
    pub(crate) fn json_opt<T: DeserializeOwned>(self, name: &str) -> Result<Option<T>, StoreError> {
        let Some(text) = self.text_opt(name)? else {
            return Ok(None);
        };
        serde_json::from_str(text)
            .map(Some)
            .map_err(|error| self.corrupt(format!("{name}: {error}")))
    }

    /// Makes an error that names this item.
    pub(crate) fn corrupt(self, problem: impl Into<String>) -> StoreError {
        let part = |name| {
            self.0
                .get(name)
                .and_then(|value| value.as_s().ok())
                .map_or("?", String::as_str)
        };
        StoreError::Corrupt {
            key: format!("{} / {}", part(PK), part(SK)),
            problem: problem.into(),
        }
    }

    fn missing(self, name: &str) -> StoreError {
        self.corrupt(format!("{name} is missing"))
    }

    fn typed<T>(
        self,
        name: &str,
        what: &str,
        read: impl FnOnce(&'a AttributeValue) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => read(value)
                .map(Some)
                .ok_or_else(|| self.corrupt(format!("{name} is not {what}"))),
        }
    }
}
