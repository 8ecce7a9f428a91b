//! Strict reading of what clients send. Every mistake is reported at once, with its JSON pointer
//! (RFC 6901).
//!
//! [`parse_object`] parses bytes as a JSON object and rejects input that is not JSON, is not an
//! object, or repeats a member name. [`Fields`] reads the members of an object one by one. It
//! records every invalid member in the shared [`Errors`], and reports every member that was not
//! read as an unknown field. A reader can also [`describe`](Fields::describe) the members that it
//! takes; [`SchemaRecorder`] makes their JSON Schema.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

use crate::credentials::Decides;

/// The machine-readable code of a mistake in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldCode {
    /// A required member is missing.
    Required,
    /// The contract does not define this member.
    UnknownField,
    /// The value has a different JSON type than expected.
    InvalidType,
    /// The value has the right type, but is not allowed.
    InvalidValue,
    /// The value does not have the format of the field.
    InvalidFormat,
    /// The value has fewer characters or items than allowed.
    TooShort,
    /// The value has more characters or items than allowed.
    TooLong,
    /// The value is nested deeper than allowed.
    TooDeep,
    /// A number or time is outside its range.
    OutOfRange,
    /// The name or value is reserved.
    Reserved,
    /// The member appears only in responses and cannot be written.
    ReadOnly,
    /// A masked secret from a response was written back.
    MaskedValue,
    /// Members exclude each other, or none of several members of which one is needed is present.
    Conflict,
    /// The address is one that destinations may not use.
    BlockedAddress,
    /// The thing that the value refers to does not exist.
    NotFound,
}

/// One mistake: its location (`pointer` for a body, `parameter` for a query), its code and a
/// description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The JSON pointer into the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The name of the query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The machine-readable code of the mistake.
    pub code: FieldCode,
    /// A description of the mistake for people.
    pub detail: String,
}

impl FieldError {
    /// Returns a mistake in the body, at `pointer`.
    pub fn at(pointer: impl Into<String>, code: FieldCode, detail: impl Into<String>) -> Self {
        Self {
            pointer: Some(pointer.into()),
            parameter: None,
            code,
            detail: detail.into(),
        }
    }

    /// Returns a mistake in the query parameter `parameter`.
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

/// The maximum number of mistakes that are reported for one request.
pub const MISTAKES_MAX: usize = 100;

/// The mistakes found so far, shared by all readers of one body. Only the first [`MISTAKES_MAX`]
/// are kept.
#[derive(Debug, Default)]
pub struct Errors(RefCell<Vec<FieldError>>);

impl Errors {
    /// Records a mistake at `pointer`.
    pub fn add(&self, pointer: impl Into<String>, code: FieldCode, detail: impl Into<String>) {
        let mut errors = self.0.borrow_mut();
        if errors.len() < MISTAKES_MAX {
            errors.push(FieldError::at(pointer, code, detail));
        }
    }

    /// Returns whether further mistakes are not kept.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.borrow().len() >= MISTAKES_MAX
    }

    /// Records mistakes that were found elsewhere.
    pub fn extend(&self, errors: impl IntoIterator<Item = FieldError>) {
        let mut recorded = self.0.borrow_mut();
        let room = MISTAKES_MAX.saturating_sub(recorded.len());
        recorded.extend(errors.into_iter().take(room));
    }

    /// Returns whether no mistake has been recorded so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Returns `value` if no mistake was recorded, or else every mistake.
    pub fn into_result<T>(self, value: T) -> Result<T, Vec<FieldError>> {
        let errors = self.0.into_inner();
        if errors.is_empty() {
            Ok(value)
        } else {
            Err(errors)
        }
    }
}

/// The error for bytes that are not a JSON object; reported as 400 `malformed_request`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// Parses a JSON object. Rejects objects, at any depth, in which a member appears twice, and
/// nesting deeper than the 128 levels that `serde_json` allows.
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

/// Parses a JSON value of any type, with the same strictness as [`parse_object`].
pub fn parse_value(json: &[u8]) -> Result<Value, Malformed> {
    let Unique(value) = serde_json::from_slice(json)
        .map_err(|error| Malformed(format!("the body is not valid JSON: {error}")))?;
    Ok(value)
}

/// A JSON value in which no object has the same member twice.
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

/// Escapes a member name for use in a JSON pointer.
#[must_use]
pub fn pointer_token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Returns whether the character can make a name look like another one: a control character, a line
/// separator, a directional formatting character (UAX #9), an invisible character or a byte order
/// mark.
fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// The keyword that marks a member that decides which server receives the secrets. If such a member
/// is changed, every secret must be sent again.
pub const CREDENTIALS_REQUIRED: &str = "x-credentials-required";

/// The JSON Schemas of the members that a reader takes, in the words of the reader.
#[derive(Debug, Default)]
pub struct SchemaRecorder(RefCell<Recorded>);

#[derive(Debug, Default)]
struct Recorded {
    members: Map<String, Value>,
    required: Vec<String>,
}

impl SchemaRecorder {
    /// Returns the JSON Schema of an object with the members that `read` describes and no others.
    pub fn record<T>(read: impl FnOnce(&mut Fields<'_>) -> T) -> Value {
        let (recorder, errors) = (Self::default(), Errors::default());
        read(&mut Fields {
            schemas: Some(&recorder),
            ..Fields::new("", Map::new(), &errors)
        });
        let Recorded { members, required } = recorder.0.into_inner();
        let mut schema =
            json!({"type": "object", "properties": members, "additionalProperties": false});
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        schema
    }
}

/// The members of an object, which are taken one by one.
pub struct Fields<'e> {
    pointer: String,
    members: Map<String, Value>,
    errors: &'e Errors,
    schemas: Option<&'e SchemaRecorder>,
}

impl<'e> Fields<'e> {
    /// Creates a reader for the members of the object at `pointer` (`""` for the body itself).
    pub fn new(
        pointer: impl Into<String>,
        members: Map<String, Value>,
        errors: &'e Errors,
    ) -> Self {
        Self {
            pointer: pointer.into(),
            members,
            errors,
            schemas: None,
        }
    }

    /// Describes the member `name` by its JSON Schema, which `schema` returns when the schemas of a
    /// reader are recorded. `decides` says whether the member decides which server receives the
    /// secrets.
    pub fn describe(&self, name: &str, decides: Decides, schema: impl FnOnce() -> Value) {
        let Some(schemas) = self.schemas else {
            return;
        };
        let mut schema = schema();
        if decides == Decides::Recipient {
            schema[CREDENTIALS_REQUIRED] = true.into();
        }
        let mut recorded = schemas.0.borrow_mut();
        recorded.members.insert(name.to_owned(), schema);
    }

    /// Reads and describes a Boolean value that is `default` if it is absent.
    pub fn flag(&mut self, name: &str, decides: Decides, default: bool, description: &str) -> bool {
        self.describe(
            name,
            decides,
            || json!({"type": "boolean", "default": default, "description": description}),
        );
        self.boolean(name).unwrap_or(default)
    }

    /// Reads and describes one of a closed set of words. If it is absent, the value is `default`.
    pub fn word<T: Copy + PartialEq>(
        &mut self,
        name: &str,
        decides: Decides,
        choices: &[(&str, T)],
        default: T,
        description: Option<&str>,
    ) -> T {
        self.describe(name, decides, || {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let usual = choices.iter().find(|(_, value)| *value == default);
            let mut schema = json!({"enum": words, "default": usual.map(|(word, _)| *word)});
            if let Some(description) = description {
                schema["description"] = description.into();
            }
            schema
        });
        self.choice(name, choices).unwrap_or(default)
    }

    /// Returns the JSON pointer to the member `name`.
    #[must_use]
    pub fn pointer_to(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, pointer_token(name))
    }

    /// Returns the errors that all readers of this body share.
    #[must_use]
    pub fn errors(&self) -> &'e Errors {
        self.errors
    }

    /// Records a mistake in the member `name`.
    pub fn refuse(&self, name: &str, code: FieldCode, detail: impl Into<String>) {
        if !self.errors.is_full() {
            self.errors.add(self.pointer_to(name), code, detail);
        }
    }

    /// Records that the text of a member is malformed, with `detail`, unless it is absent or
    /// `is_valid` accepts it.
    pub fn check_format(
        &self,
        name: &str,
        text: Option<&str>,
        is_valid: impl FnOnce(&str) -> bool,
        detail: &str,
    ) {
        if text.is_some_and(|text| !is_valid(text)) {
            self.refuse(name, FieldCode::InvalidFormat, detail);
        }
    }

    /// Returns whether the member is present, even if it is null.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Returns whether the member is present and not null.
    #[must_use]
    pub fn given(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    /// Takes the member; returns `None` if it is absent or null.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// Takes the member and distinguishes an absent one (`None`) from null (`Some(None)`), as a
    /// merge patch requires.
    pub fn take_nullable(&mut self, name: &str) -> Option<Option<Value>> {
        self.members
            .remove(name)
            .map(|value| Some(value).filter(|v| !v.is_null()))
    }

    /// Returns `value`. Records `required` if the member was not [`given`](Self::given); any other
    /// mistake was recorded when the member was read.
    pub fn require<T>(&self, name: &str, given: bool, value: Option<T>) -> Option<T> {
        if let Some(schemas) = self.schemas {
            schemas.0.borrow_mut().required.push(name.to_owned());
        }
        if !given {
            self.refuse(name, FieldCode::Required, format!("{name} is required"));
        }
        value
    }

    /// Reads a text of `length` characters that contains no control characters other than tab and
    /// newline.
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

    /// Reads a text as [`text`](Self::text) does, and records `required` if it is absent.
    pub fn required_text(&mut self, name: &str, length: RangeInclusive<usize>) -> Option<String> {
        let given = self.given(name);
        let value = self.text(name, length);
        self.require(name, given, value)
    }

    /// Reads a name: a text on one line that looks the way it is stored. Characters that change the
    /// direction of the text after them, or that are invisible, are rejected, because they can make
    /// a name look like another one.
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

    /// Reads a name as [`name`](Self::name) does, and records `required` if it is absent.
    pub fn required_name(&mut self, name: &str, length: RangeInclusive<usize>) -> Option<String> {
        let given = self.given(name);
        let value = self.name(name, length);
        self.require(name, given, value)
    }

    /// Reads a text that `parse` accepts.
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

    /// Reads one of a closed set of words.
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

    /// Reads an integer in `range`.
    pub fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.take(name)?;
        // JSON does not distinguish 5.0 from 5.
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

    /// Reads a number in `range`.
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

    /// Returns the number that the member holds, without taking it.
    #[must_use]
    pub fn number_of(&self, name: &str) -> Option<f64> {
        self.members.get(name).and_then(Value::as_f64)
    }

    /// Reads a Boolean value.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        let value = self.take(name)?;
        if value.as_bool().is_none() {
            self.refuse(name, FieldCode::InvalidType, "must be true or false");
        }
        value.as_bool()
    }

    /// Reads a list of at most `most` items. `read` is called for each item with the item's JSON
    /// pointer; if it returns `None` for any of them, so does this method.
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

    /// Reads a list of texts that `parse` accepts.
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

    /// Takes an object and returns its members unread, for maps whose member names the client
    /// chooses.
    pub fn members(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.take(name)? {
            Value::Object(members) => Some(members),
            _ => {
                self.refuse(name, FieldCode::InvalidType, "must be an object");
                None
            }
        }
    }

    /// Reads an object with `read`. Members that `read` does not take are reported as unknown.
    pub fn object<T>(&mut self, name: &str, read: impl FnOnce(&mut Fields<'e>) -> T) -> Option<T> {
        let members = self.members(name)?;
        let mut fields = Fields::new(self.pointer_to(name), members, self.errors);
        let value = read(&mut fields);
        fields.finish();
        Some(value)
    }

    /// Reports each of `names` that is present as read-only.
    pub fn read_only(&mut self, names: &[&str]) {
        for name in names {
            if self.members.remove(*name).is_some() {
                self.refuse(name, FieldCode::ReadOnly, "is read-only");
            }
        }
    }

    /// Discards all remaining members, so that [`finish`](Self::finish) does not report them as
    /// unknown. Used where it cannot be determined which members are allowed.
    pub fn take_rest(&mut self) {
        self.members.clear();
    }

    /// Reports every member that was not taken as an unknown field.
    pub fn finish(self) {
        for name in self.members.keys() {
            self.refuse(name, FieldCode::UnknownField, "is not a known field");
        }
    }
}

#[cfg(test)]
mod tests;
