//! Maps the column types of PostgreSQL, as `format_type` names them, to kinds of values.

use crate::rows::{ColumnKind, Dialect};

/// The decimal places of a second that PostgreSQL stores.
const SECOND_DIGITS: usize = 6;
/// The longest value of the type `name`.
const NAME_BYTES: usize = 63;

/// Returns the kind of a type such as `numeric(10,2)`, `timestamp(3) with time zone` or `text[]`.
/// `money_scale` is how many decimal places amounts of money may have.
pub(super) fn kind(sql_type: &str, money_scale: i32) -> ColumnKind {
    if let Some(item) = sql_type.strip_suffix("[]") {
        return ColumnKind::Array(Box::new(kind(item, money_scale)));
    }
    let range_of = |bound| ColumnKind::Range(Box::new(kind(bound, money_scale)));
    let (name, arguments) = split(sql_type);
    let first = arguments.first().copied();
    let digits = first
        .and_then(|digits| usize::try_from(digits).ok())
        .unwrap_or(SECOND_DIGITS);
    let characters = first.and_then(|characters| usize::try_from(characters).ok());
    match &*name {
        "smallint" | "integer" | "bigint" | "oid" => ColumnKind::Integer { takes_words: false },
        "numeric" => arguments
            .get(1)
            .map_or(ColumnKind::Other, |scale| ColumnKind::Decimal {
                scale: *scale,
            }),
        "money" => ColumnKind::Decimal { scale: money_scale },
        "real" => ColumnKind::Float32,
        "double precision" => ColumnKind::Float64,
        "boolean" => ColumnKind::Boolean,
        "bit" | "bit varying" => ColumnKind::BitText,
        "character varying" => ColumnKind::Text {
            characters_max: characters,
            bytes_max: None,
        },
        "text" => ColumnKind::TEXT,
        "character" => ColumnKind::PaddedText {
            characters: characters.unwrap_or(1),
            keeps_full: true,
        },
        "name" => ColumnKind::Text {
            characters_max: None,
            bytes_max: Some(NAME_BYTES),
        },
        "\"char\"" => ColumnKind::Text {
            characters_max: None,
            bytes_max: Some(1),
        },
        "bytea" => ColumnKind::HexBytes,
        "json" => ColumnKind::JsonText,
        "jsonb" => ColumnKind::JsonTree { has_doubles: false },
        "date" => ColumnKind::Date {
            dialect: Dialect::Postgres,
        },
        "time without time zone" | "time with time zone" => ColumnKind::TimeOfDay {
            digits,
            has_zone: name == "time with time zone",
        },
        "timestamp without time zone" | "timestamp with time zone" => {
            let has_zone = name == "timestamp with time zone";
            ColumnKind::Timestamp {
                digits,
                has_zone,
                dialect: Dialect::Postgres,
            }
        }
        // `interval day to second` keeps everything, as the last field is the smallest.
        "interval" => ColumnKind::Interval { digits },
        _ if name.starts_with("interval") && name.ends_with("second") => {
            ColumnKind::Interval { digits }
        }
        _ if name.starts_with("interval") => ColumnKind::PartOfInterval,
        "daterange" | "datemultirange" => range_of("date"),
        "tsrange" | "tsmultirange" => range_of("timestamp without time zone"),
        "tstzrange" | "tstzmultirange" => range_of("timestamp with time zone"),
        _ => ColumnKind::Other,
    }
}

/// Splits a type into its name and the numbers in its parentheses.
fn split(sql_type: &str) -> (String, Vec<i32>) {
    let Some((before, rest)) = sql_type.split_once('(') else {
        return (sql_type.to_owned(), Vec::new());
    };
    let Some((arguments, after)) = rest.split_once(')') else {
        return (sql_type.to_owned(), Vec::new());
    };
    let arguments = arguments
        .split(',')
        .filter_map(|argument| argument.trim().parse().ok())
        .collect();
    (format!("{before}{after}"), arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(sql_type: &str) -> ColumnKind {
        super::kind(sql_type, 2)
    }

    #[test]
    fn a_types_name_says_what_it_takes() {
        assert_eq!(kind("numeric(10,2)"), ColumnKind::Decimal { scale: 2 });
        assert_eq!(
            kind("numeric(3,-2)[]"),
            ColumnKind::Array(Box::new(ColumnKind::Decimal { scale: -2 }))
        );
        assert_eq!(kind("numeric"), ColumnKind::Other);
        assert_eq!(
            kind("character varying(5)"),
            ColumnKind::Text {
                characters_max: Some(5),
                bytes_max: None
            }
        );
        let millis = ColumnKind::Timestamp {
            digits: 3,
            has_zone: true,
            dialect: Dialect::Postgres,
        };
        assert_eq!(kind("timestamp(3) with time zone"), millis);
        assert_eq!(
            kind("time without time zone"),
            ColumnKind::TimeOfDay {
                digits: 6,
                has_zone: false
            }
        );
        assert_eq!(
            kind("interval day to second(3)"),
            ColumnKind::Interval { digits: 3 }
        );
        assert_eq!(kind("interval year to month"), ColumnKind::PartOfInterval);
        assert_eq!(kind("app.colour"), ColumnKind::Other);
    }
}
