//! The settings of each type but the webhook's, member by member.

use domain::settings::email::transport_schema;
use domain::settings::sftp::{DEFAULT_DIRECTORY_TEMPLATE, DEFAULT_FILENAME_TEMPLATE};
use domain::settings::storage::DEFAULT_KEY_TEMPLATE;
use serde_json::{Value, json};

/// Of mailboxes.
pub(super) fn email() -> Value {
    let mailbox = || json!({"type": "string", "format": "email", "maxLength": 400});
    let mailboxes =
        |description: &str| json!({"type": "array", "maxItems": 50, "items": mailbox(), "default": [], "description": description});
    let template = |max: usize, description: &str| json!({"type": ["string", "null"], "format": "multiline", "minLength": 1, "maxLength": max, "default": null, "description": description});
    json!({
        "transport": transport_schema(),
        "from": {"type": "string", "format": "email", "maxLength": 400, "description": "Who sends: an address, or a name and an address in angle brackets."},
        "to": {"type": "array", "minItems": 1, "maxItems": 50, "items": mailbox(), "description": "Who receives; with cc and bcc at most 50."},
        "cc": mailboxes("Who receives a copy."),
        "bcc": mailboxes("Who receives a copy that the others do not see."),
        "reply_to": {"type": ["string", "null"], "format": "email", "default": null},
        "subject_template": template(4096, "A template for the subject. Default: the event type."),
        "text_template": template(65_536, "A template for the plain text. Default: the payload."),
        "html_template": template(65_536, "A template for the HTML; values are escaped."),
        "attach": {"enum": ["auto", "always", "never"], "default": "auto", "description": "auto: attached up to 7 MiB, above that a link."},
        "timeout_seconds": {"type": "integer", "minimum": 1, "maximum": 60, "default": 15, "description": "Bounds the whole attempt."},
    })
}

/// Of a bucket of Amazon S3, or of a store that speaks its protocol.
pub(super) fn s3() -> Value {
    let own = json!({
        "bucket": {"type": "string", "minLength": 3, "maxLength": 63, "pattern": r"^[a-z0-9]((\.?[a-z0-9-])*\.?[a-z0-9])?$", "description": "The bucket's name."},
        "region": {"type": ["string", "null"], "maxLength": 40, "pattern": "^[a-z0-9-]+$", "default": null, "description": "Its region; left out, the one Waybill runs in."},
        "endpoint": endpoint("Of a store that is not Amazon's, without the bucket."),
        "server_side_encryption": {"enum": ["none", "AES256", "aws:kms", null], "default": null, "description": "How objects are encrypted; left out, as the bucket says."},
        "kms_key_id": {"type": ["string", "null"], "maxLength": 2048, "pattern": "^[!-~]+$", "default": null, "description": "The key for aws:kms."},
        "tags": tags(),
    });
    with(own, object())
}

/// Of a bucket of Google Cloud Storage.
pub(super) fn gcs() -> Value {
    let own = json!({
        "bucket": {"type": "string", "minLength": 3, "maxLength": 222, "pattern": r"^[a-z0-9]((\.?[a-z0-9_-])*\.?[a-z0-9])?$", "description": "The bucket's name."},
        "endpoint": endpoint("Instead of https://storage.googleapis.com."),
    });
    with(own, object())
}

/// Of a container of Azure Blob Storage.
pub(super) fn azure_blob() -> Value {
    let own = json!({
        "account": {"type": "string", "minLength": 3, "maxLength": 24, "pattern": "^[a-z0-9]+$", "description": "The storage account."},
        "container": {"type": "string", "minLength": 3, "maxLength": 63, "pattern": r"^(\$root|\$web|[a-z0-9]+(-[a-z0-9]+)*)$", "description": "The container in it."},
        "endpoint": endpoint("Instead of https://<account>.blob.core.windows.net."),
        "tags": tags(),
    });
    with(own, object())
}

/// Of a directory on an SFTP server.
pub(super) fn sftp() -> Value {
    json!({
        "host": {"type": "string", "minLength": 1, "maxLength": 255, "description": "Name or address of the server."},
        "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 22},
        "username": {"type": "string", "minLength": 1, "maxLength": 255},
        "host_keys": {"type": "array", "minItems": 1, "maxItems": 5, "items": {"type": "string", "minLength": 1, "maxLength": 4096}, "description": "The server's public keys in OpenSSH's format, or their SHA256 fingerprints (POST /v1/host-keys shows them). The server must present one of them."},
        "directory_template": {"type": "string", "maxLength": 4096, "default": DEFAULT_DIRECTORY_TEMPLATE, "description": "The directory, as a template."},
        "filename_template": {"type": "string", "minLength": 1, "maxLength": 4096, "default": DEFAULT_FILENAME_TEMPLATE, "description": "The file's name, as a template."},
        "if_exists": {"enum": ["replace", "fail", "skip"], "default": "replace", "description": "What happens if another file has the name."},
        "timeout_seconds": timeout(),
    })
}

/// Of a table.
pub(super) fn database() -> Value {
    json!({
        "host": {"type": ["string", "null"], "minLength": 1, "maxLength": 255, "default": null, "description": "Name or address of the server; left out with a connection string."},
        "port": {"type": ["integer", "null"], "minimum": 1, "maximum": 65535, "default": null},
        "database": {"type": ["string", "null"], "minLength": 1, "maxLength": 64, "default": null, "description": "The database; left out with a connection string."},
        "tls": {"enum": ["require", "verify_ca", "verify_full"], "default": "verify_full", "description": "How far the server's certificate is verified."},
        "table": {"type": "string", "minLength": 1, "maxLength": 200, "description": "Where rows go: table, or schema.table."},
        "mode": {"enum": ["document", "rows"], "default": "document", "description": "document: a row for each message. rows: a row for each element of the payload."},
        "columns": {"type": ["object", "null"], "maxProperties": 500, "additionalProperties": {"type": "string", "maxLength": 64}, "default": null, "description": "The column for each field (mode `rows`)."},
        "on_conflict": {"enum": ["ignore", "update", "error"], "default": "error", "description": "What happens to a row whose key exists (mode `rows`)."},
        "key_columns": {"type": "array", "maxItems": 16, "items": {"type": "string", "maxLength": 64}, "default": [], "description": "The columns of that key (rows)."},
        "create_table": {"type": "boolean", "default": false, "description": "Whether a missing table is created."},
        "timeout_seconds": timeout(),
    })
}

fn object() -> Value {
    json!({
        "key_template": {"type": "string", "minLength": 1, "maxLength": 4096, "default": DEFAULT_KEY_TEMPLATE, "description": "The object's key, as a template."},
        "if_exists": {"enum": ["fail", "replace", "skip"], "default": "fail", "description": "What happens if another object has the key."},
        "storage_class": {"type": ["string", "null"], "maxLength": 40, "pattern": "^[A-Za-z0-9_-]+$", "default": null, "description": "In the provider's own words."},
        "timeout_seconds": timeout(),
    })
}

fn timeout() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": 600, "default": 300, "description": "Bounds the whole attempt."})
}

fn endpoint(description: &str) -> Value {
    json!({"type": ["string", "null"], "format": "uri", "maxLength": 2048, "pattern": r##"^[!"$->@-~]+$"##, "default": null, "description": description})
}

fn tags() -> Value {
    json!({"type": "object", "maxProperties": 10, "additionalProperties": {"type": "string", "maxLength": 256}, "default": {}, "description": "On every object."})
}

fn with(mut own: Value, shared: Value) -> Value {
    if let (Value::Object(own), Value::Object(shared)) = (&mut own, shared) {
        own.extend(shared);
    }
    own
}
