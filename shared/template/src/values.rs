//! The values of a document as template values.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr};
use minijinja::{Error, ErrorKind, Value};

use crate::document::{Document, Kind};
use crate::meter::Meter;

/// The data that all values of one render share.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) document: Arc<Document>,
    pub(crate) meter: Arc<Meter>,
}

/// A list or an object of a document.
pub(crate) struct Container {
    pub(crate) view: Arc<View>,
    pub(crate) at: u32,
}

/// A number of a document. Its text is unchanged; operators and filters that calculate use its
/// [`native`] value.
pub(crate) struct Number {
    view: Arc<View>,
    at: u32,
}

/// Returns a value of a document.
pub(crate) fn value(view: &Arc<View>, at: u32) -> Value {
    let (view, document) = (view.clone(), &view.document);
    match &document.entry(at).kind {
        Kind::Null => Value::from(()),
        Kind::Bool(truth) => Value::from(*truth),
        Kind::Number => Value::from_object(Number { view, at }),
        Kind::Text => document
            .decoded(at)
            .map_or_else(|| Value::from(unreadable()), Value::from),
        Kind::List(_) | Kind::Object(_) => Value::from_object(Container { view, at }),
    }
}

/// Returns the error for a text that cannot be represented.
pub(crate) fn unreadable() -> Error {
    let detail = "the payload has a text with a lone surrogate (such as \\ud800), which no text can hold; \
                  only the json filter on an enclosing value can write it";
    Error::new(ErrorKind::InvalidOperation, detail)
}

/// Converts a number of a document to MiniJinja's own type. Returns other values unchanged.
pub(crate) fn native(value: &Value) -> Result<Value, Error> {
    match value.downcast_object_ref::<Number>() {
        None => Ok(value.clone()),
        Some(number) => number.native().ok_or_else(|| {
            let detail = format!(
                "{} is too large to calculate with; it can be written as it is",
                shortened(number.text())
            );
            Error::new(ErrorKind::InvalidOperation, detail)
        }),
    }
}

fn shortened(text: &str) -> String {
    if text.len() > 40 {
        format!("{}…", &text[..40])
    } else {
        text.to_owned()
    }
}

impl Number {
    pub(crate) fn text(&self) -> &str {
        let document = &self.view.document;
        document.source(&document.entry(self.at).span)
    }

    fn native(&self) -> Option<Value> {
        self.view.document.number(self.at)
    }
}

impl Container {
    /// Returns the unchanged text of the container.
    pub(crate) fn text(&self) -> &str {
        let document = &self.view.document;
        document.source(&document.entry(self.at).span)
    }

    /// Returns how many values the container has at any depth.
    pub(crate) fn values_count(&self) -> u64 {
        u64::from(self.view.document.entry(self.at).end - self.at)
    }

    /// Whether a text in the container cannot be represented.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.view.document.holds_unreadable(self.at)
    }

    fn child(&self, index: usize) -> Option<(Value, Value)> {
        let document = &self.view.document;
        let (Kind::List(range) | Kind::Object(range)) = &document.entry(self.at).kind else {
            return None;
        };
        let child = document.children(range).get(index)?;
        let key = document
            .key(child)
            .map_or_else(|| Value::from(unreadable()), Value::from);
        Some((key, value(&self.view, child.value)))
    }

    fn count(&self) -> usize {
        match &self.view.document.entry(self.at).kind {
            Kind::List(range) | Kind::Object(range) => range.len(),
            _ => 0,
        }
    }
}

impl Object for Container {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        match self.view.document.entry(self.at).kind {
            Kind::Object(_) => ObjectRepr::Map,
            _ => ObjectRepr::Seq,
        }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some(name) => self.get_value_by_str(name),
            None if self.repr() == ObjectRepr::Seq => {
                let index = native(key).ok()?.as_usize()?;
                let Kind::List(range) = &self.view.document.entry(self.at).kind else {
                    return None;
                };
                self.view
                    .document
                    .children(range)
                    .get(index)
                    .map(|child| value(&self.view, child.value))
            }
            None => None,
        }
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.view
            .document
            .member(self.at, key)
            .map(|at| value(&self.view, at))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.repr() {
            ObjectRepr::Map => {
                let container = self.clone();
                Enumerator::RevKeyValueIter(Box::new(
                    (0..self.count()).filter_map(move |index| container.child(index)),
                ))
            }
            _ => Enumerator::Seq(self.count()),
        }
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.count())
    }
}

impl Object for Number {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        self.native().is_none_or(|number| number.is_true())
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        if self.view.meter.is_over() {
            return Some(Ordering::Equal);
        }
        Some(match (self.native(), other.native()) {
            (Some(number), Some(other)) => number.cmp(&other),
            _ => as_float(self.text())
                .total_cmp(&as_float(other.text()))
                .then_with(|| self.text().cmp(other.text())),
        })
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Returns a floating-point number, which is infinite if the number is too large.
fn as_float(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
