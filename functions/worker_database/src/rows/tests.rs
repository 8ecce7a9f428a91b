use futures_util::stream;

use super::*;
use proptest::strategy::Strategy as _;

/// Reads the rows of a payload that arrives in pieces of this many bytes.
async fn rows(
    format: Format,
    payload: &str,
    piece: usize,
    mapping: Option<&BTreeMap<String, String>>,
) -> Result<Vec<Vec<String>>, String> {
    let chunks: Vec<_> = payload
        .as_bytes()
        .chunks(piece)
        .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
        .collect();
    let payload = Payload::streamed(payload.len() as u64, stream::iter(chunks));
    let mut records = Records::new(
        format,
        Characters::new("", payload).map_err(|failure| failure.to_string())?,
    );
    let detail = |failure: ConnectorError| failure.to_string();
    let Some(first) = records.next().await.map_err(detail)? else {
        return Ok(vec![]);
    };
    let mut columns = Columns::new(format, mapping, &first).map_err(detail)?;
    if format == Format::Csv {
        records.header_was_read(&columns);
    }
    if mapping.is_none() {
        let spec = Spec {
            kind: ColumnKind::Other,
            is_generated: false,
            replaces_null: false,
            has_default: false,
        };
        let table = columns
            .names
            .iter()
            .map(|name| (name.clone(), spec.clone()))
            .collect();
        columns.bind(table, &[]).map_err(detail)?;
    }
    let mut found = vec![columns.names.clone()];
    let mut record = if format == Format::Csv {
        records.next().await.map_err(detail)?
    } else {
        Some(first)
    };
    let mut number = 0;
    while let Some(bytes) = record {
        number += 1;
        found.push(
            columns
                .decode(number, &bytes)
                .map_err(detail)?
                .into_iter()
                .map(shown)
                .collect(),
        );
        record = records.next().await.map_err(detail)?;
    }
    Ok(found)
}

fn shown(cell: Cell<'_>) -> String {
    match cell {
        Cell::Absent => "-".into(),
        Cell::Null => "∅".into(),
        Cell::Text(text) => format!("'{text}'"),
        Cell::Number(text) => text.into_owned(),
        Cell::Json(text) => text.into(),
        Cell::Bool(value) => value.to_string(),
    }
}

#[tokio::test]
async fn rows_come_out_however_the_payload_is_cut() {
    let array = "\u{feff} [ {\"a\": 1.50, \"b\": \"x}\\\"\\u00e9\"} , \
         {\"b\":{\"c\":[1, \"]\"]},\"a\":null},{\"a\":true}]\n ";
    let lines = "{\"a\": 1.50, \"b\": \"x}\\\"\\u00e9\"}\n{\"b\":{\"c\":[1, \"]\"]},\"a\":null}\r\n\r\n{\"a\":true}";
    let expected = vec![
        vec!["a", "b"],
        vec!["1.50", "'x}\"é'"],
        vec!["∅", "{\"c\":[1, \"]\"]}"],
        vec!["true", "-"],
    ];
    for piece in 1..20 {
        assert_eq!(
            rows(Format::Json, array, piece, None).await.unwrap(),
            expected,
            "{piece}"
        );
        assert_eq!(
            rows(Format::Json, lines, piece, None).await.unwrap(),
            expected,
            "{piece}"
        );
        let csv = "\u{feff}a,b\r\n1,\"x, \"\"y\"\"\nz\"\r\n,\"\"\n\n\"\"\"q\",3";
        let expected = vec![
            vec!["a", "b"],
            vec!["'1'", "'x, \"y\"\nz'"],
            vec!["∅", "''"],
            vec!["'\"q'", "'3'"],
        ];
        assert_eq!(
            rows(Format::Csv, csv, piece, None).await.unwrap(),
            expected,
            "{piece}"
        );
    }
}

#[tokio::test]
async fn a_mapping_takes_what_it_names_and_leaves_the_rest() {
    let mapping = [
        ("a".to_owned(), "x".to_owned()),
        ("c".to_owned(), "y".to_owned()),
    ]
    .into();
    let json = rows(
        Format::Json,
        r#"[{"b": 2, "a": 1}, {"c": 3}]"#,
        7,
        Some(&mapping),
    )
    .await
    .unwrap();
    assert_eq!(json, [["x", "y"], ["1", "-"], ["-", "3"]]);
    let csv = rows(Format::Csv, "c,b,a\n3,2,1\n", 7, Some(&mapping))
        .await
        .unwrap();
    assert_eq!(csv, [["x", "y"], ["'1'", "'3'"]]);
    for (payload, fault) in [
        ("a,b\n1,2\n", "the CSV has no column c"),
        ("c,a,b,a\n1,2,3,4\n", "the CSV has more than one column a"),
    ] {
        let refused = rows(Format::Csv, payload, 7, Some(&mapping)).await;
        assert_eq!(refused.unwrap_err(), fault);
    }
    let repeated_elsewhere = rows(Format::Csv, "c,b,a,b\n3,2,1,2\n", 7, Some(&mapping));
    assert_eq!(
        repeated_elsewhere.await.unwrap(),
        [["x", "y"], ["'1'", "'3'"]]
    );
}

/// In a CSV with one column, an empty line can be a record with an empty field.
#[tokio::test]
async fn an_empty_line_is_not_dropped_if_it_can_be_a_value() {
    for payload in ["a\n1\n\n2\n", "a\r\n1\r\n\r\n2", "a\r1\r\r2\r", "a\n1\n\n"] {
        for piece in 1..9 {
            let fault = rows(Format::Csv, payload, piece, None).await.unwrap_err();
            assert!(
                fault.starts_with("row 2 is an empty line"),
                "{payload:?}: {fault}"
            );
        }
    }
    for payload in ["\n\na\n1\n\"\"\n2", "a\r\n1\r\n\"\"\r\n2\r\n"] {
        for piece in 1..9 {
            let found = rows(Format::Csv, payload, piece, None).await.unwrap();
            assert_eq!(found, [["a"], ["'1'"], ["''"], ["'2'"]], "{payload:?}");
        }
    }
}

#[tokio::test]
async fn an_empty_payload_has_no_rows() {
    for payload in ["", " \n", "[]", " [ ] "] {
        assert_eq!(
            rows(Format::Json, payload, 1, None).await.unwrap(),
            Vec::<Vec<String>>::new(),
            "{payload:?}"
        );
    }
    assert_eq!(
        rows(Format::Csv, "\n\n", 1, None).await.unwrap(),
        Vec::<Vec<String>>::new()
    );
    assert_eq!(
        rows(Format::Csv, "a,b\n", 1, None).await.unwrap(),
        [["a", "b"]]
    );
}

#[tokio::test]
async fn an_invalid_row_is_named() {
    let json = [
        (
            r#"[{"a":1},"#,
            "row 2 does not come: the JSON array has no end",
        ),
        (r#"[{"a":1},]"#, "row 2 is not a JSON object"),
        (r#"[{"a":1} {"a":2}]"#, "row 2 does not follow a comma"),
        (r#"[{"a":1}] x"#, "row 2 follows the end of the JSON array"),
        (r#"[{"a":1},7]"#, "row 2 is not a JSON object"),
        (
            "{\"a\":1}\n{\"a\":",
            "row 2 is cut short: the payload ends within it",
        ),
        (
            r#"{"a":1}{"a":1 2}"#,
            "row 2 is not valid JSON at its byte 8",
        ),
        ("7", "row 1 is not a JSON object"),
        (
            "{}",
            "the first row must have from 1 to 1600 fields, each once",
        ),
    ];
    for (payload, expected) in json {
        assert_eq!(
            rows(Format::Json, payload, 3, None).await.unwrap_err(),
            expected,
            "{payload}"
        );
    }
    let unknown = rows(Format::Json, r#"{"a":1}{"b":1}"#, 3, None)
        .await
        .unwrap_err();
    assert!(
        unknown.starts_with("row 2 has a field \"b\", and the table has no such column"),
        "{unknown}"
    );
    let csv = [
        ("a,b\n1,2\n3\n", "row 2 has 1 fields; the header has 2"),
        ("a\n\"x\"y\n", "row 1 has characters after a closing quote"),
        (
            "a\nx\"y\"\n",
            "row 1 has a quote within a field that does not begin with one",
        ),
        (
            "a,a\n1,2\n",
            "the first row must have from 1 to 1600 fields, each once",
        ),
    ];
    for (payload, expected) in csv {
        assert_eq!(
            rows(Format::Csv, payload, 3, None).await.unwrap_err(),
            expected,
            "{payload}"
        );
    }
}

#[test]
fn the_format_depends_on_the_media_type_and_then_on_the_filename() {
    assert_eq!(
        Format::of("application/json; charset=utf-8", None),
        Some(Format::Json)
    );
    assert_eq!(Format::of("TEXT/CSV", Some("x.json")), Some(Format::Csv));
    assert_eq!(
        Format::of("application/octet-stream", Some("x.NDJSON")),
        Some(Format::Json)
    );
    assert_eq!(Format::of("application/pdf", Some("x.pdf")), None);
}

proptest::proptest! {
    #[test]
    fn fields_in_any_order_go_to_their_columns(
        later in proptest::collection::vec(proptest::sample::subsequence(vec!["a", "b", "c", "d"],
            1..=4).prop_shuffle(), 1..5),
    ) {
        let first = ["a", "b", "c", "d"];
        let object = |fields: &[&str]| {
            let members: Vec<String> = fields.iter().map(|name| format!("{name:?}: {:?}",
                format!("value of {name}"))).collect();
            format!("{{{}}}\n", members.join(", "))
        };
        let payload: String = std::iter::once(object(&first)).chain(later.iter().map(|fields| object(fields))).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = runtime.block_on(rows(Format::Json, &payload, 64, None)).unwrap();
        for (row, fields) in found[2..].iter().zip(&later) {
            for (name, shown) in first.iter().zip(row) {
                let expected = if fields.contains(name) { format!("'value of {name}'") } else { "-".to_owned() };
                proptest::prop_assert_eq!(shown, &expected);
            }
            proptest::prop_assert_eq!(row.len(), first.len());
        }
    }
}
