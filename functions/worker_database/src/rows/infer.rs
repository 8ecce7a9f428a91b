//! The types of a table that is made: from the rows at the beginning of a payload, and wide enough for those that follow.

use bytes::Bytes;
use domain::settings::database::DatabaseSettings;

use super::{Cell, Columns, Format};
use worker::ConnectorError;

/// What the values of a column have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inferred {
    /// Texts, values of several types, or no value at all.
    Text,
    /// Numbers with at most this many digits before the decimal point and after it.
    Number {
        /// Before it.
        whole: i64,
        /// After it.
        fraction: i64,
    },
    /// True and false.
    Boolean,
    /// Objects or arrays, and whatever stands next to them.
    Json,
}

impl Inferred {
    fn of(cell: &Cell<'_>) -> Option<Self> {
        Some(match cell {
            Cell::Absent | Cell::Null => return None,
            Cell::Text(_) => Self::Text,
            Cell::Bool(_) => Self::Boolean,
            Cell::Json(_) => Self::Json,
            Cell::Number(digits) => match super::kind::extent(digits) {
                Some((whole, fraction)) => Self::Number { whole, fraction },
                None => Self::Text,
            },
        })
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Json, _) | (_, Self::Json) => Self::Json,
            (Self::Number { whole, fraction }, Self::Number { whole: w, fraction: f }) => {
                Self::Number { whole: whole.max(w), fraction: fraction.max(f) }
            }
            (one, other) if one == other => one,
            _ => Self::Text,
        }
    }
}

/// The columns that these rows have, in the order in which they appear, and what each of them holds.
pub(super) fn columns(
    format: Format,
    settings: &DatabaseSettings,
    header: &[u8],
    rows: &[Bytes],
) -> Result<Vec<(String, Inferred)>, ConnectorError> {
    let mut columns = Columns::new(format, settings.columns.as_ref(), header)?;
    let mut found: Vec<Option<Inferred>> = Vec::new();
    for (number, row) in (1..).zip(rows) {
        let cells = columns.decode(number, row)?;
        found.resize(columns.names.len(), None);
        for (found, cell) in found.iter_mut().zip(&cells) {
            *found = match (*found, Inferred::of(cell)) {
                (Some(one), Some(other)) => Some(one.and(other)),
                (one, other) => one.or(other),
            };
        }
    }
    found.resize(columns.names.len(), None);
    let types = found.into_iter().map(|found| found.unwrap_or(Inferred::Text));
    Ok(columns.names.into_iter().zip(types).collect())
}
