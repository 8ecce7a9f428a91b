//! A receipt: what identifies a delivery at its destination, by the kind of destination that took
//! it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a connector learned when the destination took a delivery.
///
/// [`Self::to_json`] is the form in which it is stored and shown as `tracking`. It is read back
/// from that form with serde; members that follow from others (`id`, and `url` where the protocol
/// has none) are not kept twice.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Receipt {
    /// The answer of an HTTP receiver.
    HttpResponse {
        /// What the receiver calls the request, from one of its headers.
        #[serde(default)]
        id: Option<String>,
        /// The status code.
        status: u16,
    },
    /// A mail that a mail server took.
    SmtpMessage {
        /// The server's queue id, where its reply has one.
        #[serde(rename = "id", default)]
        queue_id: Option<String>,
        /// The `Message-ID` of the mail, in angle brackets.
        message_id: String,
        /// The server's final reply.
        reply: String,
    },
    /// A mail that Amazon SES took.
    SesMessage {
        /// Amazon SES's own id.
        id: String,
        /// The `Message-ID` of the mail, in angle brackets.
        message_id: String,
    },
    /// An object in a bucket or container.
    Object {
        /// The bucket or container.
        bucket: String,
        /// The object's key.
        key: String,
        /// Its version, where the bucket keeps versions.
        #[serde(default)]
        version_id: Option<String>,
        /// Its entity tag, where the service returned one.
        #[serde(default)]
        etag: Option<String>,
        /// Its address in the notation of its service, such as `s3://bucket/key`.
        uri: String,
        /// Its address for HTTP.
        url: String,
    },
    /// A file on an SFTP server.
    SftpFile {
        /// Its path on the server.
        path: String,
        /// Its address.
        url: String,
        /// What was written; `None` when another file was there and stays.
        #[serde(flatten)]
        written: Option<WrittenFile>,
    },
    /// Rows of a database table.
    DatabaseRows {
        /// The table.
        table: String,
        /// The database, where the destination names one.
        #[serde(default)]
        database: Option<String>,
        /// How many rows were written; `None` when an earlier attempt wrote them and did not record
        /// it.
        #[serde(default)]
        rows: Option<u64>,
        /// How many rows were skipped because their keys were there; `None` where none may be, or
        /// it is not known.
        #[serde(default)]
        rows_skipped: Option<u64>,
        /// The server's number of the transaction, where it reports one.
        #[serde(default)]
        transaction_id: Option<String>,
    },
}

/// The content of a file as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenFile {
    /// The length of the file.
    pub size_bytes: u64,
    /// Its SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

impl Receipt {
    /// The JSON object that is stored with the delivery and shown as its `tracking`: the one
    /// projection of a receipt.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::HttpResponse { id, status } => {
                json!({"kind": "http_response", "id": id, "url": null, "status": status})
            }
            Self::SmtpMessage {
                queue_id,
                message_id,
                reply,
            } => {
                json!({"kind": "smtp_message", "id": queue_id, "url": null,
                    "message_id": message_id, "reply": reply})
            }
            Self::SesMessage { id, message_id } => {
                json!({"kind": "ses_message", "id": id, "url": null, "message_id": message_id})
            }
            Self::Object {
                bucket,
                key,
                version_id,
                etag,
                uri,
                url,
            } => json!({
                "kind": "object",
                "id": uri,
                "url": url,
                "bucket": bucket,
                "key": key,
                "version_id": version_id,
                "etag": etag,
                "uri": uri,
            }),
            Self::SftpFile {
                path,
                url,
                written: Some(WrittenFile { size_bytes, sha256 }),
            } => {
                json!({"kind": "sftp_file", "id": path, "url": url, "path": path,
                    "size_bytes": size_bytes, "sha256": sha256})
            }
            Self::SftpFile {
                path,
                url,
                written: None,
            } => {
                json!({"kind": "sftp_file", "id": path, "url": url, "path": path, "skipped": true})
            }
            Self::DatabaseRows {
                table,
                database,
                rows,
                rows_skipped,
                transaction_id,
            } => {
                let mut shown = json!({
                    "kind": "database_rows",
                    "id": transaction_id,
                    "url": null,
                    "table": table,
                    "database": database,
                    "rows": rows,
                    "transaction_id": transaction_id,
                });
                if let Some(skipped) = rows_skipped {
                    shown["rows_skipped"] = (*skipped).into();
                }
                shown
            }
        }
    }

    /// Every text of the receipt, so that secrets which the destination echoed can be redacted in
    /// place.
    pub fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::HttpResponse { id, status: _ } => id.iter_mut().collect(),
            Self::SmtpMessage {
                queue_id,
                message_id,
                reply,
            } => queue_id.iter_mut().chain([message_id, reply]).collect(),
            Self::SesMessage { id, message_id } => vec![id, message_id],
            Self::Object {
                bucket,
                key,
                version_id,
                etag,
                uri,
                url,
            } => version_id
                .iter_mut()
                .chain(etag)
                .chain([bucket, key, uri, url])
                .collect(),
            Self::SftpFile { path, url, written } => written
                .iter_mut()
                .map(|written| &mut written.sha256)
                .chain([path, url])
                .collect(),
            Self::DatabaseRows {
                table,
                database,
                rows: _,
                rows_skipped: _,
                transaction_id,
            } => database
                .iter_mut()
                .chain(transaction_id)
                .chain([table])
                .collect(),
        }
    }
}
