//! A JSON document that keeps its text: numbers, key order and escapes stay unchanged.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use minijinja::Value as Native;
use serde_json::value::RawValue;

/// The deepest nesting of a document.
pub const DOCUMENT_DEPTH_MAX: usize = 128;

/// Why bytes are not a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The bytes are not JSON.
    #[error("the payload is not valid JSON: {0}")]
    Invalid(String),
    /// Lists and objects are nested too deeply.
    #[error("the payload is too deeply nested (at most {DOCUMENT_DEPTH_MAX} levels)")]
    TooDeep,
}

/// A parsed JSON document: a table of its values in the order of the text.
pub struct Document {
    text: String,
    values: Vec<Entry>,
    /// The children of lists, and the keys and children of objects. Those of one container are
    /// consecutive.
    children: Vec<Child>,
    /// For the children of objects, their indexes within the object, sorted by key.
    by_key: Vec<u32>,
    /// The positions in `values` of strings with a lone surrogate, in ascending order.
    unreadable: Vec<u32>,
}

/// One value of a document.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The range of its text.
    pub(crate) span: Range<u32>,
    /// The index of the next value that is not part of this one.
    pub(crate) end: u32,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number,
    Text,
    /// A range of the document's children.
    List(Range<u32>),
    /// A range of the document's children, which have keys.
    Object(Range<u32>),
}

/// A member of a container. `key` is the range of an object's key with its quotes, and empty in
/// lists.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    key: Range<u32>,
    pub(crate) value: u32,
}

impl Document {
    /// Parses JSON of any type.
    pub fn parse(text: &[u8]) -> Result<Self, DocumentError> {
        let raw: &RawValue = serde_json::from_slice(text)
            .map_err(|error| DocumentError::Invalid(error.to_string()))?;
        if u32::try_from(text.len()).is_err() {
            return Err(DocumentError::Invalid("it is larger than 4 GiB".to_owned()));
        }
        Reader::new(raw.get()).read()
    }

    /// Returns the unchanged text of the document.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the string at a path of members, or `None` if there is none.
    #[must_use]
    pub fn text_at(&self, path: &[&str]) -> Option<String> {
        let mut at = 0;
        for name in path {
            at = self.member(at, name)?;
        }
        matches!(self.entry(at).kind, Kind::Text)
            .then(|| self.decoded(at))
            .flatten()
    }

    pub(crate) fn entry(&self, at: u32) -> &Entry {
        &self.values[at as usize]
    }

    pub(crate) fn source(&self, span: &Range<u32>) -> &str {
        self.text
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    pub(crate) fn children(&self, range: &Range<u32>) -> &[Child] {
        &self.children[range.start as usize..range.end as usize]
    }

    /// Returns the decoded text of a string, or `None` if it contains a lone surrogate.
    pub(crate) fn decoded(&self, at: u32) -> Option<String> {
        decoded(self.source(&self.entry(at).span))
    }

    /// Returns the decoded key of a child, or `None` if it contains a lone surrogate.
    pub(crate) fn key(&self, child: &Child) -> Option<String> {
        decoded(self.source(&child.key))
    }

    /// Returns the value of an object's member. If several have the same name, the last one counts.
    pub(crate) fn member(&self, object: u32, name: &str) -> Option<u32> {
        let Kind::Object(range) = &self.entry(object).kind else {
            return None;
        };
        let children = self.children(range);
        let by_key = &self.by_key[range.start as usize..range.end as usize];
        let after = by_key
            .partition_point(|index| *sort_key(&self.text, &children[*index as usize]) <= *name);
        let child = &children[*by_key.get(after.checked_sub(1)?)? as usize];
        (self.key(child).as_deref() == Some(name)).then_some(child.value)
    }

    /// Whether the value, or a key or value in it, is a string that cannot be decoded.
    pub(crate) fn holds_unreadable(&self, at: u32) -> bool {
        let first = self
            .unreadable
            .partition_point(|unreadable| *unreadable < at);
        self.unreadable
            .get(first)
            .is_some_and(|unreadable| *unreadable < self.entry(at).end)
    }

    /// Returns a number in MiniJinja's type, or `None` if it is too large for calculations.
    pub(crate) fn number(&self, at: u32) -> Option<Native> {
        let text = self.source(&self.entry(at).span);
        if let Ok(number) = text.parse::<i64>() {
            return Some(number.into());
        }
        if let Ok(number) = text.parse::<i128>() {
            return Some(number.into());
        }
        if let Ok(number) = text.parse::<u128>() {
            return Some(number.into());
        }
        text.parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())
            .map(Native::from)
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} bytes)", self.text.len())
    }
}

/// Returns the decoded key, or its text if it contains a lone surrogate. That text has a backslash,
/// so it equals no name.
fn sort_key<'t>(text: &'t str, child: &Child) -> Cow<'t, str> {
    let quoted = text
        .get(child.key.start as usize..child.key.end as usize)
        .unwrap_or_default();
    match quoted.get(1..quoted.len().saturating_sub(1)) {
        Some(inner) if !inner.contains('\\') => Cow::Borrowed(inner),
        _ => serde_json::from_str(quoted).map_or(Cow::Borrowed(quoted), Cow::Owned),
    }
}

fn decoded(quoted: &str) -> Option<String> {
    match quoted.get(1..quoted.len().saturating_sub(1)) {
        Some(inner) if !inner.contains('\\') => Some(inner.to_owned()),
        _ => serde_json::from_str(quoted).ok(),
    }
}

/// Builds the tables of a document without recursion. The text is known to be valid JSON.
struct Reader<'t> {
    source: &'t str,
    text: &'t [u8],
    at: usize,
    values: Vec<Entry>,
    children: Vec<Child>,
    by_key: Vec<u32>,
    unreadable: Vec<u32>,
    open: Vec<Open>,
    key: Range<u32>,
}

/// A container whose end has not been read.
struct Open {
    value: u32,
    is_object: bool,
    children: Vec<Child>,
}

impl<'t> Reader<'t> {
    fn new(source: &'t str) -> Self {
        let (values, children, by_key) = (Vec::new(), Vec::new(), Vec::new());
        let (unreadable, open) = (Vec::new(), Vec::new());
        Self {
            source,
            text: source.as_bytes(),
            at: 0,
            values,
            children,
            by_key,
            unreadable,
            open,
            key: 0..0,
        }
    }

    fn read(mut self) -> Result<Document, DocumentError> {
        while let Some(byte) = self.text.get(self.at).copied() {
            match byte {
                b'[' | b'{' => self.open(byte == b'{')?,
                b']' | b'}' => self.close(),
                b'"' => self.string(),
                b'n' => self.add(4, Kind::Null),
                b't' => self.add(4, Kind::Bool(true)),
                b'f' => self.add(5, Kind::Bool(false)),
                b'-' | b'0'..=b'9' => {
                    let rest = &self.text[self.at..];
                    let is_part =
                        |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                    self.add(
                        rest.iter().take_while(|byte| is_part(byte)).count(),
                        Kind::Number,
                    );
                }
                _ => self.at += 1,
            }
        }
        self.unreadable.sort_unstable();
        let Self {
            values,
            children,
            by_key,
            unreadable,
            ..
        } = self;
        Ok(Document {
            text: self.source.to_owned(),
            values,
            children,
            by_key,
            unreadable,
        })
    }

    fn open(&mut self, is_object: bool) -> Result<(), DocumentError> {
        if self.open.len() == DOCUMENT_DEPTH_MAX {
            return Err(DocumentError::TooDeep);
        }
        let value = position(self.values.len());
        self.add(1, Kind::Null);
        self.open.push(Open {
            value,
            is_object,
            children: Vec::new(),
        });
        Ok(())
    }

    fn close(&mut self) {
        self.at += 1;
        let Some(open) = self.open.pop() else { return };
        let start = position(self.children.len());
        let mut by_key: Vec<u32> = (0..position(open.children.len())).collect();
        if open.is_object {
            let key = |index: &u32| sort_key(self.source, &open.children[*index as usize]);
            by_key.sort_by_cached_key(key);
        }
        self.by_key.extend(by_key);
        self.children.extend(open.children);
        let range = start..position(self.children.len());
        let end = position(self.values.len());
        let entry = &mut self.values[open.value as usize];
        entry.span.end = position(self.at);
        entry.end = end;
        entry.kind = if open.is_object {
            Kind::Object(range)
        } else {
            Kind::List(range)
        };
    }

    /// Reads a string, which is a key if its object has no key that waits for a value.
    fn string(&mut self) {
        let length = string_length(&self.text[self.at..]);
        let span = position(self.at)..position(self.at + length);
        let inner = &self.text[self.at + 1..self.at + length - 1];
        if inner.contains(&b'\\')
            && serde_json::from_slice::<String>(&self.text[self.at..self.at + length]).is_err()
        {
            let object = self
                .open
                .last()
                .filter(|_| self.expects_key())
                .map(|open| open.value);
            self.unreadable
                .push(object.unwrap_or(position(self.values.len())));
        }
        if self.expects_key() {
            self.key = span;
            self.at += length;
        } else {
            self.add(length, Kind::Text);
        }
    }

    fn expects_key(&self) -> bool {
        self.open.last().is_some_and(|open| open.is_object) && self.key.is_empty()
    }

    fn add(&mut self, length: usize, kind: Kind) {
        let value = position(self.values.len());
        let key = std::mem::replace(&mut self.key, 0..0);
        if let Some(open) = self.open.last_mut() {
            open.children.push(Child { key, value });
        }
        self.values.push(Entry {
            span: position(self.at)..position(self.at + length),
            end: value + 1,
            kind,
        });
        self.at += length;
    }
}

fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// A document has fewer than 2³² bytes, and so fewer values.
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
