//! Parses a row of JSON: an object whose values keep their notation.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Cell, Columns};

/// Returns the names of an object's members in their order.
pub(super) fn field_names(object: &[u8]) -> Result<Vec<String>, String> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut names = Vec::new();
            while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            Ok(names)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_slice(object);
    deserializer
        .deserialize_map(Names)
        .map_err(|error| describe(&error))
}

/// Returns an object's cells in the order of the columns. A new field adds a column.
pub(super) fn decode<'r>(object: &'r [u8], columns: &mut Columns) -> Result<Vec<Cell<'r>>, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(object);
    deserializer
        .deserialize_map(Row { columns })
        .map_err(|error| describe(&error))
}

/// Describes what is wrong with the JSON, with the position in the row.
fn describe(error: &serde_json::Error) -> String {
    if !error.is_data() {
        return format!("is not valid JSON at its byte {}", error.column());
    }
    let message = error.to_string();
    message
        .rsplit_once(" at line ")
        .map_or(message.clone(), |(fault, _)| fault.to_owned())
}

struct Row<'c> {
    columns: &'c mut Columns,
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = Vec<Cell<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut cells = vec![Cell::Absent; self.columns.names.len()];
        let mut next = 0;
        while let Some(name) = map.next_key_seed(Text)? {
            let Some(position) = self
                .columns
                .position(&name, next)
                .map_err(A::Error::custom)?
            else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            next = position + 1;
            if position >= cells.len() {
                cells.resize(position + 1, Cell::Absent);
            }
            if cells[position] != Cell::Absent {
                return Err(A::Error::custom(format_args!(
                    "has the field {name:?} twice"
                )));
            }
            cells[position] = cell(
                map.next_value::<&'de RawValue>()?.get(),
                self.columns.holds_json(position),
            )?;
        }
        Ok(cells)
    }
}

/// Converts a value to a cell. For a JSON column, the cell keeps the notation.
pub(super) fn cell<E: serde::de::Error>(raw: &str, holds_json: bool) -> Result<Cell<'_>, E> {
    Ok(match raw.as_bytes().first() {
        Some(b'n') | None => Cell::Null,
        Some(_) if holds_json => Cell::Json(raw),
        Some(b'"') => {
            let mut deserializer = serde_json::Deserializer::from_str(raw);
            Cell::Text(
                Text.deserialize(&mut deserializer)
                    .map_err(|_| E::custom("has a text that is not valid"))?,
            )
        }
        Some(b'{' | b'[') => Cell::Json(raw),
        Some(b't') => Cell::Bool(true),
        Some(b'f') => Cell::Bool(false),
        Some(_) => Cell::Number(Cow::Borrowed(raw)),
    })
}

/// Deserializes a text, borrowed if nothing in it is escaped.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
