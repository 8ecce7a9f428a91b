//! The server's file system through SFTP version 3 and OpenSSH's extensions.

use std::collections::HashMap;

use aws_lc_rs::digest::{Context, SHA256};
use domain::Reason;
use domain::check::StepName;
use domain::receipt::WrittenFile;
use domain::settle::Outcome;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use futures_util::{FutureExt as _, StreamExt as _};
use russh::ChannelMsg;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::client::rawsession::SftpResult;
use russh_sftp::client::{Config, RawSftpSession};
use russh_sftp::protocol::{FileAttributes, OpenFlags, Packet, StatusCode};
use tokio::sync::watch;
use tokio::time::Instant;
use worker::{ConnectorError, Payload};

use crate::ssh::Connection;
use crate::tolerant::TolerantStream;
use crate::verdict;

/// How many requests are under way at once. One at a time, a round trip of 50 ms allows half a
/// megabyte per second. 64 fill the window of an SSH channel, 2 MiB; as many again keep it full
/// while the answers are on their way.
const REQUESTS_MAX: usize = 128;
/// The bytes of one request: what every server accepts (draft-ietf-secsh-filexfer-02 §3) and what
/// fits into one SSH packet.
const REQUEST_BYTES: usize = 32 * 1024;
/// The library's time limit for a request. The attempt's deadline ends requests earlier; the
/// library's default of 10 s would fail a slow line.
const REQUEST_SECONDS_MAX: u64 = 3600;

/// Appended to a path, it gives the path of a file that does not exist.
const ABSENT: &str = ".waybill-absent";

const POSIX_RENAME: &str = "posix-rename@openssh.com";
const FSYNC: &str = "fsync@openssh.com";
const HARDLINK: &str = "hardlink@openssh.com";

/// The file system of a signed-in user. Dropping it closes the connection without waiting for the
/// server.
pub(crate) struct Remote {
    sftp: RawSftpSession,
    /// Returns an error once the library has dropped the channel.
    ended: watch::Receiver<()>,
    extensions: HashMap<String, String>,
    connection: Connection,
}

/// What exists at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    Directory,
    /// A file, and its size if the server reports one.
    File {
        size_bytes: Option<u64>,
    },
}

/// How an existing file compares with a payload.
#[derive(Debug)]
pub(crate) enum Content {
    /// The file has exactly the payload's bytes.
    Same,
    /// The file has other bytes.
    Other,
    /// The file has disappeared since it was found.
    Gone,
    /// The server refuses to let this user read the file.
    Unreadable(ConnectorError),
}

/// Why a file could not be opened for writing.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The server reports that the file or its directory does not exist.
    NoDirectory,
    /// The server refuses for another reason.
    Refused(ConnectorError),
    /// The session is broken.
    Broken(ConnectorError),
}

impl OpenError {
    /// Returns the failure of an attempt that could not create the directory either.
    pub(crate) fn into_failure(self, directory: &str) -> ConnectorError {
        match self {
            Self::NoDirectory => {
                let outcome = Outcome::ClientError(Reason::Authorization);
                let detail = match directory {
                    "" => "the user's directory does not exist".to_owned(),
                    directory => {
                        format!("the directory {directory} does not exist and could not be created")
                    }
                };
                ConnectorError::new(outcome, detail).at(StepName::Write)
            }
            Self::Refused(failure) | Self::Broken(failure) => failure,
        }
    }
}

impl Remote {
    /// Starts SFTP on a signed-in connection.
    pub(crate) async fn open(connection: Connection) -> Result<Self, ConnectorError> {
        let broken = |error: russh::Error| verdict::of_ssh(StepName::Write, &error);
        let mut channel = connection
            .handle
            .channel_open_session()
            .await
            .map_err(broken)?;
        channel
            .request_subsystem(true, "sftp")
            .await
            .map_err(broken)?;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => break,
                Some(ChannelMsg::Failure) => return Err(broken(russh::Error::RequestDenied)),
                None | Some(ChannelMsg::Close | ChannelMsg::Eof) => {
                    return Err(broken(russh::Error::Disconnect));
                }
                Some(_) => {}
            }
        }
        let config = Config {
            request_timeout_secs: REQUEST_SECONDS_MAX,
            ..Config::default()
        };
        let (stream, ended) = TolerantStream::new(channel.into_stream());
        let sftp = RawSftpSession::new_with_config(stream, config);
        let version = until_ended(ended.clone(), async {
            sftp.init()
                .await
                .map_err(|error| verdict::of_sftp(&error, "starting SFTP"))
        });
        let extensions = version.await?.extensions;
        Ok(Self {
            sftp,
            ended,
            extensions,
            connection,
        })
    }

    /// Ends the session; see [`Connection::end`].
    pub(crate) async fn end(self, deadline: Instant) {
        drop(self.sftp);
        self.connection.end(deadline).await;
    }

    /// Runs `work` until the SFTP session ends. Without this, a request that is sent while the
    /// library closes a broken session would wait until the attempt's deadline.
    pub(crate) async fn while_connected<T>(
        &self,
        work: impl Future<Output = Result<T, ConnectorError>>,
    ) -> Result<T, ConnectorError> {
        until_ended(self.ended.clone(), work).await
    }

    /// Returns what exists at a path.
    pub(crate) async fn find(&self, path: &str) -> Result<Found, ConnectorError> {
        match self.sftp.stat(path).await {
            Ok(found) if found.attrs.is_dir() => Ok(Found::Directory),
            Ok(found) => Ok(Found::File {
                size_bytes: found.attrs.size,
            }),
            Err(error) if is_status(&error, StatusCode::NoSuchFile) => Ok(Found::Nothing),
            // Some servers report a missing file as a failure. They report the same for a name that
            // certainly does not exist.
            Err(error) if is_status(&error, StatusCode::Failure) => {
                match self.sftp.stat(format!("{path}{ABSENT}")).await {
                    Err(absent) if is_status(&absent, StatusCode::Failure) => Ok(Found::Nothing),
                    _ => Err(verdict::of_sftp(
                        &error,
                        &format!("reading the attributes of {path}"),
                    )),
                }
            }
            Err(error) => Err(verdict::of_sftp(
                &error,
                &format!("reading the attributes of {path}"),
            )),
        }
    }

    /// Creates the missing directories, the outermost first, and returns those that it created.
    /// Servers refuse a directory that exists with different codes, so refusals are ignored here
    /// and show when a file is opened in the directory.
    pub(crate) async fn make_directories(
        &self,
        paths: &[String],
    ) -> Result<Vec<String>, ConnectorError> {
        let mut made = Vec::new();
        for path in paths {
            match self
                .sftp
                .mkdir(path.as_str(), FileAttributes::empty())
                .await
            {
                Ok(_) => made.push(path.clone()),
                Err(SftpError::Status(_)) => {}
                Err(error) => return Err(verdict::of_sftp(&error, &format!("creating {path}"))),
            }
        }
        Ok(made)
    }

    /// Creates one directory in an existing one.
    pub(crate) async fn make_directory(&self, path: &str) -> Result<(), ConnectorError> {
        let made = self.sftp.mkdir(path, FileAttributes::empty()).await;
        made.map(drop)
            .map_err(|error| verdict::of_sftp(&error, &format!("creating {path}")))
    }

    /// Removes an empty directory.
    pub(crate) async fn remove_directory(&self, path: &str) -> Result<(), ConnectorError> {
        let removed = self.sftp.rmdir(path).await;
        removed
            .map(drop)
            .map_err(|error| verdict::of_sftp(&error, &format!("removing {path}")))
    }

    /// Opens a file for writing and keeps its content.
    pub(crate) async fn open_for_writing(&self, path: &str) -> Result<String, OpenError> {
        let flags = OpenFlags::CREATE | OpenFlags::WRITE;
        match self.sftp.open(path, flags, FileAttributes::empty()).await {
            Ok(opened) => Ok(opened.handle),
            Err(error) => {
                let failure = verdict::of_sftp(&error, &format!("opening {path}"));
                Err(match error {
                    SftpError::Status(status) if status.status_code == StatusCode::NoSuchFile => {
                        OpenError::NoDirectory
                    }
                    SftpError::Status(_) => OpenError::Refused(failure),
                    _ => OpenError::Broken(failure),
                })
            }
        }
    }

    /// Writes the payload from the beginning of the file, with many writes under way. Brings it to
    /// disk, verifies its size and closes it.
    pub(crate) async fn write(
        &self,
        handle: &str,
        path: &str,
        payload: Payload,
    ) -> Result<WrittenFile, ConnectorError> {
        let written = self.write_all(handle, payload).await?;
        let sync = async {
            if self.offers(FSYNC) {
                self.sftp.fsync(handle).await.map(drop)
            } else {
                Ok(())
            }
        };
        // One round trip, because the server answers in order.
        let (synced, found, closed) =
            futures_util::join!(sync, self.sftp.fstat(handle), self.sftp.close(handle));
        match synced {
            // The server offers fsync but does not support it. Every write was acknowledged.
            Err(error) if is_status(&error, StatusCode::OpUnsupported) => {}
            synced => {
                synced.map_err(|error| verdict::of_sftp(&error, "flushing the file to disk"))?
            }
        }
        closed.map_err(|error| verdict::of_sftp(&error, "closing the file"))?;
        self.verify(
            path,
            found.map(|found| found.attrs.size),
            written.size_bytes,
        )
        .await?;
        Ok(written)
    }

    /// Compares the size on the server with the number of bytes written. Some servers do not report
    /// the size of an open file, or report 0 until it is closed; then the size is read by name. If
    /// that fails too, the acknowledgements of the writes count.
    async fn verify(
        &self,
        path: &str,
        open: SftpResult<Option<u64>>,
        expected: u64,
    ) -> Result<(), ConnectorError> {
        match open {
            Ok(Some(size_bytes)) if size_bytes == expected => return Ok(()),
            Ok(_) | Err(SftpError::Status(_)) => {}
            Err(error) => return Err(verdict::of_sftp(&error, "verifying the file's size")),
        }
        match self.sftp.stat(path).await.map(|found| found.attrs.size) {
            Ok(Some(size_bytes)) if size_bytes != expected => {
                let detail = format!(
                    "{expected} bytes were written, and the file on the server has {size_bytes}"
                );
                Err(
                    ConnectorError::new(Outcome::Retry(Reason::ServerError), detail)
                        .at(StepName::Write),
                )
            }
            Ok(_) | Err(SftpError::Status(_)) => Ok(()),
            Err(error) => Err(verdict::of_sftp(&error, "verifying the file's size")),
        }
    }

    async fn write_all(
        &self,
        handle: &str,
        mut payload: Payload,
    ) -> Result<WrittenFile, ConnectorError> {
        let write_error = |error: SftpError| verdict::of_sftp(&error, "writing the file");
        let mut digest = Context::new(&SHA256);
        let mut under_way = FuturesUnordered::new();
        let mut offset = 0;
        while let Some(bytes) = payload.next().await? {
            for piece in bytes.chunks(REQUEST_BYTES) {
                if under_way.len() >= REQUESTS_MAX {
                    under_way.next().await.transpose().map_err(write_error)?;
                }
                under_way.push(self.sftp.write(handle, offset, piece.to_vec()));
                // A request is sent when it is first polled.
                under_way
                    .next()
                    .now_or_never()
                    .flatten()
                    .transpose()
                    .map_err(write_error)?;
                digest.update(piece);
                offset += piece.len() as u64;
            }
        }
        while let Some(answer) = under_way.next().await {
            answer.map_err(write_error)?;
        }
        Ok(WrittenFile {
            size_bytes: offset,
            sha256: hexadecimal(digest),
        })
    }

    /// Compares an existing file with a payload of this size and SHA-256.
    pub(crate) async fn compare(
        &self,
        path: &str,
        size_bytes: u64,
        sha256: &str,
    ) -> Result<Content, ConnectorError> {
        let read = async {
            let handle = self
                .sftp
                .open(path, OpenFlags::READ, FileAttributes::empty())
                .await?
                .handle;
            let found = self.sha256(&handle, size_bytes).await?;
            self.sftp.close(&handle).await?;
            Ok::<_, SftpError>(found)
        };
        let error = match read.await {
            Ok(found) if found.as_deref() == Some(sha256) => return Ok(Content::Same),
            Ok(_) => return Ok(Content::Other),
            Err(error) => error,
        };
        let failure = verdict::of_sftp(&error, &format!("reading {path}"));
        match error {
            SftpError::Status(status) if status.status_code == StatusCode::NoSuchFile => {
                Ok(Content::Gone)
            }
            SftpError::Status(status)
                if matches!(
                    status.status_code,
                    StatusCode::PermissionDenied | StatusCode::OpUnsupported
                ) =>
            {
                Ok(Content::Unreadable(failure))
            }
            _ => Err(failure),
        }
    }

    /// Returns the SHA-256 of an open file, read with many requests under way, or `None` if the
    /// file does not have exactly this size. Sizes in attributes are not relied on, because some
    /// servers report none or a wrong one.
    async fn sha256(&self, handle: &str, size_bytes: u64) -> SftpResult<Option<String>> {
        let mut digest = Context::new(&SHA256);
        let mut under_way = FuturesOrdered::new();
        let mut asked = 0;
        loop {
            while asked < size_bytes && under_way.len() < REQUESTS_MAX {
                let length = (size_bytes - asked).min(REQUEST_BYTES as u64);
                under_way.push_back(self.read(handle, asked, length as usize));
                asked += length;
            }
            match under_way.next().await.transpose()? {
                None => break,
                Some(Some(bytes)) => digest.update(&bytes),
                Some(None) => return Ok(None),
            }
        }
        let is_longer = self.read(handle, size_bytes, 1).await?.is_some();
        Ok((!is_longer).then(|| hexadecimal(digest)))
    }

    /// Reads exactly `length` bytes, in as many requests as the server requires. Returns `None` at
    /// the end of the file.
    async fn read(&self, handle: &str, offset: u64, length: usize) -> SftpResult<Option<Vec<u8>>> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let missing = u32::try_from(length - bytes.len()).unwrap_or(u32::MAX);
            match self
                .sftp
                .read(handle, offset + bytes.len() as u64, missing)
                .await
            {
                Ok(answer) if answer.data.is_empty() => return Ok(None),
                Ok(answer) => bytes.extend(answer.data),
                Err(error) if is_status(&error, StatusCode::Eof) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(bytes))
    }

    /// Gives a file a second name, which never replaces an existing file. Returns `false` if the
    /// server does not offer hard links or refuses this one. Version 3 has no code that
    /// distinguishes an existing name from a file system without hard links.
    pub(crate) async fn link(&self, from: &str, to: &str) -> Result<bool, ConnectorError> {
        if !self.offers(HARDLINK) {
            return Ok(false);
        }
        match self.sftp.hardlink(from, to).await {
            Ok(_) => Ok(true),
            Err(SftpError::Status(_)) => Ok(false),
            Err(error) => Err(verdict::of_sftp(&error, &format!("linking to {to}"))),
        }
    }

    /// Renames a file. Version 3's rename fails if the new path exists
    /// (draft-ietf-secsh-filexfer-02 §6.5), but several servers replace the existing file.
    pub(crate) async fn rename(&self, from: &str, to: &str) -> Result<(), ConnectorError> {
        self.sftp
            .rename(from, to)
            .await
            .map(drop)
            .map_err(|error| verdict::of_sftp(&error, &format!("renaming to {to}")))
    }

    /// Renames a file over an existing one, in one step if the server can. Otherwise the old file
    /// is first renamed to `aside`, and renamed back if the new file is refused, so that it is
    /// never lost.
    pub(crate) async fn rename_over(
        &self,
        from: &str,
        to: &str,
        aside: &str,
    ) -> Result<(), ConnectorError> {
        if self.offers(POSIX_RENAME) {
            let answer = self
                .sftp
                .extended(POSIX_RENAME, [string(from), string(to)].concat())
                .await;
            match answer.and_then(ok) {
                Ok(()) => return Ok(()),
                // The server offers the extension but does not support it.
                Err(error) if is_status(&error, StatusCode::OpUnsupported) => {}
                Err(error) => return Err(verdict::of_sftp(&error, &format!("renaming to {to}"))),
            }
        }
        let Err(refused) = self.rename(from, to).await else {
            // An attempt that crashed between the renames may have left the old file under this
            // name.
            drop(self.sftp.remove(aside).await);
            return Ok(());
        };
        if !matches!(self.find(to).await?, Found::File { .. }) {
            return Err(refused);
        }
        // An attempt that crashed between the renames may have left a file under this name.
        drop(self.sftp.remove(aside).await);
        self.rename(to, aside).await?;
        if let Err(refused) = self.rename(from, to).await {
            self.rename(aside, to).await?;
            return Err(refused);
        }
        // The new file is in place. If the old one cannot be removed, it stays under this name.
        drop(self.sftp.remove(aside).await);
        Ok(())
    }

    /// Removes a file by its path.
    pub(crate) async fn remove(&self, path: &str) -> Result<(), ConnectorError> {
        self.sftp
            .remove(path)
            .await
            .map(drop)
            .map_err(|error| verdict::of_sftp(&error, &format!("removing {path}")))
    }

    fn offers(&self, extension: &str) -> bool {
        self.extensions.contains_key(extension)
    }
}

async fn until_ended<T>(
    mut ended: watch::Receiver<()>,
    work: impl Future<Output = Result<T, ConnectorError>>,
) -> Result<T, ConnectorError> {
    tokio::select! {
        // Answers that arrived before the end are used.
        biased;
        result = work => result,
        _ = ended.changed() => {
            let error = SftpError::UnexpectedBehavior("session closed".to_owned());
            Err(verdict::of_sftp(&error, "waiting for the server's answer"))
        }
    }
}

fn is_status(error: &SftpError, code: StatusCode) -> bool {
    matches!(error, SftpError::Status(status) if status.status_code == code)
}

fn ok(answer: Packet) -> SftpResult<()> {
    match answer {
        Packet::Status(status) if status.status_code == StatusCode::Ok => Ok(()),
        Packet::Status(status) => Err(SftpError::Status(status)),
        _ => Err(SftpError::UnexpectedPacket),
    }
}

/// Encodes a string as SSH does (RFC 4251 §5). Rendered paths are far shorter than 4 GiB.
fn string(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}

/// Returns the SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut digest = Context::new(&SHA256);
    digest.update(bytes);
    hexadecimal(digest)
}

fn hexadecimal(digest: Context) -> String {
    hex::encode(digest.finish())
}
