//! Parses a CSV record (RFC 4180): commas, double quotes; an empty field without quotes is null.

use std::borrow::Cow;

use super::Cell;

/// One field of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field<'r> {
    text: Cow<'r, str>,
    is_quoted: bool,
}

impl<'r> Field<'r> {
    pub(super) fn into_text(self) -> Cow<'r, str> {
        self.text
    }

    fn into_cell(self) -> Cell<'r> {
        if self.text.is_empty() && !self.is_quoted {
            Cell::Null
        } else {
            Cell::Text(self.text)
        }
    }
}

/// Returns the fields of a record.
pub(super) fn fields(record: &[u8]) -> Result<Vec<Field<'_>>, String> {
    let record = std::str::from_utf8(record).map_err(|_| "is not UTF-8".to_owned())?;
    let mut rest = record.trim_end_matches(['\r', '\n']);
    let mut fields = Vec::new();
    loop {
        let (field, after) = field(rest)?;
        fields.push(field);
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None if after.is_empty() => return Ok(fields),
            None => return Err("has characters after a closing quote".to_owned()),
        }
    }
}

/// Returns the cells of a record.
pub(super) fn decode<'r>(
    record: &'r [u8],
    positions: &[Option<usize>],
    width: usize,
) -> Result<Vec<Cell<'r>>, String> {
    let fields = fields(record)?;
    if fields.len() != positions.len() {
        return Err(format!(
            "has {} fields; the header has {}",
            fields.len(),
            positions.len()
        ));
    }
    let mut cells = vec![Cell::Absent; width];
    for (field, position) in fields.into_iter().zip(positions) {
        if let Some(position) = position {
            cells[*position] = field.into_cell();
        }
    }
    Ok(cells)
}

/// Returns the first field and the text after it.
fn field(text: &str) -> Result<(Field<'_>, &str), String> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let (field, after) = text.split_at(end);
        return if field.contains('"') {
            Err("has a quote within a field that does not begin with one".to_owned())
        } else {
            Ok((
                Field {
                    text: Cow::Borrowed(field),
                    is_quoted: false,
                },
                after,
            ))
        };
    };
    let mut whole = Cow::Borrowed("");
    loop {
        let (piece, after) = rest
            .split_once('"')
            .ok_or("has a quote that is not closed")?;
        whole = if whole.is_empty() {
            Cow::Borrowed(piece)
        } else {
            whole + piece
        };
        rest = after;
        let Some(after) = rest.strip_prefix('"') else {
            break;
        };
        whole += "\"";
        rest = after;
    }
    Ok((
        Field {
            text: whole,
            is_quoted: true,
        },
        rest,
    ))
}
