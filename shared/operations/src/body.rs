//! A request's body. It is read after the caller, the role and the object have been checked, in the
//! order of refusal that the crate's documentation describes.

use bytes::Bytes;
use domain::input::{Errors, FieldError, Fields, parse_object};
use serde_json::{Map, Value};

use crate::Refusal;

/// A body that was received, or the reason why it cannot be accepted.
#[derive(Debug)]
pub struct Body(Result<Source, Refusal>);

/// The content of a body.
#[derive(Debug)]
pub(crate) enum Source {
    /// The bytes that a client sent.
    Bytes(Bytes),
    /// The fields of a form that a person filled in.
    Form(Map<String, Value>),
}

impl Body {
    /// Creates a body from the bytes that were received.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self(Ok(Source::Bytes(bytes)))
    }

    /// Creates a body from the fields of a form.
    pub(crate) fn form(fields: Map<String, Value>) -> Self {
        Self(Ok(Source::Form(fields)))
    }

    /// Creates a body that is refused when it is read.
    #[must_use]
    pub fn refused(refusal: Refusal) -> Self {
        Self(Err(refusal))
    }

    /// Returns the content of the body, or its refusal.
    pub(crate) fn source(self) -> Result<Source, Refusal> {
        self.0
    }

    /// Returns the bytes of the body, or its refusal. A message is submitted as bytes.
    pub(crate) fn bytes(self) -> Result<Bytes, Refusal> {
        match self.0? {
            Source::Bytes(bytes) => Ok(bytes),
            Source::Form(_) => Err(Refusal::internal("a form was sent where bytes are read")),
        }
    }

    /// Returns the members of the body, which must be a JSON object.
    pub(crate) fn object(self) -> Result<Map<String, Value>, Refusal> {
        match self.0? {
            Source::Bytes(bytes) => Ok(parse_object(&bytes)?),
            Source::Form(fields) => Ok(fields),
        }
    }

    /// Returns the members of the body. An empty body is an empty object, for actions whose fields
    /// are all optional.
    pub(crate) fn object_or_empty(self) -> Result<Map<String, Value>, Refusal> {
        match self.0? {
            Source::Bytes(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => Ok(Map::new()),
            Source::Bytes(bytes) => Ok(parse_object(&bytes)?),
            Source::Form(fields) => Ok(fields),
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
