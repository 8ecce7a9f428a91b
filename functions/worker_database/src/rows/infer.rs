//! Chooses the column types of a new table from the first rows of a payload, wide enough for the
//! rows that follow.

use bytes::Bytes;
use domain::settings::database::DatabaseSettings;

use super::{Cell, Columns, Format};
use worker::ConnectorError;

/// The common type of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inferred {
    /// Texts, values of several types, or no values.
    Text,
    /// Numbers with at most this many digits before and after the decimal point.
    Number {
        /// The digits before the decimal point.
        whole: i64,
        /// The digits after the decimal point.
        fraction: i64,
    },
    /// The values true and false.
    Boolean,
    /// Objects or arrays, possibly mixed with other values.
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
            (
                Self::Number { whole, fraction },
                Self::Number {
                    whole: w,
                    fraction: f,
                },
            ) => Self::Number {
                whole: whole.max(w),
                fraction: fraction.max(f),
            },
            (one, other) if one == other => one,
            _ => Self::Text,
        }
    }
}

/// Returns the columns of these rows, in the order in which they appear, with their types.
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
    let types = found
        .into_iter()
        .map(|found| found.unwrap_or(Inferred::Text));
    Ok(columns.names.into_iter().zip(types).collect())
}
