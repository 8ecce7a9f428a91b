//! Makes one attempt: renders the templates, writes the file under a temporary name and gives it
//! its final name.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::attempt::RequestRecord;
use domain::check::StepName;
use domain::delivery::FallbackOf;
use domain::percent::encoded_path;
use domain::receipt::{Receipt, WrittenFile};
use domain::settings::sftp::{IfExists, SftpSettings};
use domain::settle::Outcome;
use domain::{Reason, Timestamp};
use egress::{Guard, Host};
use render::TemplateValues;
use tokio::time::{Instant, timeout};
use worker::{Attempted, ConnectorError, Payload, login_deadline};

use crate::credentials::Credentials;
use crate::location::{Location, render_location};
use crate::remote::{Content, Found, OpenError, Remote, sha256};
use crate::ssh;
use crate::verdict::within;

/// How long a failed attempt may take to remove its temporary file.
const CLEAN_UP_MAX: Duration = Duration::from_secs(2);

/// The data about a delivery that templates and the receipt use.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'m> {
    /// The organization's id: `org_…`.
    pub organization_id: &'m str,
    /// The message's id: `msg_…`.
    pub message_id: &'m str,
    /// The delivery's id: `dlv_…`. It is part of the temporary file's name, so it must be a valid
    /// file name.
    pub delivery_id: &'m str,
    /// The event type, such as `report.ready`.
    pub event_type: &'m str,
    /// The customer's reference for the message.
    pub reference: Option<&'m str>,
    /// The metadata that the customer attached to the message.
    pub metadata: &'m BTreeMap<String, String>,
    /// When the message was accepted.
    pub created_at: Timestamp,
    /// The payload's media type.
    pub content_type: &'m str,
    /// The payload's filename, if it has one.
    pub filename: Option<&'m str>,
    /// The payload's SHA-256 in lower-case hexadecimal, if it is known.
    pub sha256: Option<&'m str>,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The failed delivery that this one is a fallback for.
    pub fallback_of: Option<FallbackOf>,
}

/// The file to create.
struct File<'f> {
    location: &'f Location,
    temporary: String,
    /// The name under which the old file is kept while a server without atomic replacement renames.
    aside: String,
    if_exists: IfExists,
    /// The SHA-256, if it is known before the bytes are read.
    sha256: Option<&'f str>,
}

/// The result of a delivery that did not fail.
enum Done {
    /// The file was written.
    Written(WrittenFile),
    /// An earlier attempt of this delivery wrote the file.
    WasThere(WrittenFile),
    /// Another file exists and was kept.
    Skipped,
    /// A file exists that cannot be read, so it may be this delivery's own. It was kept.
    SkippedUnread,
}

/// Delivers one whole file under its final name. A repeated delivery finds the file that it wrote
/// earlier.
pub async fn deliver(
    guard: &Guard,
    settings: &SftpSettings,
    credentials: &Credentials,
    meta: &Meta<'_>,
    payload: Payload,
    deadline: Instant,
) -> Result<Attempted, ConnectorError> {
    let location = render_location(settings, template_values(meta, &payload), deadline).await?;
    let sha256 = known_sha256(meta, &payload);
    let size_bytes = payload.size_bytes();
    let record = |sha256: Option<&str>| RequestRecord {
        method: "PUT".to_owned(),
        url: url(settings, &location.path()),
        headers: Vec::new(),
        size_bytes,
        body_sha256: sha256.unwrap_or_default().to_owned(),
    };
    let file = File {
        location: &location,
        temporary: location.temporary_path(meta.delivery_id),
        aside: location.replaced_path(meta.delivery_id),
        if_exists: settings.if_exists,
        sha256: sha256.as_deref(),
    };
    match put(guard, settings, credentials, &file, payload, deadline).await {
        Ok(Done::Written(written)) => {
            let detail = format!(
                "{} bytes were written to {}",
                written.size_bytes,
                location.path()
            );
            let request = Some(record(Some(&written.sha256)));
            Ok(delivered(
                receipt(settings, &location, Some(written)),
                detail,
                request,
            ))
        }
        Ok(Done::WasThere(written)) => {
            let detail = format!(
                "{} already exists with the same bytes, from an earlier attempt",
                location.path()
            );
            Ok(delivered(
                receipt(settings, &location, Some(written)),
                detail,
                None,
            ))
        }
        Ok(Done::Skipped) => {
            let detail = format!("{} already exists and was kept", location.path());
            Ok(delivered(receipt(settings, &location, None), detail, None))
        }
        Ok(Done::SkippedUnread) => {
            let detail = unread(&location.path(), " and was kept");
            Ok(delivered(receipt(settings, &location, None), detail, None))
        }
        Err(error) => {
            let is_sent = error.step() == Some(StepName::Write);
            let request = is_sent.then(|| record(sha256.as_deref()));
            Ok(error.into_attempted(request)?)
        }
    }
}

fn delivered(receipt: Receipt, detail: String, request: Option<RequestRecord>) -> Attempted {
    let outcome = Outcome::delivered(receipt);
    Attempted {
        outcome,
        detail,
        request,
        response: None,
        body: None,
    }
}

/// Returns the receipt. `written` is `None` if another file exists and was kept.
fn receipt(settings: &SftpSettings, location: &Location, written: Option<WrittenFile>) -> Receipt {
    let path = location.path();
    Receipt::SftpFile {
        url: url(settings, &path),
        path,
        written,
    }
}

/// Returns the URL of the file. Relative and absolute paths look the same in it, so use `path`
/// where the difference matters.
fn url(settings: &SftpSettings, path: &str) -> String {
    let host = Host::parse(&settings.host).map_or_else(
        |_| settings.host.clone(),
        |host| host.to_url_host().to_string(),
    );
    format!(
        "sftp://{host}:{}/{}",
        settings.port,
        encoded_path(path.trim_start_matches('/'))
    )
}

/// Returns the values that the destination's templates can use.
fn template_values(meta: &Meta<'_>, payload: &Payload) -> TemplateValues {
    TemplateValues {
        organization_id: meta.organization_id.to_owned(),
        event_type: meta.event_type.to_owned(),
        message_id: meta.message_id.to_owned(),
        delivery_id: meta.delivery_id.to_owned(),
        reference: meta.reference.map(str::to_owned),
        metadata: meta.metadata.clone(),
        filename: meta.filename.map(str::to_owned),
        content_type: meta.content_type.to_owned(),
        created_at: meta.created_at.to_string(),
        attempt: meta.attempt,
        failed_delivery_id: meta.fallback_of.map(|failed| failed.delivery.to_string()),
        reason: meta.fallback_of.map(|failed| failed.reason.as_str()),
        payload: render::payload_of(
            meta.content_type,
            payload.size_bytes(),
            payload.bytes_in_memory(),
        ),
    }
}

fn known_sha256(meta: &Meta<'_>, payload: &Payload) -> Option<String> {
    meta.sha256
        .map(str::to_owned)
        .or_else(|| payload.bytes_in_memory().map(|bytes| sha256(bytes)))
}

async fn put(
    guard: &Guard,
    settings: &SftpSettings,
    credentials: &Credentials,
    file: &File<'_>,
    payload: Payload,
    deadline: Instant,
) -> Result<Done, ConnectorError> {
    let login = login_deadline(deadline);
    let mut connection = ssh::reach(guard, settings, login).await?;
    within(
        login,
        StepName::Authenticate,
        ssh::authenticate(&mut connection, &settings.username, credentials),
    )
    .await?;
    let remote = within(login, StepName::Authenticate, Remote::open(connection)).await?;
    let done = within(
        deadline,
        StepName::Write,
        remote.while_connected(async {
            let done = write(&remote, file, payload).await;
            if !matches!(done, Ok(Done::Written(_))) {
                // An earlier attempt may have left the temporary file too.
                remove_temporary(&remote, file).await;
            }
            done
        }),
    )
    .await;
    remote.end(deadline).await;
    done
}

async fn write(remote: &Remote, file: &File<'_>, payload: Payload) -> Result<Done, ConnectorError> {
    if let Some(done) = look_before(remote, file, payload.size_bytes()).await? {
        return Ok(done);
    }
    let handle = open(remote, file).await?;
    let written = remote.write(&handle, &file.temporary, payload).await?;
    match file.if_exists {
        IfExists::Replace => replace(remote, file, written).await,
        IfExists::Fail | IfExists::Skip => create(remote, file, written).await,
    }
}

/// Removes the temporary file, if the server permits it. One that stays is overwritten by the next
/// attempt. If it is a second name of the published file, that changes nothing, because every
/// attempt of a delivery writes the same bytes.
async fn remove_temporary(remote: &Remote, file: &File<'_>) {
    drop(timeout(CLEAN_UP_MAX, remote.remove(&file.temporary)).await);
}

/// Looks at the path before sending. Returns a result if nothing needs to be sent.
async fn look_before(
    remote: &Remote,
    file: &File<'_>,
    size_bytes: u64,
) -> Result<Option<Done>, ConnectorError> {
    if file.if_exists == IfExists::Replace {
        return Ok(None);
    }
    let found = remote.find(&file.location.path()).await?;
    match file.sha256 {
        // Whether the file is this delivery's is decided after the bytes have been read.
        None if may_be_same(found, size_bytes) => Ok(None),
        sha256 => settle_with(remote, file, found, size_bytes, sha256.unwrap_or_default()).await,
    }
}

/// Whether a payload of this size may have been written here. A server may not report a size.
fn may_be_same(found: Found, size_bytes: u64) -> bool {
    matches!(found, Found::File { size_bytes: found } if found.is_none_or(|found| found == size_bytes))
}

/// Decides the result when something exists at the file's path. Returns `None` if nothing does.
async fn settle_with(
    remote: &Remote,
    file: &File<'_>,
    found: Found,
    size_bytes: u64,
    sha256: &str,
) -> Result<Option<Done>, ConnectorError> {
    let path = file.location.path();
    let content = match found {
        Found::Nothing => Content::Gone,
        found if may_be_same(found, size_bytes) => {
            remote.compare(&path, size_bytes, sha256).await?
        }
        _ => Content::Other,
    };
    let detail = match (content, file.if_exists) {
        (Content::Gone, _) => return Ok(None),
        (Content::Same, _) => {
            return Ok(Some(Done::WasThere(WrittenFile {
                size_bytes,
                sha256: sha256.to_owned(),
            })));
        }
        (Content::Other, IfExists::Skip) => return Ok(Some(Done::Skipped)),
        (Content::Unreadable(_), IfExists::Skip) => return Ok(Some(Done::SkippedUnread)),
        (Content::Unreadable(failure), _) => unread(&path, &format!(" ({})", failure.detail())),
        (Content::Other, _) if found == Found::Directory => format!("{path} is a directory"),
        (Content::Other, _) => format!("{path} already exists and is another file"),
    };
    Err(ConnectorError::new(Outcome::ClientError(Reason::Rejected), detail).at(StepName::Write))
}

/// Describes a file that exists and cannot be read.
fn unread(path: &str, what: &str) -> String {
    format!(
        "{path} already exists{what}; it cannot be read, so whether it is this delivery's own is \
         not known"
    )
}

/// Opens the temporary file, and creates missing directories if that fails. Servers report a
/// missing directory with many codes, so any refusal leads to the attempt.
async fn open(remote: &Remote, file: &File<'_>) -> Result<String, ConnectorError> {
    let refused = match remote.open_for_writing(&file.temporary).await {
        Ok(handle) => return Ok(handle),
        Err(OpenError::Broken(failure)) => return Err(failure),
        Err(refused) => refused,
    };
    let directories = file.location.directories();
    if directories.is_empty() {
        return Err(refused.into_failure(&file.location.directory));
    }
    remote.make_directories(&directories).await?;
    let opened = remote.open_for_writing(&file.temporary).await;
    opened.map_err(|error| error.into_failure(&file.location.directory))
}

/// Gives the file its final name, over an existing file.
async fn replace(
    remote: &Remote,
    file: &File<'_>,
    written: WrittenFile,
) -> Result<Done, ConnectorError> {
    let path = file.location.path();
    let renamed = remote.rename_over(&file.temporary, &path, &file.aside);
    let Err(failure) = renamed.await else {
        return Ok(Done::Written(written));
    };
    let found = remote.find(&path).await?;
    match settle_with(remote, file, found, written.size_bytes, &written.sha256).await {
        Ok(Some(done)) => Ok(done),
        Err(settled) if found == Found::Directory => Err(settled),
        // The existing file may be replaced, so the server's refusal is the failure.
        Ok(None) | Err(_) => Err(failure),
    }
}

/// Gives the file its final name, if no other file has it. A hard link does this in one step.
/// Without one, a file that appears between the last look and the rename is replaced on servers
/// whose rename replaces files; the connection check warns about them.
async fn create(
    remote: &Remote,
    file: &File<'_>,
    written: WrittenFile,
) -> Result<Done, ConnectorError> {
    let path = file.location.path();
    if remote.link(&file.temporary, &path).await? {
        remove_temporary(remote, file).await;
        return Ok(Done::Written(written));
    }
    if let Some(done) = settle_existing(remote, file, &written).await? {
        return Ok(done);
    }
    let Err(failure) = remote.rename(&file.temporary, &path).await else {
        return Ok(Done::Written(written));
    };
    // A file has appeared at the path: another writer's, or one from a concurrent attempt of this
    // delivery.
    let settled = settle_existing(remote, file, &written).await?;
    settled.ok_or(failure)
}

/// Looks at the path after sending. Returns `None` if nothing exists there.
async fn settle_existing(
    remote: &Remote,
    file: &File<'_>,
    written: &WrittenFile,
) -> Result<Option<Done>, ConnectorError> {
    let found = remote.find(&file.location.path()).await?;
    settle_with(remote, file, found, written.size_bytes, &written.sha256).await
}
