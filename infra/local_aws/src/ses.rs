//! Amazon SES, as far as Waybill uses it. E-mails are stored as files, and every identity counts as
//! verified.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::NowMs;
use crate::ServiceError;
use crate::wire::percent_decoded;

/// How many e-mails are stored; the oldest are deleted.
const MAILS_MAX: usize = 1000;

/// Stores e-mails in a folder.
pub(crate) struct Ses {
    folder: PathBuf,
    sent: AtomicU64,
    now: NowMs,
}

/// An e-mail that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedMail {
    /// The id of the e-mail, which is also the name of its file without `.eml`. Later ids sort
    /// after earlier ones.
    pub id: String,
    /// The complete message in MIME format.
    pub bytes: Vec<u8>,
}

impl Ses {
    pub(crate) fn open(folder: &Path, now: NowMs) -> Self {
        Self {
            folder: folder.to_owned(),
            sent: AtomicU64::new(0),
            now,
        }
    }

    /// Executes a call of SES.
    pub(crate) fn call(
        &self,
        operation: &str,
        path: &str,
        body: &Bytes,
    ) -> Result<Value, ServiceError> {
        match operation {
            "SendEmail" => {
                let request: Value = serde_json::from_slice(body).unwrap_or_default();
                let raw = request["Content"]["Raw"]["Data"]
                    .as_str()
                    .and_then(|data| BASE64.decode(data).ok());
                let raw = raw.ok_or_else(|| {
                    ServiceError::new(400, "BadRequestException", "only raw mails are sent here")
                })?;
                let id = self.keep(&raw).map_err(|error| {
                    ServiceError::new(500, "InternalServiceError", error.to_string())
                })?;
                Ok(json!({"MessageId": id}))
            }
            "GetEmailIdentity" => {
                let kind = if identity(path).contains('@') {
                    "EMAIL_ADDRESS"
                } else {
                    "DOMAIN"
                };
                Ok(
                    json!({"IdentityType": kind, "VerifiedForSendingStatus": true,
                        "VerificationStatus": "SUCCESS", "FeedbackForwardingStatus": true}),
                )
            }
            other => Err(ServiceError::new(
                400,
                "BadRequestException",
                format!("{other} is not offered"),
            )),
        }
    }

    fn keep(&self, raw: &[u8]) -> io::Result<String> {
        fs::create_dir_all(&self.folder)?;
        let id = format!(
            "{:016x}-{:08x}",
            (self.now)(),
            self.sent.fetch_add(1, Ordering::Relaxed)
        );
        fs::write(self.folder.join(format!("{id}.eml")), raw)?;
        let names = self.names()?;
        for old in names.iter().rev().skip(MAILS_MAX) {
            drop(fs::remove_file(self.folder.join(format!("{old}.eml"))));
        }
        Ok(id)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| {
                entry
                    .file_name()
                    .to_str()
                    .and_then(|name| name.strip_suffix(".eml"))
                    .map(str::to_owned)
            })
            .collect();
        names.sort();
        Ok(names)
    }

    /// Returns the e-mails, newest first.
    pub(crate) fn mails(&self, most: usize) -> io::Result<Vec<CapturedMail>> {
        let names = self.names()?;
        let read = |id: String| {
            Ok(CapturedMail {
                bytes: fs::read(self.folder.join(format!("{id}.eml")))?,
                id,
            })
        };
        names.into_iter().rev().take(most).map(read).collect()
    }
}

/// Returns the operation of a request, by its method and path.
pub(crate) fn operation(method: &http::Method, path: &str) -> Option<&'static str> {
    match *method {
        http::Method::POST if path == "/v2/email/outbound-emails" => Some("SendEmail"),
        http::Method::GET if path.starts_with("/v2/email/identities/") => Some("GetEmailIdentity"),
        _ => None,
    }
}

/// Returns the identity of a call: that in its path, or the sender's.
pub(crate) fn identity_of(path: &str, body: &[u8]) -> String {
    if path.starts_with("/v2/email/identities/") {
        return identity(path);
    }
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let from = request["FromEmailAddress"].as_str().unwrap_or("*");
    let address = from
        .rsplit_once('<')
        .map_or(from, |(_, address)| address.trim_end_matches('>'));
    address.to_owned()
}

fn identity(path: &str) -> String {
    percent_decoded(path.rsplit('/').next().unwrap_or_default())
}
