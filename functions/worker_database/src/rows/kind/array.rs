//! Converts JSON arrays to PostgreSQL arrays.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::{Cell, json};
use super::{ColumnKind, text_of};

/// Returns an array in PostgreSQL's notation: `{1,2}`, `{"a","b\"c",NULL}`. A text may be in this
/// notation already if the server changes no items of this kind.
pub(super) fn literal<'r>(cell: Cell<'r>, kind: &ColumnKind) -> Result<Cell<'r>, String> {
    let json = match &cell {
        Cell::Json(text) => text,
        Cell::Text(text) if text.trim_start().starts_with('[') => &**text,
        Cell::Text(_) if is_exact(kind) => return Ok(cell),
        Cell::Text(_) => return Err("accepts arrays in the notation of JSON".to_owned()),
        _ => return Err("accepts arrays".to_owned()),
    };
    let mut out = String::with_capacity(json.len());
    write(&mut out, json, kind)?;
    Ok(Cell::Text(Cow::Owned(out)))
}

/// Whether the server stores every value of this kind unchanged or refuses it.
fn is_exact(kind: &ColumnKind) -> bool {
    matches!(
        kind,
        ColumnKind::Integer { .. } | ColumnKind::Boolean | ColumnKind::BitText | ColumnKind::Other
    ) || *kind == ColumnKind::TEXT
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
