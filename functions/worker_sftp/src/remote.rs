//! The server's file system, as SFTP version 3 and OpenSSH's extensions show it.

use std::collections::HashMap;

use aws_lc_rs::digest::{Context, SHA256};
use domain::Reason;
use domain::check::StepName;
use domain::settle::Outcome;
use futures_util::future::join_all;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use futures_util::{FutureExt as _, StreamExt as _};
use russh::ChannelMsg;
use russh::client::Handle;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::client::rawsession::SftpResult;
use russh_sftp::client::{Config, RawSftpSession};
use russh_sftp::protocol::{FileAttributes, OpenFlags, Packet, StatusCode};
use worker::{Payload, Unavailable};

use crate::failure::Failure;
use crate::ssh::Gate;

/// Requests under way at once. With one after the other a round trip of 50 ms allows half a megabyte a second; 64 fill the window of an SSH
/// channel, 2 MiB, and as many again keep it full while the server's answers are on their way.
const REQUESTS_MAX: usize = 128;
/// What every server takes in one request (draft-ietf-secsh-filexfer-02 §3), and what fits one SSH packet.
const REQUEST_BYTES: usize = 32 * 1024;
/// The attempt's deadline bounds every request; the library's own bound, 10 s, would fail a slow line with full pipes.
const REQUEST_SECONDS_MAX: u64 = 3600;

const POSIX_RENAME: &str = "posix-rename@openssh.com";
const FSYNC: &str = "fsync@openssh.com";

/// A signed-in user's view of the server's files. Dropping it ends the connection.
pub(crate) struct Remote {
    sftp: RawSftpSession,
    extensions: HashMap<String, String>,
    // Ends with the rest.
    _connection: Handle<Gate>,
}

/// What arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) size_bytes: u64,
    /// Lower-case hexadecimal.
    pub(crate) sha256: String,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    Directory,
    File { size_bytes: u64 },
}

impl Remote {
    /// Starts SFTP on a connection that is signed in.
    pub(crate) async fn open(connection: Handle<Gate>) -> Result<Self, Failure> {
        let broken = |error: russh::Error| Failure::ssh(StepName::Write, &error);
        let mut channel = connection.channel_open_session().await.map_err(broken)?;
        channel.request_subsystem(true, "sftp").await.map_err(broken)?;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => break,
                Some(ChannelMsg::Failure) => return Err(broken(russh::Error::RequestDenied)),
                None | Some(ChannelMsg::Close | ChannelMsg::Eof) => return Err(broken(russh::Error::Disconnect)),
                Some(_) => {}
            }
        }
        let config = Config { request_timeout_secs: REQUEST_SECONDS_MAX, ..Config::default() };
        let sftp = RawSftpSession::new_with_config(channel.into_stream(), config);
        let version = sftp.init().await.map_err(|error| Failure::sftp(&error, "starting SFTP"))?;
        Ok(Self { sftp, extensions: version.extensions, _connection: connection })
    }

    /// What is at a path.
    pub(crate) async fn find(&self, path: &str) -> Result<Found, Failure> {
        match self.sftp.stat(path).await {
            Ok(found) if found.attrs.is_dir() => Ok(Found::Directory),
            Ok(found) => Ok(Found::File { size_bytes: found.attrs.size.unwrap_or_default() }),
            Err(error) if is_status(&error, StatusCode::NoSuchFile) => Ok(Found::Nothing),
            Err(error) => Err(Failure::sftp(&error, &format!("looking at {path}"))),
        }
    }

    /// Makes the directories that are missing, the outermost first, all in one round trip. That one exists already, or may not be made, shows
    /// when a file is opened in it.
    pub(crate) async fn make_directories(&self, paths: &[String]) {
        join_all(paths.iter().map(|path| self.sftp.mkdir(path.as_str(), FileAttributes::empty()))).await;
    }

    /// Opens a file for writing; what is in it stays. `None`: its directory does not exist.
    pub(crate) async fn open_for_writing(&self, path: &str) -> Result<Option<String>, Failure> {
        match self.sftp.open(path, OpenFlags::CREATE | OpenFlags::WRITE, FileAttributes::empty()).await {
            Ok(opened) => Ok(Some(opened.handle)),
            Err(error) if is_status(&error, StatusCode::NoSuchFile) => Ok(None),
            Err(error) => Err(Failure::sftp(&error, &format!("opening {path}"))),
        }
    }

    /// Writes the payload from the file's beginning, many writes under way, and closes it with its size verified and its bytes on disk.
    pub(crate) async fn write(&self, handle: &str, payload: Payload) -> Result<Written, Failure> {
        let written = self.write_all(handle, payload).await?;
        let expected = written.size_bytes;
        let sync = async { if self.offers(FSYNC) { self.sftp.fsync(handle).await.map(drop) } else { Ok(()) } };
        // One round trip: the server answers in order.
        let (synced, found, closed) = futures_util::join!(sync, self.sftp.fstat(handle), self.sftp.close(handle));
        synced.map_err(|error| Failure::sftp(&error, "bringing the file to disk"))?;
        let size_bytes = found.map_err(|error| Failure::sftp(&error, "verifying the file's size"))?.attrs.size;
        closed.map_err(|error| Failure::sftp(&error, "closing the file"))?;
        // A server may leave the size out; every write was acknowledged all the same.
        if size_bytes.is_some_and(|size_bytes| size_bytes != expected) {
            let detail = format!("{expected} bytes were written, and the file on the server has {}", size_bytes.unwrap_or_default());
            return Err(Failure::new(StepName::Write, Outcome::Retry(Reason::ServerError), detail));
        }
        Ok(written)
    }

    async fn write_all(&self, handle: &str, mut payload: Payload) -> Result<Written, Failure> {
        let told = |error: SftpError| Failure::sftp(&error, "writing the file");
        let mut digest = Context::new(&SHA256);
        let mut under_way = FuturesUnordered::new();
        let mut offset = 0;
        let unread = |error: Unavailable| {
            tracing::warn!(%error, "a payload could not be read");
            Failure::new(StepName::Write, Outcome::Retry(Reason::Internal), "the payload could not be read")
        };
        while let Some(bytes) = payload.next().await.map_err(unread)? {
            for piece in bytes.chunks(REQUEST_BYTES) {
                if under_way.len() >= REQUESTS_MAX {
                    under_way.next().await.transpose().map_err(told)?;
                }
                under_way.push(self.sftp.write(handle, offset, piece.to_vec()));
                // A request leaves when it is first polled.
                under_way.next().now_or_never().flatten().transpose().map_err(told)?;
                digest.update(piece);
                offset += piece.len() as u64;
            }
        }
        while let Some(answer) = under_way.next().await {
            answer.map_err(told)?;
        }
        Ok(Written { size_bytes: offset, sha256: hexadecimal(digest) })
    }

    /// The SHA-256 of a file of this size, read with many requests under way. `None`: it is shorter than that.
    pub(crate) async fn sha256(&self, path: &str, size_bytes: u64) -> Result<Option<String>, Failure> {
        let told = |error: SftpError| Failure::sftp(&error, &format!("reading {path}"));
        let handle = self.sftp.open(path, OpenFlags::READ, FileAttributes::empty()).await.map_err(told)?.handle;
        let mut digest = Context::new(&SHA256);
        let mut under_way = FuturesOrdered::new();
        let mut asked = 0;
        let whole = loop {
            while asked < size_bytes && under_way.len() < REQUESTS_MAX {
                let length = (size_bytes - asked).min(REQUEST_BYTES as u64);
                under_way.push_back(self.read(&handle, asked, length as usize));
                asked += length;
            }
            match under_way.next().await {
                None => break true,
                Some(Ok(Some(bytes))) => digest.update(&bytes),
                Some(Ok(None)) => break false,
                Some(Err(error)) => return Err(told(error)),
            }
        };
        drop(under_way);
        self.sftp.close(&handle).await.map_err(told)?;
        Ok(whole.then(|| hexadecimal(digest)))
    }

    /// Exactly this many bytes, in as many reads as the server wants; `None` at the file's end.
    async fn read(&self, handle: &str, offset: u64, length: usize) -> SftpResult<Option<Vec<u8>>> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let missing = u32::try_from(length - bytes.len()).unwrap_or(u32::MAX);
            match self.sftp.read(handle, offset + bytes.len() as u64, missing).await {
                Ok(answer) if answer.data.is_empty() => return Ok(None),
                Ok(answer) => bytes.extend(answer.data),
                Err(error) if is_status(&error, StatusCode::Eof) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(bytes))
    }

    /// Renames, and fails when there is something at the new path: version 3's rename (draft-ietf-secsh-filexfer-02 §6.5).
    pub(crate) async fn rename(&self, from: &str, to: &str) -> Result<(), Failure> {
        self.sftp.rename(from, to).await.map(drop).map_err(|error| Failure::sftp(&error, &format!("renaming to {to}")))
    }

    /// Renames over whatever is at the new path, in one step where the server can. Where it cannot, there is a moment with neither file.
    pub(crate) async fn rename_over(&self, from: &str, to: &str) -> Result<(), Failure> {
        if self.offers(POSIX_RENAME) {
            let answer = self.sftp.extended(POSIX_RENAME, [string(from), string(to)].concat()).await;
            return answer.and_then(ok).map_err(|error| Failure::sftp(&error, &format!("renaming to {to}")));
        }
        if self.sftp.rename(from, to).await.is_ok() {
            return Ok(());
        }
        // Also when this fails, it is the second rename's answer that tells why.
        drop(self.sftp.remove(to).await);
        self.rename(from, to).await
    }

    /// Removes a file.
    pub(crate) async fn remove(&self, path: &str) -> Result<(), Failure> {
        self.sftp.remove(path).await.map(drop).map_err(|error| Failure::sftp(&error, &format!("removing {path}")))
    }

    fn offers(&self, extension: &str) -> bool {
        self.extensions.contains_key(extension)
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

/// A string as SSH writes it (RFC 4251 §5). Rendered paths are far shorter than 4 GiB.
fn string(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}

/// Lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut digest = Context::new(&SHA256);
    digest.update(bytes);
    hexadecimal(digest)
}

fn hexadecimal(digest: Context) -> String {
    digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
