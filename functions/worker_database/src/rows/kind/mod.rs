//! Kinds of columns. [`ColumnKind::fit`] converts a value to one that the database stores exactly
//! as it was sent, or returns an error.
//!
//! Both engines change values silently when they store them: they round numbers and seconds, cut
//! off spaces, drop time zones, and read a text as a position or a bit pattern. Each kind covers
//! one family of types. Values that a server refuses by itself are left to the server.

mod array;
mod json;
mod number;
mod time;

use std::borrow::Cow;

use super::Cell;

/// The families of column types of both engines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    /// Integers; the server checks their range. With `takes_words`, the texts `true` and `false`
    /// are 1 and 0 (MySQL's `tinyint(1)`).
    Integer { takes_words: bool },
    /// Numbers with at most this many decimal places. A negative scale means multiples of a power
    /// of ten.
    Decimal { scale: i32 },
    /// Binary floating-point numbers of 32 bits.
    Float32,
    /// Binary floating-point numbers of 64 bits.
    Float64,
    /// The values true and false (PostgreSQL).
    Boolean,
    /// The bits of a number (MySQL).
    Bits,
    /// A text of zeros and ones (PostgreSQL).
    BitText,
    /// Texts of at most this many characters and bytes.
    Text {
        characters_max: Option<usize>,
        bytes_max: Option<usize>,
    },
    /// Texts that are padded with spaces to this many characters. With `keeps_full`, a value of the
    /// full length keeps its trailing spaces.
    PaddedText { characters: usize, keeps_full: bool },
    /// Bytes, which PostgreSQL reads as hexadecimal digits.
    HexBytes,
    /// Bytes, of exactly this length if the server would pad shorter ones.
    Bytes { exact_length: Option<usize> },
    /// JSON that the server stores as text.
    JsonText,
    /// JSON that the server parses, so the members of an object must have different names. With
    /// `has_doubles`, numbers become 64-bit floating-point numbers.
    JsonTree { has_doubles: bool },
    /// Dates without a time.
    Date { dialect: Dialect },
    /// Times of day, with this many decimal places of a second.
    TimeOfDay { digits: usize, has_zone: bool },
    /// Instants or local times, with this many decimal places of a second.
    Timestamp {
        digits: usize,
        has_zone: bool,
        dialect: Dialect,
    },
    /// Intervals of time, with this many decimal places of a second (PostgreSQL).
    Interval { digits: usize },
    /// Intervals of which a part is not stored, such as `interval year to month` (PostgreSQL).
    PartOfInterval,
    /// Ranges of dates or times (PostgreSQL).
    Range(Box<ColumnKind>),
    /// Years of four digits (MySQL).
    Year,
    /// One of these words (MySQL).
    Enum(Vec<String>),
    /// Any of these words (MySQL).
    Set(Vec<String>),
    /// Arrays of such values (PostgreSQL).
    Array(Box<ColumnKind>),
    /// Other types, for which the server decides.
    Other,
}

/// The notation of dates and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// PostgreSQL, which accepts RFC 3339 and other notations.
    Postgres,
    /// MySQL, which accepts no `T…Z` and, before 8.0.19, no offsets.
    Mysql,
}

impl ColumnKind {
    /// Texts of any length.
    pub(crate) const TEXT: Self = Self::Text {
        characters_max: None,
        bytes_max: None,
    };

    /// Whether values are stored as JSON, so that a text keeps its quotes.
    pub(crate) fn holds_json(&self) -> bool {
        matches!(self, Self::JsonText | Self::JsonTree { .. })
    }

    /// Whether an empty text is a valid value.
    fn takes_empty_text(&self) -> bool {
        matches!(
            self,
            Self::Text { .. }
                | Self::PaddedText { .. }
                | Self::HexBytes
                | Self::Bytes { .. }
                | Self::Enum(_)
                | Self::Set(_)
                | Self::Other
        )
    }

    /// Whether the column stores the value in this notation unchanged, which is the common case.
    /// [`fit`](Self::fit) would return it unchanged but takes several times as long.
    pub(crate) fn keeps(&self, cell: &Cell<'_>) -> bool {
        let (text, is_text) = match cell {
            Cell::Absent | Cell::Null => return true,
            Cell::Bool(_) | Cell::Json(_) => return *self == Self::Other,
            Cell::Text(text) => (&**text, true),
            Cell::Number(text) => (&**text, false),
        };
        match self {
            Self::Integer { .. } => number::is_plain_integer(text),
            Self::Decimal { scale } => {
                number::plain_scale(text).is_some_and(|places| i64::from(*scale) >= places)
            }
            Self::Text {
                characters_max,
                bytes_max,
            } => {
                is_text
                    && characters_max.is_none_or(|max| text.len() <= max)
                    && bytes_max.is_none_or(|max| text.len() <= max)
            }
            Self::Timestamp { dialect, .. } => is_text && time::is_plain(text, *dialect),
            Self::Other => true,
            _ => false,
        }
    }

    /// Returns the value in a notation that the column stores exactly, or an error text that
    /// completes a sentence beginning with the column.
    pub(crate) fn fit<'r>(&self, cell: Cell<'r>, is_csv: bool) -> Result<Cell<'r>, String> {
        match cell {
            Cell::Absent | Cell::Null => Ok(cell),
            // Programs that quote every field write empty numbers and times as `""`.
            Cell::Text(text) if text.is_empty() && is_csv && !self.takes_empty_text() => {
                Ok(Cell::Null)
            }
            cell => self.fit_value(cell),
        }
    }

    fn fit_value<'r>(&self, cell: Cell<'r>) -> Result<Cell<'r>, String> {
        match self {
            Self::Integer { takes_words } => number::integer(cell, *takes_words),
            Self::Decimal { scale } => number::decimal(cell, *scale),
            Self::Float32 => number::float(cell, number::FLOAT32),
            Self::Float64 => number::float(cell, number::FLOAT64),
            Self::Bits => number::bits(cell),
            Self::Boolean => not_json(cell),
            Self::BitText => match cell {
                Cell::Number(_) => Err("accepts a text of zeros and ones, not a number".to_owned()),
                Cell::Bool(value) => Ok(Cell::Text(if value { "1" } else { "0" }.into())),
                cell => not_json(cell),
            },
            Self::Text {
                characters_max,
                bytes_max,
            } => within(text_of(cell)?, *characters_max, *bytes_max, |_| true).map(Cell::Text),
            Self::PaddedText {
                characters,
                keeps_full,
            } => padded(text_of(cell)?, *characters, *keeps_full).map(Cell::Text),
            Self::HexBytes => Ok(Cell::Text(hex(&text_of(cell)?).into())),
            Self::Bytes { exact_length } => {
                let text = text_of(cell)?;
                match exact_length {
                    Some(length) if text.len() < *length => Err(format!(
                        "accepts exactly {length} bytes; the value has {}",
                        text.len()
                    )),
                    _ => Ok(Cell::Text(text)),
                }
            }
            Self::JsonText => Ok(cell),
            Self::JsonTree { has_doubles } => {
                if let Cell::Json(text) = &cell {
                    json::is_lossless(text, *has_doubles)?;
                } else if let Cell::Text(text) = &cell {
                    json::is_lossless(text, *has_doubles)?;
                }
                Ok(cell)
            }
            Self::Date { dialect } => time::date(cell, *dialect),
            Self::TimeOfDay { digits, has_zone } => time::time_of_day(cell, *digits, *has_zone),
            Self::Timestamp {
                digits,
                has_zone,
                dialect,
            } => time::timestamp(cell, *digits, *has_zone, *dialect),
            Self::Interval { digits } => time::interval(cell, *digits),
            Self::PartOfInterval => {
                Err("stores only a part of an interval; its type must be interval".to_owned())
            }
            Self::Range(kind) => time::range(cell, kind),
            Self::Year => time::year(cell),
            Self::Enum(words) => one_of(text_of(cell)?, words),
            Self::Set(words) => one_of_words(cell, words),
            Self::Array(kind) => array::literal(cell, kind),
            Self::Other => Ok(cell),
        }
    }
}

/// Returns how many digits a number has before and after the decimal point.
pub(super) fn extent(digits: &str) -> Option<(i64, i64)> {
    number::Decimal::read(digits).map(|number| number.extent())
}

/// Returns the text of a scalar, or the notation of an object or array.
fn text_of(cell: Cell<'_>) -> Result<Cow<'_, str>, String> {
    Ok(match cell {
        Cell::Text(text) | Cell::Number(text) => text,
        Cell::Json(text) => Cow::Borrowed(text),
        Cell::Bool(true) => "true".into(),
        Cell::Bool(false) => "false".into(),
        Cell::Null | Cell::Absent => return Err("does not accept null".to_owned()),
    })
}

fn not_json(cell: Cell<'_>) -> Result<Cell<'_>, String> {
    match cell {
        Cell::Json(_) => Err("accepts a single value, not an object or array".to_owned()),
        cell => Ok(cell),
    }
}

/// Returns an error if a text is too long. Servers do so too, unless only spaces exceed the length;
/// those they cut off.
fn within<'t>(
    text: Cow<'t, str>,
    characters_max: Option<usize>,
    bytes_max: Option<usize>,
    allows: impl Fn(&str) -> bool,
) -> Result<Cow<'t, str>, String> {
    if let Some(max) = characters_max
        && text.len() > max
    {
        let length = text.chars().count();
        if length > max {
            return Err(format!("accepts {max} characters; the value has {length}"));
        }
    }
    if let Some(max) = bytes_max
        && text.len() > max
    {
        return Err(format!("accepts {max} bytes; the value has {}", text.len()));
    }
    if allows(&text) {
        Ok(text)
    } else {
        Err("would drop the spaces at the end of the value".to_owned())
    }
}

fn padded(text: Cow<'_, str>, characters: usize, keeps_full: bool) -> Result<Cow<'_, str>, String> {
    let is_lossless =
        |text: &str| !text.ends_with(' ') || (keeps_full && text.chars().count() == characters);
    within(text, Some(characters), None, is_lossless)
}

/// Returns PostgreSQL's notation of bytes. A text that is already in this notation stays unchanged;
/// any other text is encoded byte by byte.
fn hex(text: &str) -> String {
    let is_hex = |digits: &str| {
        digits.len().is_multiple_of(2) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    if text.strip_prefix("\\x").is_some_and(is_hex) {
        return text.to_owned();
    }
    format!("\\x{}", hex::encode(text))
}

/// Returns a word of an enumeration if it matches exactly. The server would also accept a position
/// in the list, or another case.
fn one_of<'r>(text: Cow<'r, str>, words: &[String]) -> Result<Cell<'r>, String> {
    if words.iter().any(|word| *word == text) {
        Ok(Cell::Text(text))
    } else {
        Err(format!("accepts one of {}", words.join(", ")))
    }
}

fn one_of_words<'r>(cell: Cell<'r>, words: &[String]) -> Result<Cell<'r>, String> {
    let text = match cell {
        Cell::Json(array) => match serde_json::from_str::<Vec<String>>(array) {
            Ok(items) => Cow::Owned(items.join(",")),
            Err(_) => return Err(format!("accepts a list of {}", words.join(", "))),
        },
        cell => text_of(cell)?,
    };
    let is_known = |item: &str| words.iter().any(|word| word == item);
    if text.is_empty() || text.split(',').all(is_known) {
        Ok(Cell::Text(text))
    } else {
        Err(format!("accepts a list of {}", words.join(", ")))
    }
}

#[cfg(test)]
mod tests;
