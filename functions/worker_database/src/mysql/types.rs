//! Maps the column types of MySQL, as `information_schema` describes them, to kinds of values.

use crate::rows::{ColumnKind, Dialect};

/// The type of a column.
#[derive(Debug, Clone, Default)]
pub(super) struct SqlType {
    /// The name in lower case: `varchar`, `json`, …
    pub(super) name: String,
    /// The type with its arguments: `enum('a','b')`, `tinyint(1)`.
    pub(super) definition: String,
    /// The decimal places of a number.
    pub(super) scale: Option<u64>,
    /// The maximum length of a text in characters, or of a binary string in bytes.
    pub(super) characters_max: Option<u64>,
    /// The maximum length of a text in bytes.
    pub(super) bytes_max: Option<u64>,
    /// The decimal places of a second.
    pub(super) second_digits: Option<u64>,
    /// Whether the server stores JSON as text, as MariaDB does.
    pub(super) is_json_text: bool,
}

impl SqlType {
    /// Returns the kind of values that the column stores.
    pub(super) fn kind(&self) -> ColumnKind {
        if self.is_json_text {
            return ColumnKind::JsonText;
        }
        let scale = self.scale.and_then(|scale| i32::try_from(scale).ok());
        let size = |size: Option<u64>| size.and_then(|size| usize::try_from(size).ok());
        let digits = size(self.second_digits).unwrap_or_default();
        let dialect = Dialect::Mysql;
        match &*self.name {
            "tinyint" => ColumnKind::Integer {
                takes_words: self.definition.starts_with("tinyint(1)"),
            },
            "smallint" | "mediumint" | "int" | "bigint" => {
                ColumnKind::Integer { takes_words: false }
            }
            "decimal" => ColumnKind::Decimal {
                scale: scale.unwrap_or_default(),
            },
            // `float(7,2)` rounds like a decimal.
            "float" | "double" if scale.is_some() => ColumnKind::Decimal {
                scale: scale.unwrap_or_default(),
            },
            "float" => ColumnKind::Float32,
            "double" => ColumnKind::Float64,
            "bit" => ColumnKind::Bits,
            "char" => ColumnKind::PaddedText {
                characters: size(self.characters_max).unwrap_or(1),
                keeps_full: false,
            },
            "varchar" => ColumnKind::Text {
                characters_max: size(self.characters_max),
                bytes_max: None,
            },
            "tinytext" | "text" | "mediumtext" => ColumnKind::Text {
                characters_max: None,
                bytes_max: size(self.bytes_max),
            },
            "longtext" => ColumnKind::TEXT,
            "binary" => ColumnKind::Bytes {
                exact_length: size(self.characters_max),
            },
            "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
                ColumnKind::Bytes { exact_length: None }
            }
            "json" => ColumnKind::JsonTree { has_doubles: true },
            "date" => ColumnKind::Date { dialect },
            "time" => ColumnKind::TimeOfDay {
                digits,
                has_zone: false,
            },
            "datetime" | "timestamp" => ColumnKind::Timestamp {
                digits,
                has_zone: false,
                dialect,
            },
            "year" => ColumnKind::Year,
            "enum" => ColumnKind::Enum(words(&self.definition)),
            "set" => ColumnKind::Set(words(&self.definition)),
            _ => ColumnKind::Other,
        }
    }
}

/// Returns the words of `enum('a','b''c')`.
fn words(definition: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut characters = definition.chars().skip_while(|c| *c != '\'').peekable();
    while characters.next().is_some() {
        let mut word = String::new();
        while let Some(character) = characters.next() {
            match character {
                '\'' if characters.peek() == Some(&'\'') => {
                    characters.next();
                    word.push('\'');
                }
                '\'' => break,
                '\\' => word.extend(characters.next().map(|escaped| match escaped {
                    'n' => '\n',
                    'r' => '\r',
                    '0' => '\0',
                    other => other,
                })),
                other => word.push(other),
            }
        }
        words.push(word);
        // Skips the comma up to the next quote.
        while characters
            .peek()
            .is_some_and(|character| *character != '\'')
        {
            characters.next();
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_an_enumeration_are_read_with_their_quotes() {
        assert_eq!(
            words(r"enum('a','b''c','x\\y','','d,e')"),
            ["a", "b'c", r"x\y", "", "d,e"]
        );
        assert_eq!(words("set('p')"), ["p"]);
    }
}
