//! Tests that the stored and shown form of receipts does not change.

use domain::receipt::{Receipt, WrittenFile};
use serde_json::{Value, json};

fn one_of_each() -> Vec<(Receipt, Value)> {
    let text = str::to_owned;
    let sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let file = |written| Receipt::SftpFile {
        path: text("in/a.csv"),
        url: text("sftp://files.example:22/in/a.csv"),
        written,
    };
    let rows = |rows, rows_skipped| Receipt::DatabaseRows {
        table: text("events"),
        database: Some(text("app")),
        rows,
        rows_skipped,
        transaction_id: Some(text("771")),
    };
    let object = Receipt::Object {
        bucket: text("reports"),
        key: text("a/1.json"),
        version_id: None,
        etag: Some(text("\"e\"")),
        uri: text("s3://reports/a/1.json"),
        url: text("https://reports.s3.example/a/1.json"),
    };
    let mail = Receipt::SmtpMessage {
        queue_id: Some(text("4F1B2C")),
        message_id: text("<m@acme.example>"),
        reply: text("250 ok"),
    };
    vec![
        (
            Receipt::HttpResponse {
                id: None,
                status: 204,
            },
            json!({"kind": "http_response", "id": null, "url": null, "status": 204}),
        ),
        (
            mail,
            json!({"kind": "smtp_message", "id": "4F1B2C", "url": null,
                "message_id": "<m@acme.example>", "reply": "250 ok"}),
        ),
        (
            Receipt::SesMessage {
                id: text("0100"),
                message_id: text("<m@acme.example>"),
            },
            json!({"kind": "ses_message", "id": "0100", "url": null,
                "message_id": "<m@acme.example>"}),
        ),
        (
            object,
            json!({
                "kind": "object", "id": "s3://reports/a/1.json",
                "url": "https://reports.s3.example/a/1.json", "bucket": "reports",
                "key": "a/1.json", "version_id": null, "etag": "\"e\"",
                "uri": "s3://reports/a/1.json",
            }),
        ),
        (
            file(Some(WrittenFile {
                size_bytes: 4,
                sha256: text(sha256),
            })),
            json!({
                "kind": "sftp_file", "id": "in/a.csv", "url": "sftp://files.example:22/in/a.csv",
                "path": "in/a.csv", "size_bytes": 4,
                "sha256": sha256,
            }),
        ),
        (
            file(None),
            json!({"kind": "sftp_file", "id": "in/a.csv", "url": "sftp://files.example:22/in/a.csv",
                "path": "in/a.csv", "skipped": true}),
        ),
        (
            rows(Some(3), None),
            json!({
                "kind": "database_rows", "id": "771", "url": null, "table": "events",
                "database": "app", "rows": 3,
                "transaction_id": "771",
            }),
        ),
        (
            rows(None, Some(2)),
            json!({
                "kind": "database_rows", "id": "771", "url": null, "table": "events",
                "database": "app", "rows": null,
                "transaction_id": "771", "rows_skipped": 2,
            }),
        ),
    ]
}

#[test]
fn a_receipt_of_every_kind_is_written_as_its_json_and_reads_back() {
    for (receipt, json) in one_of_each() {
        assert_eq!(receipt.to_json(), json);
        assert_eq!(serde_json::from_value::<Receipt>(json).unwrap(), receipt);
    }
}

#[test]
fn every_text_of_a_receipt_can_be_redacted() {
    for (mut receipt, json) in one_of_each() {
        receipt
            .texts_mut()
            .into_iter()
            .for_each(|text| "[redacted]".clone_into(text));
        let shown = receipt.to_json();
        for (name, before) in json
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, before)| *name != "kind" && before.is_string())
        {
            assert_eq!(shown[name], "[redacted]", "{name} of {json}: {before}");
        }
    }
}

#[test]
fn a_receipt_of_an_unknown_kind_is_refused() {
    assert!(
        serde_json::from_value::<Receipt>(json!({"kind": "fax", "id": "1", "url": null})).is_err()
    );
}
