use serde_json::json;

use super::connection_string::{ConnectionString, Unreadable};
use super::*;
use crate::input::{FieldCode, parse_object};

fn read(engine: Engine, body: Value) -> Result<DatabaseSettings, Vec<(String, FieldCode)>> {
    let errors = Errors::default();
    let mut fields = Fields::new(
        "/settings",
        parse_object(body.to_string().as_bytes()).unwrap(),
        &errors,
    );
    let settings = DatabaseSettings::read(engine, &mut fields);
    fields.finish();
    let settings = errors.into_result(settings).map_err(|errors| {
        errors
            .into_iter()
            .map(|e| (e.pointer.unwrap(), e.code))
            .collect::<Vec<_>>()
    });
    settings.map(|settings| settings.unwrap())
}

#[test]
fn defaults_are_the_contracts() {
    let settings = read(
        Engine::Postgres,
        json!({"host": "db.example", "database": "app", "table": "public.events"}),
    )
    .unwrap();
    assert_eq!(
        (settings.tls, settings.mode, settings.timeout_seconds),
        (TlsMode::VerifyFull, Mode::Document, 300)
    );
    assert!(
        !settings.create_table
            && settings.columns.is_none()
            && settings.on_conflict == OnConflict::Error
    );
    assert_eq!(
        settings.table,
        TableName {
            schema: Some("public".into()),
            table: "events".into()
        }
    );
    let stored = serde_json::to_value(&settings).unwrap();
    assert_eq!(stored["table"], "public.events");
    assert_eq!(
        serde_json::from_value::<DatabaseSettings>(stored).unwrap(),
        settings
    );
}

#[test]
fn every_mistake_is_named_at_once() {
    let body = json!({"host": 5, "port": 0, "tls": "disable", "table": "a.b.c", "mode": "rows",
        "columns": {"x": "a", "y": "a", "z": 1},
        "on_conflict": "update", "timeout_seconds": 601, "nonsense": true});
    let expected = [
        ("/settings/host", FieldCode::InvalidType),
        ("/settings/port", FieldCode::OutOfRange),
        ("/settings/tls", FieldCode::InvalidValue),
        ("/settings/table", FieldCode::InvalidFormat),
        ("/settings/columns/y", FieldCode::Conflict),
        ("/settings/columns/z", FieldCode::InvalidType),
        ("/settings/key_columns", FieldCode::Required),
        ("/settings/timeout_seconds", FieldCode::OutOfRange),
        ("/settings/nonsense", FieldCode::UnknownField),
    ];
    assert_eq!(
        read(Engine::Postgres, body).unwrap_err(),
        expected.map(|(pointer, code)| (pointer.to_owned(), code))
    );
}

#[test]
fn settings_for_rows_are_refused_for_documents() {
    let found = read(
        Engine::Mysql,
        json!({"table": "t", "columns": {"a": "b"}, "key_columns": ["b"], "on_conflict": "ignore"}),
    )
    .unwrap_err();
    let expected = ["columns", "key_columns", "on_conflict"]
        .map(|name| (format!("/settings/{name}"), FieldCode::Conflict));
    assert_eq!(found, expected);
}

#[test]
fn an_address_comes_from_one_place() {
    let check = |body, has_connection_string| {
        let errors = Errors::default();
        read(Engine::Postgres, body).unwrap().check_address(
            has_connection_string,
            "/settings",
            &errors,
        );
        errors
            .into_result(())
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|e| (e.pointer.unwrap(), e.code))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        check(json!({"table": "t", "host": "h", "database": "d"}), false),
        []
    );
    assert_eq!(check(json!({"table": "t"}), true), []);
    let missing =
        ["host", "database"].map(|name| (format!("/settings/{name}"), FieldCode::Required));
    assert_eq!(check(json!({"table": "t", "port": 1}), false), missing);
    assert_eq!(
        check(json!({"table": "t", "port": 1}), true),
        [("/settings/port".to_owned(), FieldCode::Conflict)]
    );
}

#[test]
fn table_names_keep_their_quotes_and_their_limits() {
    let name = TableName::parse(Engine::Postgres, r#"sales."odd.""name""""#).unwrap();
    assert_eq!(
        (name.schema.as_deref(), &*name.table),
        (Some("sales"), r#"odd."name""#)
    );
    assert_eq!(name.to_string(), r#"sales."odd.""name""""#);
    let long = "x".repeat(64);
    assert!(
        TableName::parse(Engine::Mysql, &long).is_ok()
            && TableName::parse(Engine::Postgres, &long).is_err()
    );
    for bad in [
        "", ".", "a.", ".a", "a.b.c", "a\0b", "\"a", "\"a\"b", "a\"b", "`a", "`a`b", "`a`.",
    ] {
        assert_eq!(
            TableName::parse(Engine::Mysql, bad),
            Err(NotATable),
            "{bad:?}"
        );
    }
}

#[test]
fn backticks_quote_a_name_for_mysql_and_survive_storage() {
    for (text, schema, table) in [
        ("`a`.`b.c`", Some("a"), "b.c"),
        ("`a``b`", None, "a`b"),
        ("a`b", None, "a`b"),
        ("`x`", None, "x"),
    ] {
        let name = TableName::parse(Engine::Mysql, text).unwrap();
        assert_eq!(
            (name.schema.as_deref(), &*name.table),
            (schema, table),
            "{text}"
        );
        assert_eq!(
            TableName::try_from(name.to_string()).unwrap(),
            name,
            "{text}"
        );
        assert_eq!(
            TableName::parse(Engine::Mysql, &name.to_string()).unwrap(),
            name,
            "{text}"
        );
    }
    assert_eq!(
        TableName::parse(Engine::Postgres, "`x`").unwrap().table,
        "`x`"
    );
}

type ParsedTarget = (String, u16, String, String, String, Option<TlsMode>);

fn parsed(engine: Engine, text: &str) -> Result<ParsedTarget, Unreadable> {
    ConnectionString::parse(engine, text)
        .map(|c| (c.host, c.port, c.database, c.username, c.password, c.tls))
}

#[test]
fn connection_strings_are_read_in_both_forms() {
    let url = parsed(
        Engine::Postgres,
        "postgresql://me:p%40ss%3Aw@db.example:6432/app?sslmode=verify-full&connect_timeout=5",
    )
    .unwrap();
    assert_eq!(
        url,
        (
            "db.example".into(),
            6432,
            "app".into(),
            "me".into(),
            "p@ss:w".into(),
            Some(TlsMode::VerifyFull)
        )
    );
    let pairs = parsed(
        Engine::Postgres,
        r"host=db.example dbname=app user=me password='p \'w' sslmode=require",
    )
    .unwrap();
    assert_eq!(
        pairs,
        (
            "db.example".into(),
            5432,
            "app".into(),
            "me".into(),
            "p 'w".into(),
            Some(TlsMode::Require)
        )
    );
    let mysql = parsed(
        Engine::Mysql,
        "mysql://me:secret@[2001:db8::1]/app?ssl-mode=VERIFY_CA",
    )
    .unwrap();
    assert_eq!(
        mysql,
        (
            "2001:db8::1".into(),
            3306,
            "app".into(),
            "me".into(),
            "secret".into(),
            Some(TlsMode::VerifyCa)
        )
    );
}

#[test]
fn parameters_that_lead_past_the_guard_are_refused_and_no_secret_is_repeated() {
    let cases: &[(&str, Unreadable)] = &[
        ("postgres://me:s3cret@%2Fvar%2Frun/app", Unreadable::Socket),
        (
            "host=/var/run dbname=app user=me password=s3cret",
            Unreadable::Socket,
        ),
        (
            "host=@abstract dbname=app user=me password=s3cret",
            Unreadable::Socket,
        ),
        (
            "host=h hostaddr=10.0.0.1 dbname=app user=me password=s3cret",
            Unreadable::Option("hostaddr".into()),
        ),
        (
            "postgres://me:s3cret@h/app?sslrootcert=/etc/passwd",
            Unreadable::Option("sslrootcert".into()),
        ),
        (
            "postgres://me:s3cret@h/app?host=10.0.0.1",
            Unreadable::Option("host".into()),
        ),
        (
            "postgres://me:s3cret@h/app?options=-c%20x",
            Unreadable::Option("options".into()),
        ),
        (
            "postgres://me:s3cret@h/app?passfile=/x",
            Unreadable::Option("passfile".into()),
        ),
        (
            "postgres://me:s3cret@h/app?sslmode=disable",
            Unreadable::Unencrypted,
        ),
        (
            "postgres://me:s3cret@h/app?sslmode=prefer",
            Unreadable::Unencrypted,
        ),
        ("postgres://me:s3cret@h1,h2/app", Unreadable::Hosts),
        ("postgres://me:s3cret@h:1,h:2/app", Unreadable::Hosts),
        ("postgres://me:s3cret@h:0/app", Unreadable::Part("port")),
        ("postgres://me:s3cret@/app", Unreadable::Missing("host")),
        ("postgres://h/app", Unreadable::Missing("user")),
        ("postgres://me:s3cret@h", Unreadable::Missing("database")),
        (
            "postgres://me:s3cret%zz@h/app",
            Unreadable::Part("password"),
        ),
        ("mysql://me:s3cret@h/app", Unreadable::Form("postgres")),
        (
            "jdbc:postgresql://me:s3cret@h/app",
            Unreadable::Form("postgres"),
        ),
        ("me:s3cret", Unreadable::Form("postgres")),
    ];
    for (text, expected) in cases {
        let found = ConnectionString::parse(Engine::Postgres, text).unwrap_err();
        assert_eq!(found, *expected, "{text}");
        assert!(!found.to_string().contains("s3cret"));
    }
    let fine = ConnectionString::parse(Engine::Postgres, "postgres://me:s3cret@h/app").unwrap();
    assert!(!format!("{fine:?}").contains("s3cret"));
}
