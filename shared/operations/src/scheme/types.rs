//! The settings of each type but the webhook's, member by member.

use std::ops::RangeInclusive;

use domain::limits::{HOST, PORT, URL};
use domain::settings::database::{self, COLUMNS_MAX, KEY_COLUMNS_MAX, TABLE_NAME};
use domain::settings::email::{self, MAILBOX_MAX, RECIPIENTS_MAX, SUBJECT_TEMPLATE, transport_schema};
use domain::settings::sftp::{self, DEFAULT_DIRECTORY_TEMPLATE, DEFAULT_FILENAME_TEMPLATE, HOST_KEY, HostKeys, SFTP_PORT, USERNAME};
use domain::settings::storage::{
    AZURE_ACCOUNT, AZURE_CONTAINER, DEFAULT_KEY_TEMPLATE, GCS_BUCKET, KEY_TEMPLATE, KMS_KEY_ID, S3_BUCKET, TAG_VALUE_MAX, TAGS_MAX, WORD,
};
use domain::settings::{CALL_SECONDS, TRANSFER_SECONDS};
use serde_json::{Value, json};

use super::timeout;

/// Of mailboxes.
pub(super) fn email() -> Value {
    let mailbox = || json!({"type": "string", "format": "email", "maxLength": MAILBOX_MAX});
    let mailboxes = |description: &str| json!({"type": "array", "maxItems": RECIPIENTS_MAX, "items": mailbox(), "default": [], "description": description});
    let template = |length: &RangeInclusive<usize>, description: &str| json!({"type": ["string", "null"], "format": "multiline", "minLength": length.start(), "maxLength": length.end(), "default": null, "description": description});
    json!({
        "transport": transport_schema(),
        "from": {"type": "string", "format": "email", "maxLength": MAILBOX_MAX, "description": "Who sends: an address, or a name and an address in angle brackets."},
        "to": {"type": "array", "minItems": 1, "maxItems": RECIPIENTS_MAX, "items": mailbox(), "description": format!("Who receives; with cc and bcc at most {RECIPIENTS_MAX}.")},
        "cc": mailboxes("Who receives a copy."),
        "bcc": mailboxes("Who receives a copy that the others do not see."),
        "reply_to": {"type": ["string", "null"], "format": "email", "maxLength": MAILBOX_MAX, "default": null},
        "subject_template": template(&SUBJECT_TEMPLATE, "A template for the subject. Default: the event type."),
        "text_template": template(&email::TEMPLATE, "A template for the plain text. Default: the payload."),
        "html_template": template(&email::TEMPLATE, "A template for the HTML; values are escaped."),
        "attach": {"enum": ["auto", "always", "never"], "default": "auto", "description": "auto: attached up to 7 MiB, above that a link."},
        "timeout_seconds": timeout(CALL_SECONDS),
    })
}

/// Of a bucket of Amazon S3, or of a store that speaks its protocol.
pub(super) fn s3() -> Value {
    let own = json!({
        "bucket": {"type": "string", "minLength": S3_BUCKET.start(), "maxLength": S3_BUCKET.end(), "pattern": r"^[a-z0-9]((\.?[a-z0-9-])*\.?[a-z0-9])?$", "description": "The bucket's name."},
        "region": {"type": ["string", "null"], "minLength": WORD.start(), "maxLength": WORD.end(), "pattern": "^[a-z0-9-]+$", "default": null, "description": "Its region; left out, the one Waybill runs in."},
        "endpoint": endpoint("Of a store that is not Amazon's, without the bucket."),
        "server_side_encryption": {"enum": ["none", "AES256", "aws:kms", null], "default": null, "description": "How objects are encrypted; left out, as the bucket says."},
        "kms_key_id": {"type": ["string", "null"], "minLength": KMS_KEY_ID.start(), "maxLength": KMS_KEY_ID.end(), "pattern": "^[!-~]+$", "default": null, "description": "The key for aws:kms."},
        "tags": tags(),
    });
    with(own, object())
}

/// Of a bucket of Google Cloud Storage.
pub(super) fn gcs() -> Value {
    let own = json!({
        "bucket": {"type": "string", "minLength": GCS_BUCKET.start(), "maxLength": GCS_BUCKET.end(), "pattern": r"^[a-z0-9]((\.?[a-z0-9_-])*\.?[a-z0-9])?$", "description": "The bucket's name."},
        "endpoint": endpoint("Instead of https://storage.googleapis.com."),
    });
    with(own, object())
}

/// Of a container of Azure Blob Storage.
pub(super) fn azure_blob() -> Value {
    let own = json!({
        "account": {"type": "string", "minLength": AZURE_ACCOUNT.start(), "maxLength": AZURE_ACCOUNT.end(), "pattern": "^[a-z0-9]+$", "description": "The storage account."},
        "container": {"type": "string", "minLength": AZURE_CONTAINER.start(), "maxLength": AZURE_CONTAINER.end(), "pattern": r"^(\$root|\$web|[a-z0-9]+(-[a-z0-9]+)*)$", "description": "The container in it."},
        "endpoint": endpoint("Instead of https://<account>.blob.core.windows.net."),
        "tags": tags(),
    });
    with(own, object())
}

/// Of a directory on an SFTP server.
pub(super) fn sftp() -> Value {
    json!({
        "host": {"type": "string", "minLength": HOST.start(), "maxLength": HOST.end(), "description": "Name or address of the server."},
        "port": SFTP_PORT.schema(),
        "username": {"type": "string", "minLength": USERNAME.start(), "maxLength": USERNAME.end()},
        "host_keys": {"type": "array", "minItems": 1, "maxItems": HostKeys::MAX, "items": {"type": "string", "minLength": HOST_KEY.start(), "maxLength": HOST_KEY.end()}, "description": "The server's public keys in OpenSSH's format, or their SHA256 fingerprints (POST /v1/host-keys shows them). The server must present one of them."},
        "directory_template": {"type": "string", "maxLength": sftp::TEMPLATE_MAX, "default": DEFAULT_DIRECTORY_TEMPLATE, "description": "The directory, as a template."},
        "filename_template": {"type": "string", "minLength": 1, "maxLength": sftp::TEMPLATE_MAX, "default": DEFAULT_FILENAME_TEMPLATE, "description": "The file's name, as a template."},
        "if_exists": {"enum": ["replace", "fail", "skip"], "default": "replace", "description": "What happens if another file has the name."},
        "timeout_seconds": timeout(TRANSFER_SECONDS),
    })
}

/// Of a table.
pub(super) fn database() -> Value {
    json!({
        "host": {"type": ["string", "null"], "minLength": HOST.start(), "maxLength": HOST.end(), "default": null, "description": "Name or address of the server; left out with a connection string."},
        "port": {"type": ["integer", "null"], "minimum": PORT.min, "maximum": PORT.max, "default": null},
        "database": {"type": ["string", "null"], "minLength": database::NAME.start(), "maxLength": database::NAME.end(), "default": null, "description": "The database; left out with a connection string."},
        "tls": {"enum": ["require", "verify_ca", "verify_full"], "default": "verify_full", "description": "How far the server's certificate is verified."},
        "table": {"type": "string", "minLength": TABLE_NAME.start(), "maxLength": TABLE_NAME.end(), "description": "Where rows go: table, or schema.table."},
        "mode": {"enum": ["document", "rows"], "default": "document", "description": "document: a row for each message. rows: a row for each element of the payload."},
        "columns": {"type": ["object", "null"], "maxProperties": COLUMNS_MAX, "additionalProperties": {"type": "string", "maxLength": database::NAME.end()}, "default": null, "description": "The column for each field (mode `rows`)."},
        "on_conflict": {"enum": ["ignore", "update", "error"], "default": "error", "description": "What happens to a row whose key exists (mode `rows`)."},
        "key_columns": {"type": "array", "maxItems": KEY_COLUMNS_MAX, "items": {"type": "string", "maxLength": database::NAME.end()}, "default": [], "description": "The columns of that key (rows)."},
        "create_table": {"type": "boolean", "default": false, "description": "Whether a missing table is created."},
        "timeout_seconds": timeout(TRANSFER_SECONDS),
    })
}

fn object() -> Value {
    json!({
        "key_template": {"type": "string", "minLength": KEY_TEMPLATE.start(), "maxLength": KEY_TEMPLATE.end(), "default": DEFAULT_KEY_TEMPLATE, "description": "The object's key, as a template."},
        "if_exists": {"enum": ["fail", "replace", "skip"], "default": "fail", "description": "What happens if another object has the key."},
        "storage_class": {"type": ["string", "null"], "minLength": WORD.start(), "maxLength": WORD.end(), "pattern": "^[A-Za-z0-9_-]+$", "default": null, "description": "In the provider's own words."},
        "timeout_seconds": timeout(TRANSFER_SECONDS),
    })
}

fn endpoint(description: &str) -> Value {
    json!({"type": ["string", "null"], "format": "uri", "minLength": URL.start(), "maxLength": URL.end(), "pattern": r##"^[!"$->@-~]+$"##, "default": null, "description": description})
}

fn tags() -> Value {
    json!({"type": "object", "maxProperties": TAGS_MAX, "additionalProperties": {"type": "string", "maxLength": TAG_VALUE_MAX}, "default": {}, "description": "On every object."})
}

fn with(mut own: Value, shared: Value) -> Value {
    if let (Value::Object(own), Value::Object(shared)) = (&mut own, shared) {
        own.extend(shared);
    }
    own
}
