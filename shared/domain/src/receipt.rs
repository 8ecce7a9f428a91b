//! A receipt, which identifies a delivery at its destination. Each kind of destination has its own
//! kind of receipt.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The data that a connector received when the destination accepted a delivery.
///
/// [`Self::to_json`] returns the form in which a receipt is stored and shown as `tracking`. The
/// receipt is read back from that form with serde. Members that can be derived from others (`id`,
/// and `url` where the protocol has none) are not stored in this type.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Receipt {
    /// The response of an HTTP receiver.
    HttpResponse {
        /// The receiver's identifier of the request, from a response header.
        #[serde(default)]
        id: Option<String>,
        /// The HTTP status code.
        status: u16,
    },
    /// A mail that a mail server accepted.
    SmtpMessage {
        /// The server's queue id, if its reply contains one.
        #[serde(rename = "id", default)]
        queue_id: Option<String>,
        /// The `Message-ID` of the mail, in angle brackets.
        message_id: String,
        /// The server's final reply.
        reply: String,
    },
    /// A mail that Amazon SES accepted.
    SesMessage {
        /// The identifier that Amazon SES assigned.
        id: String,
        /// The `Message-ID` of the mail, in angle brackets.
        message_id: String,
    },
    /// An object in a bucket or container.
    Object {
        /// The name of the bucket or container.
        bucket: String,
        /// The key of the object.
        key: String,
        /// The version of the object, if the bucket keeps versions.
        #[serde(default)]
        version_id: Option<String>,
        /// The entity tag of the object, if the service returned one.
        #[serde(default)]
        etag: Option<String>,
        /// The URI of the object in the notation of its service, such as `s3://bucket/key`.
        uri: String,
        /// The HTTP URL of the object.
        url: String,
    },
    /// A file on an SFTP server.
    SftpFile {
        /// The path of the file on the server.
        path: String,
        /// The URL of the file.
        url: String,
        /// The content that was written; `None` if another file existed and was kept.
        #[serde(flatten)]
        written: Option<WrittenFile>,
    },
    /// Rows of a database table.
    DatabaseRows {
        /// The name of the table.
        table: String,
        /// The name of the database, if the destination has one.
        #[serde(default)]
        database: Option<String>,
        /// The number of rows that were written; `None` if an earlier attempt wrote them and did
        /// not record it.
        #[serde(default)]
        rows: Option<u64>,
        /// The number of rows that were skipped because their keys existed; `None` if rows cannot
        /// be skipped or the number is not known.
        #[serde(default)]
        rows_skipped: Option<u64>,
        /// The server's transaction number, if it reports one.
        #[serde(default)]
        transaction_id: Option<String>,
    },
}

/// The content of a file as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenFile {
    /// The size of the file, in bytes.
    pub size_bytes: u64,
    /// The SHA-256 digest of the file, in lower-case hexadecimal.
    pub sha256: String,
}

impl Receipt {
    /// Returns the JSON object that is stored with the delivery and shown as its `tracking`. No
    /// other code converts receipts to JSON.
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

    /// Returns every text of the receipt, so that secrets that the destination repeated can be
    /// redacted in place.
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
