//! Reading what clients send: strictly, and naming every mistake at once with its JSON pointer (RFC
//! 6901).
//!
//! [`parse_object`] turns bytes into an object and refuses what is not JSON, not an object or has a
//! member twice. [`Fields`] takes an object's members one by one; each that is wrong is recorded in
//! the shared [`Errors`], each that nobody took is unknown.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldCode {
    /// A required member is missing.
    Required,
    /// A member the contract does not know.
    UnknownField,
    /// Another JSON type than expected.
    InvalidType,
    /// The right type, not a value that can be meant.
    InvalidValue,
    /// Not of the format the field has.
    InvalidFormat,
    /// Shorter, or fewer, than allowed.
    TooShort,
    /// Longer, or more, than allowed.
    TooLong,
    /// Nested deeper than allowed.
    TooDeep,
    /// A number or time outside its range.
    OutOfRange,
    /// A name or value that is reserved.
    Reserved,
    /// A member that only reads have.
    ReadOnly,
    /// A masked secret written back.
    MaskedValue,
    /// Members that exclude each other, or none of those of which one is needed.
    Conflict,
    /// An address that no destination may have.
    BlockedAddress,
    /// No such thing.
    NotFound,
}

/// One mistake: where (`pointer` in a body, `parameter` in a query), what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer into the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Name of the query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The machine code of the mistake.
    pub code: FieldCode,
    /// In words.
    pub detail: String,
}

impl FieldError {
    /// A mistake in the body.
    pub fn at(pointer: impl Into<String>, code: FieldCode, detail: impl Into<String>) -> Self {
        Self {
            pointer: Some(pointer.into()),
            parameter: None,
            code,
            detail: detail.into(),
        }
    }

    /// A mistake in the query.
    pub fn in_query(
        parameter: impl Into<String>,
        code: FieldCode,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            pointer: None,
            parameter: Some(parameter.into()),
            code,
            detail: detail.into(),
        }
    }
}

/// The mistakes found so far; shared by all readers of one body.
#[derive(Debug, Default)]
pub struct Errors(RefCell<Vec<FieldError>>);

impl Errors {
    /// Records a mistake at a pointer.
    pub fn add(&self, pointer: impl Into<String>, code: FieldCode, detail: impl Into<String>) {
        self.0
            .borrow_mut()
            .push(FieldError::at(pointer, code, detail));
    }

    /// Records mistakes found elsewhere.
    pub fn extend(&self, errors: impl IntoIterator<Item = FieldError>) {
        self.0.borrow_mut().extend(errors);
    }

    /// Nothing wrong so far?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// `value` when nothing was wrong, else every mistake.
    pub fn into_result<T>(self, value: T) -> Result<T, Vec<FieldError>> {
        let errors = self.0.into_inner();
        if errors.is_empty() {
            Ok(value)
        } else {
            Err(errors)
        }
    }
}

/// The bytes are not a JSON object: 400 `malformed_request`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// Parses a JSON object; a member that appears twice, at any depth, is refused, as is nesting
/// deeper than 128.
pub fn parse_object(body: &[u8]) -> Result<Map<String, Value>, Malformed> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Malformed(
            "the body is empty; a JSON object is expected".to_owned(),
        ));
    }
    let Unique(value) = serde_json::from_slice(body)
        .map_err(|error| Malformed(format!("the body is not valid JSON: {error}")))?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(Malformed("the body must be a JSON object".to_owned())),
    }
}

/// Parses a JSON value of any type, as strictly as [`parse_object`].
pub fn parse_value(json: &[u8]) -> Result<Value, Malformed> {
    let Unique(value) = serde_json::from_slice(json)
        .map_err(|error| Malformed(format!("the body is not valid JSON: {error}")))?;
    Ok(value)
}

/// A JSON value in which no object has a member twice.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Unique)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Unique(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let Unique(value) = map.next_value()?;
            if members.contains_key(&name) {
                return Err(serde::de::Error::custom(format_args!(
                    "the member {name:?} appears twice"
                )));
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

/// Escapes a member name for a JSON pointer.
#[must_use]
pub fn pointer_token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Does the character make a name look like another: a control, a line separator, one of direction
/// (UAX #9), or a byte order mark?
fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// An object's members, taken one by one.
pub struct Fields<'e> {
    pointer: String,
    members: Map<String, Value>,
    errors: &'e Errors,
}

impl<'e> Fields<'e> {
    /// The members of the object at `pointer` (`""` for the body itself).
    pub fn new(
        pointer: impl Into<String>,
        members: Map<String, Value>,
        errors: &'e Errors,
    ) -> Self {
        Self {
            pointer: pointer.into(),
            members,
            errors,
        }
    }

    /// Where a member is.
    #[must_use]
    pub fn pointer_to(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, pointer_token(name))
    }

    /// The errors all readers of this body share.
    #[must_use]
    pub fn errors(&self) -> &'e Errors {
        self.errors
    }

    /// Records a mistake in a member.
    pub fn refuse(&self, name: &str, code: FieldCode, detail: impl Into<String>) {
        self.errors.add(self.pointer_to(name), code, detail);
    }

    /// Is the member there (also as null)?
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Is the member there, and not null?
    #[must_use]
    pub fn given(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    /// Takes a member; `null` counts as absent.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// Takes a member, keeping apart absent (`None`) and null (`Some(None)`): what a merge patch
    /// needs.
    pub fn take_nullable(&mut self, name: &str) -> Option<Option<Value>> {
        self.members
            .remove(name)
            .map(|value| Some(value).filter(|v| !v.is_null()))
    }

    /// Records `required` when the member was not [`given`](Self::given); what else is wrong with
    /// it was recorded when it was read.
    pub fn require<T>(&self, name: &str, given: bool, value: Option<T>) -> Option<T> {
        if !given {
            self.refuse(name, FieldCode::Required, format!("{name} is required"));
        }
        value
    }

    /// A text of `length` characters, without control characters other than tab and newline.
    pub fn text(&mut self, name: &str, length: RangeInclusive<usize>) -> Option<String> {
        let value = self.take(name)?;
        let Value::String(text) = value else {
            self.refuse(name, FieldCode::InvalidType, "must be a string");
            return None;
        };
        let characters = text.chars().count();
        if characters < *length.start() {
            self.refuse(
                name,
                FieldCode::TooShort,
                format!("must have at least {} characters", length.start()),
            );
        } else if characters > *length.end() {
            self.refuse(
                name,
                FieldCode::TooLong,
                format!("must have at most {} characters", length.end()),
            );
        } else if text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\t'))
        {
            self.refuse(
                name,
                FieldCode::InvalidFormat,
                "must not contain control characters",
            );
        } else {
            return Some(text);
        }
        None
    }

    /// A text that must be there.
    pub fn required_text(&mut self, name: &str, length: RangeInclusive<usize>) -> Option<String> {
        let given = self.given(name);
        let value = self.text(name, length);
        self.require(name, given, value)
    }

    /// A name: a text on one line that reads as it is written. Characters that change the direction
    /// of what follows, or that nobody sees, could make it look like another.
    pub fn name(&mut self, name: &str, length: RangeInclusive<usize>) -> Option<String> {
        let text = self.text(name, length)?;
        if text.chars().any(misleads) {
            self.refuse(
                name,
                FieldCode::InvalidFormat,
                "must not contain control characters or characters that change the text's direction",
            );
            return None;
        }
        Some(text)
    }

    /// A name that must be there.
    pub fn required_name(&mut self, name: &str, length: RangeInclusive<usize>) -> Option<String> {
        let given = self.given(name);
        let value = self.name(name, length);
        self.require(name, given, value)
    }

    /// A text that `parse` understands.
    pub fn parsed<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(name, 0..=4096)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(name, FieldCode::InvalidFormat, error.to_string());
                None
            }
        }
    }

    /// One of a closed set of words.
    pub fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(name, 0..=4096)?;
        let found = choices
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.refuse(
                name,
                FieldCode::InvalidValue,
                format!("must be one of {}", words.join(", ")),
            );
        }
        found
    }

    /// An integer in a range.
    pub fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.take(name)?;
        // 5.0 is an integer in JSON, as it is in JavaScript.
        let whole = |f: &f64| f.fract() == 0.0 && f.abs() < 9e15;
        let integer = value
            .as_i64()
            .or_else(|| value.as_f64().filter(whole).map(|f| f as i64));
        match integer {
            Some(n) if range.contains(&n) => Some(n),
            None if !value.is_number() => {
                self.refuse(name, FieldCode::InvalidType, "must be an integer");
                None
            }
            _ => {
                self.refuse(
                    name,
                    FieldCode::OutOfRange,
                    format!(
                        "must be an integer from {} to {}",
                        range.start(),
                        range.end()
                    ),
                );
                None
            }
        }
    }

    /// A number in a range.
    pub fn number(&mut self, name: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let value = self.take(name)?;
        match value.as_f64() {
            Some(n) if range.contains(&n) => Some(n),
            Some(_) => {
                self.refuse(
                    name,
                    FieldCode::OutOfRange,
                    format!("must be from {} to {}", range.start(), range.end()),
                );
                None
            }
            None => {
                self.refuse(name, FieldCode::InvalidType, "must be a number");
                None
            }
        }
    }

    /// The number that a member holds, without taking it.
    #[must_use]
    pub fn number_of(&self, name: &str) -> Option<f64> {
        self.members.get(name).and_then(Value::as_f64)
    }

    /// true or false.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        let value = self.take(name)?;
        if value.as_bool().is_none() {
            self.refuse(name, FieldCode::InvalidType, "must be true or false");
        }
        value.as_bool()
    }

    /// A list of at most `most` items, each read by `read` with its own pointer.
    pub fn list<T>(
        &mut self,
        name: &str,
        most: usize,
        mut read: impl FnMut(&str, Value, &Errors) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.take(name)?;
        let Value::Array(items) = value else {
            self.refuse(name, FieldCode::InvalidType, "must be a list");
            return None;
        };
        if items.len() > most {
            self.refuse(
                name,
                FieldCode::TooLong,
                format!("must have at most {most} items"),
            );
            return None;
        }
        let pointer = self.pointer_to(name);
        let count = items.len();
        let read: Vec<T> = items
            .into_iter()
            .enumerate()
            .filter_map(|(i, item)| read(&format!("{pointer}/{i}"), item, self.errors))
            .collect();
        (read.len() == count).then_some(read)
    }

    /// A list of texts that `parse` understands.
    pub fn parsed_list<T, E: fmt::Display>(
        &mut self,
        name: &str,
        most: usize,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        self.list(name, most, |pointer, item, errors| {
            let Value::String(text) = item else {
                errors.add(pointer, FieldCode::InvalidType, "must be a string");
                return None;
            };
            parse(&text)
                .map_err(|error| errors.add(pointer, FieldCode::InvalidFormat, error.to_string()))
                .ok()
        })
    }

    /// An object's members, raw: for maps whose names are the client's.
    pub fn members(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.take(name)? {
            Value::Object(members) => Some(members),
            _ => {
                self.refuse(name, FieldCode::InvalidType, "must be an object");
                None
            }
        }
    }

    /// An object, read by `read`; members that it does not take are unknown.
    pub fn object<T>(&mut self, name: &str, read: impl FnOnce(&mut Fields<'e>) -> T) -> Option<T> {
        let members = self.members(name)?;
        let mut fields = Fields::new(self.pointer_to(name), members, self.errors);
        let value = read(&mut fields);
        fields.finish();
        Some(value)
    }

    /// Refuses the members that only reads have.
    pub fn read_only(&mut self, names: &[&str]) {
        for name in names {
            if self.members.remove(*name).is_some() {
                self.refuse(name, FieldCode::ReadOnly, "is read-only");
            }
        }
    }

    /// Takes whatever is left unread: what it should have been cannot be told.
    pub fn take_rest(&mut self) {
        self.members.clear();
    }

    /// Every member that was not taken is unknown.
    pub fn finish(self) {
        for name in self.members.keys() {
            self.refuse(name, FieldCode::UnknownField, "is not a known field");
        }
    }
}

#[cfg(test)]
mod tests;
