//! The payload variable of templates.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use minijinja::{Error, ErrorKind, Value};

use crate::document::{Document, DocumentError};
use crate::meter::Meter;
use crate::values::{self, View};

/// A payload that is parsed as JSON when a template first uses it. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Payload(Arc<Content>);

#[derive(Debug)]
enum Content {
    Json {
        bytes: Bytes,
        document: OnceLock<Result<Arc<Document>, DocumentError>>,
    },
    /// There is no JSON, so the variable does not exist.
    Absent(String),
    /// The JSON cannot be read, so a template that uses it fails.
    Unreadable(String),
}

impl Payload {
    /// Creates a payload from JSON, which keeps its text.
    #[must_use]
    pub fn json(bytes: Bytes) -> Self {
        Self(Arc::new(Content::Json {
            bytes,
            document: OnceLock::new(),
        }))
    }

    /// Creates a payload without JSON. `why` completes the error of a template that uses it.
    pub fn absent(why: impl Into<String>) -> Self {
        Self(Arc::new(Content::Absent(why.into())))
    }

    /// Creates a payload that templates cannot use, with the reason.
    pub fn unreadable(why: impl Into<String>) -> Self {
        Self(Arc::new(Content::Unreadable(why.into())))
    }

    /// Returns the document, or `Ok(None)` if there is no JSON.
    pub fn document(&self) -> Result<Option<Arc<Document>>, String> {
        match &*self.0 {
            Content::Absent(_) => Ok(None),
            Content::Unreadable(why) => Err(why.clone()),
            Content::Json { bytes, document } => {
                let document = document.get_or_init(|| Document::parse(bytes).map(Arc::new));
                document
                    .clone()
                    .map(Some)
                    .map_err(|error| error.to_string())
            }
        }
    }

    /// Returns why there is no JSON.
    pub(crate) fn absence(&self) -> Option<&str> {
        match &*self.0 {
            Content::Absent(why) => Some(why),
            _ => None,
        }
    }

    /// Returns the value of the variable, or `None` if it does not exist. An error occurs when the
    /// template uses it.
    pub(crate) fn to_value(&self, meter: &Arc<Meter>) -> Option<Value> {
        let document = match self.document() {
            Ok(document) => document?,
            Err(why) => return Some(Value::from(Error::new(ErrorKind::InvalidOperation, why))),
        };
        Some(values::value(
            &Arc::new(View {
                document,
                meter: meter.clone(),
            }),
            0,
        ))
    }
}
