//! The payload that a template may name.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use minijinja::{Error, ErrorKind, Value};

use crate::document::{Document, DocumentError};
use crate::meter::Meter;
use crate::values::{self, View};

/// A payload, read as JSON when a template first names it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Payload(Arc<Content>);

#[derive(Debug)]
enum Content {
    Json {
        bytes: Bytes,
        document: OnceLock<Result<Arc<Document>, DocumentError>>,
    },
    /// There is no JSON: the variable does not exist.
    Absent(String),
    /// There is JSON that cannot be read: a template that names it fails.
    Unreadable(String),
}

impl Payload {
    /// JSON, as it was sent.
    #[must_use]
    pub fn json(bytes: Bytes) -> Self {
        Self(Arc::new(Content::Json { bytes, document: OnceLock::new() }))
    }

    /// No JSON; `why` completes an error that a template makes by naming it.
    pub fn absent(why: impl Into<String>) -> Self {
        Self(Arc::new(Content::Absent(why.into())))
    }

    /// JSON that templates cannot have, and why.
    pub fn unreadable(why: impl Into<String>) -> Self {
        Self(Arc::new(Content::Unreadable(why.into())))
    }

    /// The document; `Ok(None)` where there is no JSON.
    pub fn document(&self) -> Result<Option<Arc<Document>>, String> {
        match &*self.0 {
            Content::Absent(_) => Ok(None),
            Content::Unreadable(why) => Err(why.clone()),
            Content::Json { bytes, document } => {
                let document = document.get_or_init(|| Document::parse(bytes).map(Arc::new));
                document.clone().map(Some).map_err(|error| error.to_string())
            }
        }
    }

    /// Why there is no JSON.
    pub(crate) fn absence(&self) -> Option<&str> {
        match &*self.0 {
            Content::Absent(why) => Some(why),
            _ => None,
        }
    }

    /// The variable's value; `None` where it does not exist. An error shows once the template names it.
    pub(crate) fn to_value(&self, meter: &Arc<Meter>) -> Option<Value> {
        let document = match self.document() {
            Ok(document) => document?,
            Err(why) => return Some(Value::from(Error::new(ErrorKind::InvalidOperation, why))),
        };
        Some(values::value(&Arc::new(View { document, meter: meter.clone() }), 0))
    }
}
