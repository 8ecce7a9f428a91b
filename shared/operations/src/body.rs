//! A request's body. It is read after the caller, the role and the object have been checked, in the
//! order of refusal that the crate's documentation describes.

use bytes::Bytes;
use domain::input::{Errors, FieldError, Fields, parse_object};
use serde_json::{Map, Value};

use crate::Refusal;

/// A body that was received, or the reason why it cannot be accepted.
#[derive(Debug)]
pub struct Body(Result<Bytes, Refusal>);

impl Body {
    /// Creates a body from the bytes that were received.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self(Ok(bytes))
    }

    /// Creates a body that is refused when it is read.
    #[must_use]
    pub fn refused(refusal: Refusal) -> Self {
        Self(Err(refusal))
    }

    /// Returns the bytes of the body, or its refusal.
    pub fn bytes(self) -> Result<Bytes, Refusal> {
        self.0
    }

    /// Parses the body as a JSON object.
    pub fn object(self) -> Result<Map<String, Value>, Refusal> {
        Ok(parse_object(&self.0?)?)
    }

    /// Parses the body as a JSON object. An empty body is an empty object, for actions whose fields
    /// are all optional.
    pub fn object_or_empty(self) -> Result<Map<String, Value>, Refusal> {
        let bytes = self.0?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            Ok(Map::new())
        } else {
            Ok(parse_object(&bytes)?)
        }
    }
}

/// Reads an object's members with `read`, and refuses those that `read` did not take. Returns all
/// mistakes at once.
pub(crate) fn read_members<T>(
    members: Map<String, Value>,
    errors: Errors,
    read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
) -> Result<T, Vec<FieldError>> {
    let mut fields = Fields::new("", members, &errors);
    let value = read(&mut fields);
    fields.finish();
    match (value, errors.into_result(())) {
        (Some(value), Ok(())) => Ok(value),
        (_, Err(errors)) => Err(errors),
        (None, Ok(())) => unreachable!("a reader that finds nothing says why"),
    }
}
