//! The schemas of the settings of each type except webhooks, member by member.

use std::ops::RangeInclusive;

use domain::limits::{HOST, PORT, URL};
use domain::settings::database::{self, COLUMNS_MAX, KEY_COLUMNS_MAX, TABLE_NAME};
use domain::settings::email::{
    self, MAILBOX_MAX, RECIPIENTS_MAX, SUBJECT_TEMPLATE, transport_schema,
};
use domain::settings::sftp::{
    self, DEFAULT_DIRECTORY_TEMPLATE, DEFAULT_FILENAME_TEMPLATE, HOST_KEY, HostKeys, SFTP_PORT,
    USERNAME,
};
use domain::settings::storage::{
    AZURE_ACCOUNT, AZURE_CONTAINER, DEFAULT_KEY_TEMPLATE, GCS_BUCKET, KEY_TEMPLATE, KMS_KEY_ID,
    S3_BUCKET, TAG_VALUE_MAX, TAGS_MAX, WORD,
};
use domain::settings::{CALL_SECONDS, TRANSFER_SECONDS};
use serde_json::{Value, json};

use super::timeout;

/// Returns the settings of an e-mail destination.
pub(super) fn email() -> Value {
    let mailbox = || json!({"type": "string", "format": "email", "maxLength": MAILBOX_MAX});
    let mailboxes = |description: &str| {
        json!({"type": "array", "maxItems": RECIPIENTS_MAX,
        "items": mailbox(), "default": [], "description": description})
    };
    let template = |length: &RangeInclusive<usize>, description: &str| {
        json!({"type": ["string", "null"], "format": "multiline",
        "minLength": length.start(), "maxLength": length.end(), "default": null,
        "description": description})
    };
    json!({
        "transport": transport_schema(),
        "from": {"type": "string", "format": "email", "maxLength": MAILBOX_MAX,
            "description": "The sender: an address, or a name followed by an address in angle \
                 brackets."},
        "to": {"type": "array", "minItems": 1, "maxItems": RECIPIENTS_MAX, "items": mailbox(),
            "description": format!("The recipients: at most {RECIPIENTS_MAX}, including cc and bcc.")},
        "cc": mailboxes("Recipients of a copy."),
        "bcc": mailboxes("Recipients of a blind copy, whom the others do not see."),
        "reply_to": {"type": ["string", "null"], "format": "email", "maxLength": MAILBOX_MAX,
            "default": null},
        "subject_template": template(&SUBJECT_TEMPLATE, "A template for the subject of the mail. \
             Default: the event type."),
        "text_template": template(&email::TEMPLATE, "A template for the text version of the mail. \
             Default: the payload."),
        "html_template": template(&email::TEMPLATE, "A template for the HTML version of the mail. \
             Values are escaped."),
        "attach": {"enum": ["auto", "always", "never"], "default": "auto",
            "description": "Whether the payload is attached. auto: attached up to 7 MiB, and \
                 linked to above that."},
        "timeout_seconds": timeout(CALL_SECONDS),
    })
}

/// Returns the settings of a bucket in Amazon S3 or in a store that speaks its protocol.
pub(super) fn s3() -> Value {
    let own = json!({
        "bucket": {"type": "string", "minLength": S3_BUCKET.start(), "maxLength": S3_BUCKET.end(),
            "pattern": r"^[a-z0-9]((\.?[a-z0-9-])*\.?[a-z0-9])?$",
            "description": "The name of the bucket."},
        "region": {"type": ["string", "null"], "minLength": WORD.start(), "maxLength": WORD.end(),
            "pattern": "^[a-z0-9-]+$", "default": null,
            "description": "The AWS Region of the bucket. Default: the Region that Waybill runs in."},
        "endpoint": endpoint("The URL of an S3-compatible store other than Amazon S3, without the \
             bucket."),
        "server_side_encryption": {"enum": ["none", "AES256", "aws:kms", null], "default": null,
            "description": "How objects are encrypted on the server. Default: the bucket's own \
                 setting."},
        "kms_key_id": {"type": ["string", "null"], "minLength": KMS_KEY_ID.start(),
            "maxLength": KMS_KEY_ID.end(), "pattern": "^[!-~]+$", "default": null,
            "description": "The KMS key that encrypts objects, for aws:kms."},
        "tags": tags(),
    });
    with(own, object())
}

/// Returns the settings of a bucket in Google Cloud Storage.
pub(super) fn gcs() -> Value {
    let own = json!({
        "bucket": {"type": "string", "minLength": GCS_BUCKET.start(), "maxLength": GCS_BUCKET.end(),
            "pattern": r"^[a-z0-9]((\.?[a-z0-9_-])*\.?[a-z0-9])?$",
            "description": "The name of the bucket."},
        "endpoint": endpoint("The URL of the storage service, in place of \
             https://storage.googleapis.com."),
    });
    with(own, object())
}

/// Returns the settings of a container in Azure Blob Storage.
pub(super) fn azure_blob() -> Value {
    let own = json!({
        "account": {"type": "string", "minLength": AZURE_ACCOUNT.start(),
            "maxLength": AZURE_ACCOUNT.end(), "pattern": "^[a-z0-9]+$",
            "description": "The name of the Azure storage account."},
        "container": {"type": "string", "minLength": AZURE_CONTAINER.start(),
            "maxLength": AZURE_CONTAINER.end(),
            "pattern": r"^(\$root|\$web|[a-z0-9]+(-[a-z0-9]+)*)$",
            "description": "The name of the container in the storage account."},
        "endpoint": endpoint("The URL of the storage service, in place of \
             https://<account>.blob.core.windows.net."),
        "tags": tags(),
    });
    with(own, object())
}

/// Returns the settings of a directory on an SFTP server.
pub(super) fn sftp() -> Value {
    json!({
        "host": {"type": "string", "minLength": HOST.start(), "maxLength": HOST.end(),
            "description": "The host name or IP address of the server."},
        "port": SFTP_PORT.schema(),
        "username": {"type": "string", "minLength": USERNAME.start(), "maxLength": USERNAME.end()},
        "host_keys": {"type": "array", "minItems": 1, "maxItems": HostKeys::MAX,
            "items": {"type": "string", "minLength": HOST_KEY.start(), "maxLength": HOST_KEY.end()},
            "description": "The server's public keys in OpenSSH's format, or their SHA256 \
                 fingerprints (POST /v1/host-keys shows them). The server must present one of them."},
        "directory_template": {"type": "string", "maxLength": sftp::TEMPLATE_MAX,
            "default": DEFAULT_DIRECTORY_TEMPLATE,
            "description": "A template for the directory on the server."},
        "filename_template": {"type": "string", "minLength": 1, "maxLength": sftp::TEMPLATE_MAX,
            "default": DEFAULT_FILENAME_TEMPLATE,
            "description": "A template for the name of the file."},
        "if_exists": {"enum": ["replace", "fail", "skip"], "default": "replace",
            "description": "What happens if a file with this name exists already."},
        "timeout_seconds": timeout(TRANSFER_SECONDS),
    })
}

/// Returns the settings of a table in a database.
pub(super) fn database() -> Value {
    json!({
        "host": {"type": ["string", "null"], "minLength": HOST.start(), "maxLength": HOST.end(),
            "default": null, "description": "The host name or IP address of the server. Leave it \
                 out with a connection string."},
        "port": {"type": ["integer", "null"], "minimum": PORT.min, "maximum": PORT.max,
            "default": null},
        "database": {"type": ["string", "null"], "minLength": database::NAME.start(),
            "maxLength": database::NAME.end(), "default": null,
            "description": "The name of the database. Leave it out with a connection string."},
        "tls": {"enum": ["require", "verify_ca", "verify_full"], "default": "verify_full",
            "description": "How strictly the server's certificate is verified."},
        "table": {"type": "string", "minLength": TABLE_NAME.start(), "maxLength": TABLE_NAME.end(),
            "description": "The table that rows are written to: table, or schema.table."},
        "mode": {"enum": ["document", "rows"], "default": "document", "description": "document \
             writes one row for each message; rows writes one for each element of the payload."},
        "columns": {"type": ["object", "null"], "maxProperties": COLUMNS_MAX,
            "additionalProperties": {"type": "string", "maxLength": database::NAME.end()},
            "default": null, "description": "The column for each field of the payload (mode \
                 `rows`)."},
        "on_conflict": {"enum": ["ignore", "update", "error"], "default": "error",
            "description": "What happens to a row whose key exists already (mode `rows`)."},
        "key_columns": {"type": "array", "maxItems": KEY_COLUMNS_MAX,
            "items": {"type": "string", "maxLength": database::NAME.end()}, "default": [],
            "description": "The columns that make up the key (mode `rows`)."},
        "create_table": {"type": "boolean", "default": false, "description": "Whether the table \
             is created if it does not exist."},
        "timeout_seconds": timeout(TRANSFER_SECONDS),
    })
}

fn object() -> Value {
    json!({
        "key_template": {"type": "string", "minLength": KEY_TEMPLATE.start(),
            "maxLength": KEY_TEMPLATE.end(), "default": DEFAULT_KEY_TEMPLATE,
            "description": "A template for the key of the object."},
        "if_exists": {"enum": ["fail", "replace", "skip"], "default": "fail",
            "description": "What happens if an object with this key exists already."},
        "storage_class": {"type": ["string", "null"], "minLength": WORD.start(),
            "maxLength": WORD.end(), "pattern": "^[A-Za-z0-9_-]+$", "default": null,
            "description": "The storage class of the objects, by the provider's name for it."},
        "timeout_seconds": timeout(TRANSFER_SECONDS),
    })
}

fn endpoint(description: &str) -> Value {
    json!({"type": ["string", "null"], "format": "uri", "minLength": URL.start(),
        "maxLength": URL.end(), "pattern": r##"^[!"$->@-~]+$"##, "default": null,
        "description": description})
}

fn tags() -> Value {
    json!({"type": "object", "maxProperties": TAGS_MAX,
        "additionalProperties": {"type": "string", "maxLength": TAG_VALUE_MAX}, "default": {},
        "description": "Metadata that is set on every object."})
}

fn with(mut own: Value, shared: Value) -> Value {
    if let (Value::Object(own), Value::Object(shared)) = (&mut own, shared) {
        own.extend(shared);
    }
    own
}
