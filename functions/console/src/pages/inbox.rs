//! The mail that a local process keeps instead of sending it: alerts, confirmation links, and
//! deliveries to destinations of type `email`. It contains the mail of every organization, so only
//! operators may read it.

use std::ffi::OsStr;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use askama::Template;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use domain::Timestamp;
use front::{Front, Refused};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use operations::Refusal;

use crate::answer::{Answer, page};
use crate::sent::Mail;
use crate::show::{self, Page};
use crate::visitor::Visitor;

/// The maximum number of mails in the list.
const SHOWN_MAX: usize = 100;

/// The folder in which the process keeps mail. Absent if the process sends mail.
#[derive(Clone, Debug)]
pub(crate) struct Folder(pub(crate) Option<Arc<PathBuf>>);

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/inbox", get(list))
        .route("/inbox/{id}", get(read))
        .route("/inbox/{id}/source", get(source))
}

/// A mail in the folder.
struct StoredMail {
    /// The name of the file without its extension: the time at which it was sent, in hexadecimal
    /// milliseconds since 1970, and a number.
    id: String,
    at: Option<Timestamp>,
    mail: Mail,
}

impl StoredMail {
    fn header(&self, name: &str) -> &str {
        self.mail
            .headers
            .iter()
            .find(|(own, _)| *own == name)
            .map_or("", |(_, value)| value)
    }
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    mails: &'a [StoredMail],
}

#[derive(Template)]
#[template(path = "inbox_mail.html")]
struct MailPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    stored: &'a StoredMail,
}

/// Returns the folder. Refuses visitors who are not operators, and every visitor if there is none.
fn require_folder(v: &Visitor, folder: &Folder) -> Result<Arc<PathBuf>, Refusal> {
    let folder = folder.0.clone().ok_or_else(Refusal::not_found)?;
    if v.is_operator() {
        Ok(folder)
    } else {
        Err(Refusal::forbidden())
    }
}

async fn list(v: Visitor, Extension(folder): Extension<Folder>) -> Answer {
    let folder = require_folder(&v, &folder)?;
    let mails = tokio::task::spawn_blocking(move || newest(&folder))
        .await
        .map_err(Refusal::internal)?;
    page(&InboxPage {
        page: Page::of(Some(&v), "inbox"),
        v: &v,
        mails: &mails.map_err(Refusal::internal)?,
    })
}

async fn read(v: Visitor, Extension(folder): Extension<Folder>, Path(id): Path<String>) -> Answer {
    let bytes = file(require_folder(&v, &folder)?, &id).await?;
    let stored = stored_mail(id, &bytes).ok_or_else(Refusal::not_found)?;
    page(&MailPage {
        page: Page::of(Some(&v), "inbox"),
        v: &v,
        stored: &stored,
    })
}

async fn source(
    v: Visitor,
    Extension(folder): Extension<Folder>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let bytes = file(require_folder(&v, &folder)?, &id).await?;
    let disposition = format!("attachment; filename=\"{id}.eml\"");
    let headers = [
        (CONTENT_TYPE, "message/rfc822".to_owned()),
        (CONTENT_DISPOSITION, disposition),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, bytes).into_response())
}

/// Reads the newest mails, newest first. Skips files that are not mails.
fn newest(folder: &FilePath) -> std::io::Result<Vec<StoredMail>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // The folder is created with the first mail.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension() == Some(OsStr::new("eml")));
    paths.sort_by(|one, other| other.cmp(one));
    let mails = paths.iter().take(SHOWN_MAX).filter_map(|path| {
        let id = path.file_stem()?.to_str()?.to_owned();
        stored_mail(id, &std::fs::read(path).ok()?)
    });
    Ok(mails.collect())
}

async fn file(folder: Arc<PathBuf>, id: &str) -> Result<Vec<u8>, Refusal> {
    // Prevents an id from naming a file in another folder.
    if id.is_empty()
        || !id
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    {
        return Err(Refusal::not_found());
    }
    let path = folder.join(format!("{id}.eml"));
    match tokio::task::spawn_blocking(move || std::fs::read(path))
        .await
        .map_err(Refusal::internal)?
    {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Refusal::not_found()),
        read => read.map_err(Refusal::internal),
    }
}

fn stored_mail(id: String, bytes: &[u8]) -> Option<StoredMail> {
    let millis = id
        .split('-')
        .next()
        .and_then(|millis| i64::from_str_radix(millis, 16).ok());
    Some(StoredMail {
        at: millis.map(Timestamp::from_millis),
        mail: Mail::read(bytes)?,
        id,
    })
}
