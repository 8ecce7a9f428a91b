//! Converts JSON arrays to PostgreSQL arrays.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::{Cell, json};
use super::{ColumnKind, text_of};

/// Returns an array in PostgreSQL's notation: `{1,2}`, `{"a","b\"c",NULL}`. A text is assumed to be
/// in this notation already.
pub(super) fn literal<'r>(cell: Cell<'r>, kind: &ColumnKind) -> Result<Cell<'r>, String> {
    match cell {
        Cell::Json(text) if text.starts_with('[') => {
            let mut out = String::with_capacity(text.len());
            write(&mut out, text, kind)?;
            Ok(Cell::Text(Cow::Owned(out)))
        }
        Cell::Text(text) => Ok(Cell::Text(text)),
        _ => Err("accepts arrays".to_owned()),
    }
}

fn write(out: &mut String, array: &str, kind: &ColumnKind) -> Result<(), String> {
    let items: Vec<&RawValue> =
        serde_json::from_str(array).map_err(|_| "accepts arrays".to_owned())?;
    out.push('{');
    for (position, item) in items.into_iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        let raw = item.get();
        if raw.starts_with('[') && !kind.holds_json() {
            write(out, raw, kind)?;
            continue;
        }
        let cell = json::cell::<serde_json::Error>(raw, kind.holds_json())
            .map_err(|error| error.to_string())?;
        match kind.fit(cell, false)? {
            Cell::Null | Cell::Absent => out.push_str("NULL"),
            Cell::Number(digits) => out.push_str(&digits),
            cell => write_quoted(out, &text_of(cell)?),
        }
    }
    out.push('}');
    Ok(())
}

fn write_quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}
