use super::*;

#[test]
fn a_member_that_appears_twice_is_refused_at_any_depth() {
    assert!(parse_object(br#"{"a": 1, "a": 2}"#).is_err());
    assert!(parse_object(br#"{"a": [{"b": 1, "b": 1}]}"#).is_err());
    assert!(parse_object(br#"{"a": {"b": 1}, "b": 1}"#).is_ok());
}

#[test]
fn a_text_that_is_not_an_object_is_refused() {
    for bad in ["", "  ", "[]", "1", "null", "{", "{\"a\":}", "\u{feff}{}"] {
        assert!(parse_object(bad.as_bytes()).is_err(), "{bad:?}");
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    assert!(parse_object(deep.as_bytes()).is_err());
}

#[test]
fn all_mistakes_are_reported_together() {
    let errors = Errors::default();
    let body =
        parse_object(br#"{"name": 7, "n": 99, "inner": {"x/y": 1}, "list": ["a", 2]}"#).unwrap();
    let mut fields = Fields::new("", body, &errors);
    fields.required_text("name", 1..=10);
    fields.required_text("missing", 1..=10);
    fields.integer("n", 1..=5);
    fields.object("inner", |_| ());
    fields.parsed_list("list", 5, |text| Ok::<_, Malformed>(text.to_owned()));
    fields.finish();
    let found = errors.into_result(()).unwrap_err();
    let found: Vec<(String, FieldCode)> = found
        .into_iter()
        .map(|e| (e.pointer.unwrap(), e.code))
        .collect();
    let expected = [
        ("/name", FieldCode::InvalidType),
        ("/missing", FieldCode::Required),
        ("/n", FieldCode::OutOfRange),
        ("/inner/x~1y", FieldCode::UnknownField),
        ("/list/1", FieldCode::InvalidType),
    ];
    assert_eq!(found, expected.map(|(p, c)| (p.to_owned(), c)));
}

#[test]
fn a_name_reads_as_it_is_written() {
    let read = |name: &str| {
        let errors = Errors::default();
        let members = Map::from_iter([("name".to_owned(), Value::from(name))]);
        let read = Fields::new("", members, &errors).required_name("name", 1..=200);
        errors.into_result(read).is_ok()
    };
    let good = [
        "Billing",
        "Größe & Co.",
        "שלום",
        "مرحبا",
        "日本語",
        "👩\u{200d}🚀",
        "a  b",
    ];
    assert_eq!(good.into_iter().find(|name| !read(name)), None);
    let bad = [
        "\u{202e}gnp.exe",
        "a\u{2066}b",
        "a\u{200f}",
        "a\nb",
        "a\tb",
        "a\u{2028}b",
        "\u{feff}a",
        "a\u{85}b",
        "a\u{200b}b",
    ];
    assert_eq!(bad.into_iter().find(|name| read(name)), None);
}

#[test]
fn only_the_first_mistakes_are_kept() {
    let members: Vec<String> = (0..=MISTAKES_MAX).map(|n| format!("\"m{n}\":1")).collect();
    let body = format!("{{{}}}", members.join(","));
    let errors = Errors::default();
    Fields::new("", parse_object(body.as_bytes()).unwrap(), &errors).finish();
    errors.extend([FieldError::at("/x", FieldCode::Required, "x is required")]);
    let recorded = errors.into_result(()).unwrap_err();
    assert_eq!(recorded.len(), MISTAKES_MAX);
    assert!(
        recorded
            .iter()
            .all(|error| error.code == FieldCode::UnknownField)
    );
}

#[test]
fn the_schema_of_a_reader_has_what_it_describes_and_requires() {
    let read = |fields: &mut Fields<'_>| {
        fields.describe("host", Decides::Recipient, || json!({"type": "string"}));
        let host = fields.required_text("host", 1..=9);
        let words = [("off", 0), ("on", 1)];
        let word = fields.word("word", Decides::Nothing, &words, 1, Some("What it does."));
        (
            host,
            word,
            fields.flag("flag", Decides::Nothing, true, "Whether it does."),
        )
    };
    assert_eq!(
        SchemaRecorder::record(read),
        json!({
            "type": "object",
            "properties": {
                "host": {"type": "string", "x-credentials-required": true},
                "word": {"enum": ["off", "on"], "default": "on", "description": "What it does."},
                "flag": {"type": "boolean", "default": true, "description": "Whether it does."}
            },
            "required": ["host"],
            "additionalProperties": false
        })
    );
    let errors = Errors::default();
    let given = parse_object(br#"{"host": "h", "word": "off"}"#).unwrap();
    assert_eq!(
        read(&mut Fields::new("", given, &errors)),
        (Some("h".to_owned()), 0, true)
    );
    assert!(errors.is_empty());
}
