use super::*;

fn text(value: &str) -> Cell<'_> {
    Cell::Text(value.into())
}

fn number(value: &str) -> Cell<'_> {
    Cell::Number(value.into())
}

/// Returns the value that is stored, or the error.
fn fitted(kind: &ColumnKind, cell: Cell<'_>) -> String {
    agrees(kind, &cell);
    match kind.fit(cell, false) {
        Ok(Cell::Null | Cell::Absent) => "null".to_owned(),
        Ok(Cell::Text(text) | Cell::Number(text)) => text.into_owned(),
        Ok(Cell::Json(text)) => text.to_owned(),
        Ok(Cell::Bool(value)) => value.to_string(),
        Err(_) => "refused".to_owned(),
    }
}

/// Checks that `fit` returns a value unchanged if `keeps` accepts it.
fn agrees(kind: &ColumnKind, cell: &Cell<'_>) {
    if !kind.keeps(cell) {
        return;
    }
    for is_csv in [false, true] {
        let fitted = kind.fit(cell.clone(), is_csv);
        let is_same = match (&fitted, cell) {
            // A number in a text is stored as the same digits.
            (Ok(Cell::Number(fitted)), Cell::Text(sent)) => fitted == sent,
            (fitted, cell) => fitted.as_ref() == Ok(cell),
        };
        assert!(
            is_same,
            "{kind:?} keeps {cell:?}, and fits it to {fitted:?}"
        );
    }
}

/// Generates texts of every notation, complete and truncated.
fn values() -> impl proptest::strategy::Strategy<Value = String> {
    proptest::prop_oneof![
        "-?[0-9]{0,22}",
        "[-+]?[0-9]{0,5}\\.?[0-9]{0,5}(e-?[0-9]{1,2})?",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}[ \
         T][0-9]{2}:[0-9]{2}:([0-5][0-9]|60)(\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}",
        "\\PC{0,12} {0,3}",
    ]
}

fn kinds() -> Vec<ColumnKind> {
    let timestamp = |digits, has_zone, dialect| ColumnKind::Timestamp {
        digits,
        has_zone,
        dialect,
    };
    let text = |characters_max, bytes_max| ColumnKind::Text {
        characters_max,
        bytes_max,
    };
    vec![
        ColumnKind::Integer { takes_words: true },
        ColumnKind::Integer { takes_words: false },
        ColumnKind::Decimal { scale: 0 },
        ColumnKind::Decimal { scale: 2 },
        ColumnKind::Decimal { scale: -2 },
        ColumnKind::Float32,
        ColumnKind::Float64,
        ColumnKind::Boolean,
        text(None, None),
        text(Some(5), None),
        text(None, Some(7)),
        ColumnKind::PaddedText {
            characters: 6,
            keeps_full: false,
        },
        ColumnKind::JsonText,
        ColumnKind::Date {
            dialect: Dialect::Mysql,
        },
        timestamp(6, false, Dialect::Postgres),
        timestamp(0, true, Dialect::Postgres),
        timestamp(0, false, Dialect::Mysql),
        timestamp(6, false, Dialect::Mysql),
        ColumnKind::Year,
        ColumnKind::Other,
    ]
}

proptest::proptest! {
    #[test]
    fn fitting_returns_values_that_are_stored_unchanged(value in values()) {
        for kind in kinds() {
            for cell in [text(&value), number(&value), Cell::Json(&value), Cell::Bool(true),
                Cell::Null] {
                agrees(&kind, &cell);
            }
        }
    }
}

#[test]
fn whole_numbers_are_taken_in_any_notation_and_others_are_refused() {
    let kind = ColumnKind::Integer { takes_words: true };
    for (value, expected) in [
        ("3", "3"),
        ("-0", "-0"),
        ("3.0", "3"),
        ("3e2", "300"),
        ("-12.50e2", "-1250"),
        ("0.0", "0"),
        ("1.5", "refused"),
        ("1e-1", "refused"),
        ("1e99", "refused"),
    ] {
        assert_eq!(fitted(&kind, number(value)), expected, "{value}");
        assert_eq!(fitted(&kind, text(value)), expected, "{value}");
    }
    assert_eq!(fitted(&kind, text("True")), "true");
    assert_eq!(fitted(&kind, text("abc")), "abc");
}

#[test]
fn decimal_places_are_never_rounded_away() {
    let cents = ColumnKind::Decimal { scale: 2 };
    for (value, is_lossless) in [
        ("1.25", true),
        ("1.250", true),
        ("125e-2", true),
        ("1.255", false),
        ("1e-3", false),
        ("12345678901234567890", true),
    ] {
        assert_eq!(
            fitted(&cents, number(value)) != "refused",
            is_lossless,
            "{value}"
        );
    }
    let hundreds = ColumnKind::Decimal { scale: -2 };
    assert_eq!(
        (
            fitted(&hundreds, number("1200")),
            fitted(&hundreds, number("1250"))
        ),
        ("1200".into(), "refused".into())
    );
}

#[test]
fn floating_point_numbers_read_back_as_they_were_written() {
    for (value, in_64, in_32) in [
        ("0.1", true, true),
        ("0.30000000000000004", true, false),
        ("12345678901234567.89", false, false),
        ("16777217", true, false),
        ("1e400", false, false),
        ("1e-400", false, false),
        ("1e300", true, false),
        ("0", true, true),
    ] {
        assert_eq!(
            fitted(&ColumnKind::Float64, number(value)) != "refused",
            in_64,
            "{value}"
        );
        assert_eq!(
            fitted(&ColumnKind::Float32, number(value)) != "refused",
            in_32,
            "{value}"
        );
    }
}

#[test]
fn times_keep_their_instant_and_their_digits_or_are_refused() {
    let mysql = |digits| ColumnKind::Timestamp {
        digits,
        has_zone: false,
        dialect: Dialect::Mysql,
    };
    let postgres = |has_zone| ColumnKind::Timestamp {
        digits: 6,
        has_zone,
        dialect: Dialect::Postgres,
    };
    let date = || ColumnKind::Date {
        dialect: Dialect::Postgres,
    };
    let range = || ColumnKind::Range(Box::new(date()));
    let interval = |digits| ColumnKind::Interval { digits };
    let cases = [
        (mysql(0), "2026-01-02T03:04:05Z", "2026-01-02 03:04:05"),
        (mysql(0), "2026-01-02T03:04:05.000Z", "2026-01-02 03:04:05"),
        (mysql(0), "2026-01-02T03:04:05.120Z", "refused"),
        (
            mysql(3),
            "2026-01-02t03:04:05.120z",
            "2026-01-02 03:04:05.12",
        ),
        (mysql(6), "2026-01-02 03:04:05.1234567", "refused"),
        (mysql(0), "2026-01-02T03:04:05+05:30", "2026-01-01 21:34:05"),
        (mysql(0), "2026-01-02 03:04", "2026-01-02 03:04"),
        (mysql(0), "2026-01-02", "2026-01-02"),
        (mysql(0), "2016-12-31T23:59:60Z", "refused"),
        (mysql(0), "26-01-02 03:04:05", "refused"),
        (
            postgres(false),
            "2026-01-02T03:04:05+02",
            "2026-01-02 01:04:05",
        ),
        (
            postgres(false),
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05Z",
        ),
        (postgres(false), "2026-01-02 03:04:05 CET", "refused"),
        (
            postgres(true),
            "2026-01-02 03:04:05 CET",
            "2026-01-02 03:04:05 CET",
        ),
        (postgres(true), "2026-01-02T03:04:05.1234567Z", "refused"),
        (postgres(true), "now", "refused"),
        (
            ColumnKind::Date {
                dialect: Dialect::Mysql,
            },
            "2026-01-02T00:00:00Z",
            "2026-01-02",
        ),
        (
            ColumnKind::Date {
                dialect: Dialect::Mysql,
            },
            "2026-01-02T03:04:05Z",
            "refused",
        ),
        (
            ColumnKind::Date {
                dialect: Dialect::Mysql,
            },
            "260102",
            "refused",
        ),
        (
            ColumnKind::Date {
                dialect: Dialect::Postgres,
            },
            "2026-01-02 03:04:05",
            "refused",
        ),
        (
            ColumnKind::Date {
                dialect: Dialect::Postgres,
            },
            "Jan 2, 2026",
            "refused",
        ),
        (date(), "31/12/26", "refused"),
        (date(), "01/02/03", "refused"),
        (date(), "260102", "refused"),
        (date(), "today", "refused"),
        (date(), "2026/1/2", "2026/1/2"),
        (date(), "20260102", "20260102"),
        (date(), "-infinity", "-infinity"),
        (postgres(true), "31/12/26", "refused"),
        (postgres(true), "Jan 2 26 03:04 UTC", "refused"),
        (postgres(true), "epoch", "refused"),
        (
            postgres(true),
            "2026 Jan 2 03:04 UTC",
            "2026 Jan 2 03:04 UTC",
        ),
        (
            ColumnKind::TimeOfDay {
                digits: 0,
                has_zone: false,
            },
            "03:04:05.5",
            "refused",
        ),
        (
            ColumnKind::TimeOfDay {
                digits: 0,
                has_zone: false,
            },
            "1112",
            "refused",
        ),
        (
            ColumnKind::TimeOfDay {
                digits: 0,
                has_zone: false,
            },
            "03:04:05+02",
            "refused",
        ),
        (
            ColumnKind::TimeOfDay {
                digits: 6,
                has_zone: false,
            },
            "-838:59:59",
            "-838:59:59",
        ),
        (ColumnKind::Year, "1995", "1995"),
        (ColumnKind::Year, "95", "refused"),
        (interval(6), "1.1234567 seconds", "refused"),
        (interval(6), "0.1 year", "refused"),
        (interval(6), "1.5 months", "refused"),
        (interval(6), "P0.5M", "refused"),
        (interval(6), "PT0.5M", "PT0.5M"),
        (interval(6), "1.5 minutes", "1.5 minutes"),
        (interval(6), "1 year 2.5 hours", "1 year 2.5 hours"),
        (interval(6), "0.0001 ms", "refused"),
        (interval(6), "0.5 us", "refused"),
        (interval(6), "01:02:03.5", "01:02:03.5"),
        (interval(0), "01:02:03.5", "refused"),
        (ColumnKind::PartOfInterval, "1 year", "refused"),
        (
            range(),
            "[2026-01-02,2026-02-03)",
            "[2026-01-02,2026-02-03)",
        ),
        (range(), "[2026-01-02,)", "[2026-01-02,)"),
        (range(), "empty", "empty"),
        (range(), "[01/02/03,2026-02-03)", "refused"),
    ];
    for (kind, value, expected) in cases {
        assert_eq!(fitted(&kind, text(value)), expected, "{kind:?} {value}");
    }
    assert_eq!(fitted(&mysql(0), number("20260102")), "refused");
}

#[test]
fn texts_are_stored_in_full() {
    let short = ColumnKind::Text {
        characters_max: Some(2),
        bytes_max: None,
    };
    assert_eq!(
        (fitted(&short, text("éé")), fitted(&short, text("a  "))),
        ("éé".into(), "refused".into())
    );
    let padded = |keeps_full| ColumnKind::PaddedText {
        characters: 3,
        keeps_full,
    };
    assert_eq!(
        (
            fitted(&padded(true), text("ab ")),
            fitted(&padded(false), text("ab "))
        ),
        ("ab ".into(), "refused".into())
    );
    assert_eq!(fitted(&padded(true), text("a ")), "refused");
    assert_eq!(
        (
            fitted(&ColumnKind::TEXT, Cell::Bool(true)),
            fitted(&ColumnKind::TEXT, number("1.50"))
        ),
        ("true".into(), "1.50".into())
    );
    assert_eq!(
        (
            fitted(&ColumnKind::HexBytes, text("a\\")),
            fitted(&ColumnKind::HexBytes, text("\\x4142"))
        ),
        ("\\x615c".into(), "\\x4142".into())
    );
    assert_eq!(
        fitted(
            &ColumnKind::Bytes {
                exact_length: Some(4)
            },
            text("ab")
        ),
        "refused"
    );
}

#[test]
fn words_and_bits_are_never_positions_or_characters() {
    let words = ColumnKind::Enum(vec!["false".into(), "true".into()]);
    assert_eq!(
        (
            fitted(&words, Cell::Bool(true)),
            fitted(&words, number("1")),
            fitted(&words, text("TRUE"))
        ),
        ("true".into(), "refused".into(), "refused".into())
    );
    let set = ColumnKind::Set(vec!["p".into(), "q".into()]);
    assert_eq!(
        (
            fitted(&set, text("p,q")),
            fitted(&set, number("3")),
            fitted(&set, Cell::Json(r#"["q"]"#))
        ),
        ("p,q".into(), "refused".into(), "q".into())
    );
    assert_eq!(
        (
            fitted(&ColumnKind::Bits, text("5")),
            fitted(&ColumnKind::Bits, text("a"))
        ),
        ("5".into(), "refused".into())
    );
}

#[test]
fn json_that_is_taken_apart_keeps_its_members_and_digits() {
    let jsonb = ColumnKind::JsonTree { has_doubles: false };
    let mysql = ColumnKind::JsonTree { has_doubles: true };
    for (value, in_jsonb, in_mysql) in [
        (r#"{"a": 1, "b": [{"a": 2}]}"#, true, true),
        (r#"{"a": 1, "a": 2}"#, false, false),
        (r#"[{"x": {"a": 1, "\u0061": 2}}]"#, false, false),
        ("12345678901234567.89", true, false),
        ("[18446744073709551615]", true, true),
        ("[18446744073709551616]", true, false),
        ("[18446744073709551617]", true, false),
    ] {
        assert_eq!(
            fitted(&jsonb, Cell::Json(value)) != "refused",
            in_jsonb,
            "{value}"
        );
        assert_eq!(
            fitted(&mysql, Cell::Json(value)) != "refused",
            in_mysql,
            "{value}"
        );
    }
}

#[test]
fn arrays_become_postgresqls() {
    let texts = ColumnKind::Array(Box::new(ColumnKind::TEXT));
    assert_eq!(
        fitted(&texts, Cell::Json(r#"["a", "b\"c\\", null, "NULL", ""]"#)),
        r#"{"a","b\"c\\",NULL,"NULL",""}"#
    );
    assert_eq!(
        fitted(&texts, Cell::Json(r#"[["a"], ["b"]]"#)),
        r#"{{"a"},{"b"}}"#
    );
    let whole = ColumnKind::Array(Box::new(ColumnKind::Integer { takes_words: false }));
    assert_eq!(
        (
            fitted(&whole, Cell::Json("[1, 2.0]")),
            fitted(&whole, Cell::Json("[1.5]"))
        ),
        ("{1,2}".into(), "refused".into())
    );
    let documents = ColumnKind::Array(Box::new(ColumnKind::JsonText));
    assert_eq!(
        fitted(&documents, Cell::Json(r#"[{"a": [1]}, 2]"#)),
        r#"{"{\"a\": [1]}","2"}"#
    );
}

#[test]
fn a_quoted_empty_field_of_csv_is_null_where_no_text_is_kept() {
    assert_eq!(ColumnKind::Float64.fit(text(""), true), Ok(Cell::Null));
    assert_eq!(ColumnKind::TEXT.fit(text(""), true), Ok(text("")));
    assert_eq!(ColumnKind::Float64.fit(text(""), false), Ok(text("")));
}
