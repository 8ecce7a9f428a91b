//! The name of a table, as it is written in settings and in SQL.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::Engine;

/// The maximum length of a name in PostgreSQL, which truncates longer names without an error.
const POSTGRES_NAME_MAX_BYTES: usize = 63;
const MYSQL_NAME_MAX_CHARACTERS: usize = 64;
/// The length of a table name as it is written: two parts and a dot, each part in quotes, with
/// every quote in it doubled.
pub const TABLE_NAME: RangeInclusive<usize> = 1..=2 * (2 * MYSQL_NAME_MAX_CHARACTERS + 2) + 1;

/// A table name, `table` or `schema.table` (MySQL: `database.table`). A part that contains a dot is
/// written in double quotes; for MySQL, backticks are also accepted as quotes. Names are
/// case-sensitive, because they are always quoted in SQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TableName {
    /// The schema, if the name contains one.
    pub schema: Option<String>,
    /// The name of the table in its schema.
    pub table: String,
}

/// The error for a text that is not a table name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a table's name, such as orders or sales.orders; double quotes go around a part with \
     a dot in it"
)]
pub struct NotATable;

impl TableName {
    /// Parses a table name and verifies the limits of the engine.
    pub fn parse(engine: Engine, text: &str) -> Result<Self, NotATable> {
        let quotes: &[char] = match engine {
            Engine::Postgres => &['"'],
            Engine::Mysql => &['"', '`'],
        };
        let name = Self::read(text, quotes)?;
        let fits = |part: &str| match engine {
            Engine::Postgres => part.len() <= POSTGRES_NAME_MAX_BYTES,
            Engine::Mysql => {
                part.chars().count() <= MYSQL_NAME_MAX_CHARACTERS && !part.ends_with(' ')
            }
        };
        let all_fit = name
            .schema
            .iter()
            .chain([&name.table])
            .all(|part| fits(part));
        if all_fit { Ok(name) } else { Err(NotATable) }
    }

    fn read(text: &str, quotes: &[char]) -> Result<Self, NotATable> {
        let (first, rest) = part(text, quotes)?;
        let Some(rest) = rest else {
            return Ok(Self {
                schema: None,
                table: first,
            });
        };
        match part(rest, quotes)? {
            (table, None) => Ok(Self {
                schema: Some(first),
                table,
            }),
            _ => Err(NotATable),
        }
    }
}

/// Returns the first part of the name, and the text after the dot that follows it.
fn part<'t>(text: &'t str, quotes: &[char]) -> Result<(String, Option<&'t str>), NotATable> {
    let Some(quote) = text.chars().next().filter(|first| quotes.contains(first)) else {
        let (part, rest) = match text.split_once('.') {
            Some((part, rest)) => (part, Some(rest)),
            None => (text, None),
        };
        return if part.contains('"') {
            Err(NotATable)
        } else {
            named(part.to_owned(), rest)
        };
    };
    let mut name = String::new();
    let mut rest = &text[quote.len_utf8()..];
    loop {
        let (piece, after) = rest.split_once(quote).ok_or(NotATable)?;
        name.push_str(piece);
        rest = after;
        let Some(after) = rest.strip_prefix(quote) else {
            break;
        };
        name.push(quote);
        rest = after;
    }
    match rest.strip_prefix('.') {
        Some(rest) => named(name, Some(rest)),
        None if rest.is_empty() => named(name, None),
        None => Err(NotATable),
    }
}

fn named(name: String, rest: Option<&str>) -> Result<(String, Option<&str>), NotATable> {
    if name.is_empty() || name.chars().any(char::is_control) {
        Err(NotATable)
    } else {
        Ok((name, rest))
    }
}

/// Formats the name as it is written in settings.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, part) in self.schema.iter().chain([&self.table]).enumerate() {
            let dot = if position == 0 { "" } else { "." };
            if part.contains(['.', '"', '`']) {
                write!(f, "{dot}\"{}\"", part.replace('"', "\"\""))?;
            } else {
                write!(f, "{dot}{part}")?;
            }
        }
        Ok(())
    }
}

impl From<TableName> for String {
    fn from(name: TableName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for TableName {
    type Error = NotATable;

    fn try_from(text: String) -> Result<Self, NotATable> {
        Self::read(&text, &['"'])
    }
}
