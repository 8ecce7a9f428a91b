//! A row of JSON: an object's members, values as they were written.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Cell;

/// The names of an object's members, in their order.
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
    deserializer.deserialize_map(Names).map_err(|error| told(&error))
}

/// An object's cells.
pub(super) fn decode<'r>(
    object: &'r [u8],
    fields: &HashMap<String, usize>,
    holds_json: &[bool],
    is_strict: bool,
) -> Result<Vec<Cell<'r>>, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(object);
    deserializer.deserialize_map(Row { fields, holds_json, is_strict }).map_err(|error| told(&error))
}

/// What is wrong with the JSON; the position in the row says where.
fn told(error: &serde_json::Error) -> String {
    if error.is_data() { error.to_string() } else { format!("is not valid JSON at its byte {}", error.column()) }
}

struct Row<'f> {
    fields: &'f HashMap<String, usize>,
    holds_json: &'f [bool],
    is_strict: bool,
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = Vec<Cell<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut cells = vec![Cell::Null; self.holds_json.len()];
        while let Some(name) = map.next_key_seed(Text)? {
            match self.fields.get(&*name) {
                Some(position) => cells[*position] = cell(map.next_value::<&'de RawValue>()?.get(), self.holds_json[*position])?,
                None if self.is_strict => {
                    return Err(A::Error::custom(format_args!(
                        "has a field {name:?} that the first row has not: name the fields and their columns in `columns`"
                    )));
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(cells)
    }
}

fn cell<E: serde::de::Error>(raw: &str, holds_json: bool) -> Result<Cell<'_>, E> {
    Ok(match raw.as_bytes().first() {
        Some(b'n') | None => Cell::Null,
        Some(_) if holds_json => Cell::Json(raw),
        Some(b'"') => {
            let mut deserializer = serde_json::Deserializer::from_str(raw);
            Cell::Text(Text.deserialize(&mut deserializer).map_err(|_| E::custom("has a text that is not valid"))?)
        }
        Some(b'{' | b'[') => Cell::Json(raw),
        Some(b't') => Cell::Bool(true),
        Some(b'f') => Cell::Bool(false),
        Some(_) => Cell::Number(raw),
    })
}

/// A text, borrowed when nothing in it is escaped.
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
