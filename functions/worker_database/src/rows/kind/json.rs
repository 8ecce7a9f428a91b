//! Checks JSON that a server parses and stores in its own form.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::number;

/// Returns an error if a server would lose a part of the JSON: a member whose name occurs twice, or
/// digits of a number that a 64-bit floating-point number cannot hold. Text that is not JSON is
/// left to the server.
pub(super) fn is_lossless(text: &str, has_doubles: bool) -> Result<(), String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    match (Tree { has_doubles }).deserialize(&mut deserializer) {
        Err(error) if error.is_data() => Err(error
            .to_string()
            .split(" at line")
            .next()
            .unwrap_or_default()
            .to_owned()),
        _ => Ok(()),
    }
}

#[derive(Clone, Copy)]
struct Tree {
    has_doubles: bool,
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if !self.has_doubles {
            return deserializer.deserialize_any(self);
        }
        // The check needs the digits as they were written.
        let raw: &RawValue = serde::Deserialize::deserialize(deserializer)?;
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'{' | b'[') => serde_json::Deserializer::from_str(text)
                .deserialize_any(self)
                .map_err(D::Error::custom),
            Some(b'-' | b'0'..=b'9') if !number::survives_json(text) => {
                Err(D::Error::custom(format_args!(
                    "accepts JSON whose numbers are floating-point, which cannot hold {text} \
                     exactly"
                )))
            }
            _ => Ok(()),
        }
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            members.next_value_seed(self)?;
            if let Some(twice) = names.replace(name) {
                return Err(A::Error::custom(format_args!(
                    "requires JSON members with different names, but {twice:?} occurs twice"
                )));
            }
        }
        Ok(())
    }
}
