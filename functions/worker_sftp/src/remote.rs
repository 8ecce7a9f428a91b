//! The server's file system, as SFTP version 3 and OpenSSH's extensions show it.

use std::collections::HashMap;

use aws_lc_rs::digest::{Context, SHA256};
use domain::Reason;
use domain::check::StepName;
use domain::receipt::WrittenFile;
use domain::settle::Outcome;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use futures_util::{FutureExt as _, StreamExt as _};
use russh::ChannelMsg;
use russh::client::Handle;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::client::rawsession::SftpResult;
use russh_sftp::client::{Config, RawSftpSession};
use russh_sftp::protocol::{FileAttributes, OpenFlags, Packet, StatusCode};
use tokio::sync::watch;
use worker::{ConnectorError, Payload};

use crate::ssh::Gate;
use crate::tolerant::TolerantStream;
use crate::verdict;

/// Requests under way at once. With one after the other a round trip of 50 ms allows half a megabyte a second; 64 fill the window of an SSH
/// channel, 2 MiB, and as many again keep it full while the server's answers are on their way.
const REQUESTS_MAX: usize = 128;
/// What every server takes in one request (draft-ietf-secsh-filexfer-02 §3), and what fits one SSH packet.
const REQUEST_BYTES: usize = 32 * 1024;
/// The attempt's deadline bounds every request; the library's own bound, 10 s, would fail a slow line with full pipes.
const REQUEST_SECONDS_MAX: u64 = 3600;

/// Appended to a path, it makes one where nothing exists.
const ABSENT: &str = ".waybill-absent";

const POSIX_RENAME: &str = "posix-rename@openssh.com";
const FSYNC: &str = "fsync@openssh.com";

/// A signed-in user's view of the server's files. Dropping it ends the connection.
pub(crate) struct Remote {
    sftp: RawSftpSession,
    /// Fails to receive once the library has let go of the channel.
    ended: watch::Receiver<()>,
    extensions: HashMap<String, String>,
    // Ends with the rest.
    _connection: Handle<Gate>,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    Directory,
    File { size_bytes: u64 },
}

/// Why a file could not be opened for writing.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The server says that the file or its directory does not exist.
    NoDirectory,
    /// The server refuses for another reason.
    Refused(ConnectorError),
    /// The session does not work.
    Broken(ConnectorError),
}

impl OpenError {
    /// The failure of an attempt that could not make the directory either.
    pub(crate) fn into_failure(self, directory: &str) -> ConnectorError {
        match self {
            Self::NoDirectory => {
                let outcome = Outcome::ClientError(Reason::Authorization);
                let detail = match directory {
                    "" => "the user's directory does not exist".to_owned(),
                    directory => {
                        format!("the directory {directory} does not exist and could not be made")
                    }
                };
                ConnectorError::new(outcome, detail).at(StepName::Write)
            }
            Self::Refused(failure) | Self::Broken(failure) => failure,
        }
    }
}

impl Remote {
    /// Starts SFTP on a connection that is signed in.
    pub(crate) async fn open(connection: Handle<Gate>) -> Result<Self, ConnectorError> {
        let broken = |error: russh::Error| verdict::of_ssh(StepName::Write, &error);
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
        let (stream, ended) = TolerantStream::new(channel.into_stream());
        let sftp = RawSftpSession::new_with_config(stream, config);
        let version = until_ended(ended.clone(), async { sftp.init().await.map_err(|error| verdict::of_sftp(&error, "starting SFTP")) });
        let extensions = version.await?.extensions;
        Ok(Self { sftp, ended, extensions, _connection: connection })
    }

    /// `work`, as long as the SFTP session lasts. A request that is sent while the library ends a broken
    /// session would otherwise wait for an answer until the attempt's deadline.
    pub(crate) async fn while_connected<T>(&self, work: impl Future<Output = Result<T, ConnectorError>>) -> Result<T, ConnectorError> {
        until_ended(self.ended.clone(), work).await
    }

    /// What is at a path.
    pub(crate) async fn find(&self, path: &str) -> Result<Found, ConnectorError> {
        match self.sftp.stat(path).await {
            Ok(found) if found.attrs.is_dir() => Ok(Found::Directory),
            Ok(found) => Ok(Found::File { size_bytes: found.attrs.size.unwrap_or_default() }),
            Err(error) if is_status(&error, StatusCode::NoSuchFile) => Ok(Found::Nothing),
            // Some servers report a missing file as a failure: they report one as well for a name that
            // certainly does not exist.
            Err(error) if is_status(&error, StatusCode::Failure) => match self.sftp.stat(format!("{path}{ABSENT}")).await {
                Err(absent) if is_status(&absent, StatusCode::Failure) => Ok(Found::Nothing),
                _ => Err(verdict::of_sftp(&error, &format!("looking at {path}"))),
            },
            Err(error) => Err(verdict::of_sftp(&error, &format!("looking at {path}"))),
        }
    }

    /// Makes the directories that are missing, the outermost first, and returns those that it made.
    /// A directory that exists is refused by every server with a code of its own, so a refusal shows only
    /// when a file is opened in it.
    pub(crate) async fn make_directories(&self, paths: &[String]) -> Result<Vec<String>, ConnectorError> {
        let mut made = Vec::new();
        for path in paths {
            match self.sftp.mkdir(path.as_str(), FileAttributes::empty()).await {
                Ok(_) => made.push(path.clone()),
                Err(SftpError::Status(_)) => {}
                Err(error) => return Err(verdict::of_sftp(&error, &format!("making {path}"))),
            }
        }
        Ok(made)
    }

    /// Makes one directory.
    pub(crate) async fn make_directory(&self, path: &str) -> Result<(), ConnectorError> {
        let made = self.sftp.mkdir(path, FileAttributes::empty()).await;
        made.map(drop).map_err(|error| verdict::of_sftp(&error, &format!("making {path}")))
    }

    /// Removes an empty directory.
    pub(crate) async fn remove_directory(&self, path: &str) -> Result<(), ConnectorError> {
        let removed = self.sftp.rmdir(path).await;
        removed.map(drop).map_err(|error| verdict::of_sftp(&error, &format!("removing {path}")))
    }

    /// Opens a file for writing and keeps what is in it.
    pub(crate) async fn open_for_writing(&self, path: &str) -> Result<String, OpenError> {
        let flags = OpenFlags::CREATE | OpenFlags::WRITE;
        match self.sftp.open(path, flags, FileAttributes::empty()).await {
            Ok(opened) => Ok(opened.handle),
            Err(error) => {
                let failure = verdict::of_sftp(&error, &format!("opening {path}"));
                Err(match error {
                    SftpError::Status(status) if status.status_code == StatusCode::NoSuchFile => OpenError::NoDirectory,
                    SftpError::Status(_) => OpenError::Refused(failure),
                    _ => OpenError::Broken(failure),
                })
            }
        }
    }

    /// Writes the payload from the file's beginning, many writes under way, and closes it with its size
    /// verified and its bytes on disk.
    pub(crate) async fn write(&self, handle: &str, path: &str, payload: Payload) -> Result<WrittenFile, ConnectorError> {
        let written = self.write_all(handle, payload).await?;
        let sync = async { if self.offers(FSYNC) { self.sftp.fsync(handle).await.map(drop) } else { Ok(()) } };
        // One round trip: the server answers in order.
        let (synced, found, closed) = futures_util::join!(sync, self.sftp.fstat(handle), self.sftp.close(handle));
        match synced {
            // Offered and not supported: every write was acknowledged all the same.
            Err(error) if is_status(&error, StatusCode::OpUnsupported) => {}
            synced => synced.map_err(|error| verdict::of_sftp(&error, "bringing the file to disk"))?,
        }
        closed.map_err(|error| verdict::of_sftp(&error, "closing the file"))?;
        self.verify(path, found.map(|found| found.attrs.size), written.size_bytes).await?;
        Ok(written)
    }

    /// Compares the size on the server with what was written. Some servers cannot say it for an open file,
    /// or say 0 until it is closed: those are asked by its name. Where there is no answer either, the
    /// acknowledgements count, because every write had one.
    async fn verify(&self, path: &str, open: SftpResult<Option<u64>>, expected: u64) -> Result<(), ConnectorError> {
        match open {
            Ok(Some(size_bytes)) if size_bytes == expected => return Ok(()),
            Ok(_) | Err(SftpError::Status(_)) => {}
            Err(error) => return Err(verdict::of_sftp(&error, "verifying the file's size")),
        }
        match self.sftp.stat(path).await.map(|found| found.attrs.size) {
            Ok(Some(size_bytes)) if size_bytes != expected => {
                let detail = format!("{expected} bytes were written, and the file on the server has {size_bytes}");
                Err(ConnectorError::new(Outcome::Retry(Reason::ServerError), detail).at(StepName::Write))
            }
            Ok(_) | Err(SftpError::Status(_)) => Ok(()),
            Err(error) => Err(verdict::of_sftp(&error, "verifying the file's size")),
        }
    }

    async fn write_all(&self, handle: &str, mut payload: Payload) -> Result<WrittenFile, ConnectorError> {
        let told = |error: SftpError| verdict::of_sftp(&error, "writing the file");
        let mut digest = Context::new(&SHA256);
        let mut under_way = FuturesUnordered::new();
        let mut offset = 0;
        while let Some(bytes) = payload.next().await? {
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
        Ok(WrittenFile { size_bytes: offset, sha256: hexadecimal(digest) })
    }

    /// The SHA-256 of a file of this size, read with many requests under way. `None`: it is shorter than that.
    pub(crate) async fn sha256(&self, path: &str, size_bytes: u64) -> Result<Option<String>, ConnectorError> {
        let told = |error: SftpError| verdict::of_sftp(&error, &format!("reading {path}"));
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
    pub(crate) async fn rename(&self, from: &str, to: &str) -> Result<(), ConnectorError> {
        self.sftp.rename(from, to).await.map(drop).map_err(|error| verdict::of_sftp(&error, &format!("renaming to {to}")))
    }

    /// Renames over whatever is at the new path, in one step where the server can. Where it cannot, the old
    /// file is renamed to `aside` first and comes back when the new one is refused: it is never lost.
    pub(crate) async fn rename_over(&self, from: &str, to: &str, aside: &str) -> Result<(), ConnectorError> {
        if self.offers(POSIX_RENAME) {
            let answer = self.sftp.extended(POSIX_RENAME, [string(from), string(to)].concat()).await;
            match answer.and_then(ok) {
                Ok(()) => return Ok(()),
                // Offered and not supported.
                Err(error) if is_status(&error, StatusCode::OpUnsupported) => {}
                Err(error) => return Err(verdict::of_sftp(&error, &format!("renaming to {to}"))),
            }
        }
        let Err(refused) = self.rename(from, to).await else {
            // An attempt that a crash ended between the renames left the old file under the other name.
            drop(self.sftp.remove(aside).await);
            return Ok(());
        };
        if !matches!(self.find(to).await?, Found::File { .. }) {
            return Err(refused);
        }
        // A leftover of an attempt that a crash ended between the renames.
        drop(self.sftp.remove(aside).await);
        self.rename(to, aside).await?;
        if let Err(refused) = self.rename(from, to).await {
            self.rename(aside, to).await?;
            return Err(refused);
        }
        // The new file is in place; an old one that may not be removed stays under the other name.
        drop(self.sftp.remove(aside).await);
        Ok(())
    }

    /// Removes a file.
    pub(crate) async fn remove(&self, path: &str) -> Result<(), ConnectorError> {
        self.sftp.remove(path).await.map(drop).map_err(|error| verdict::of_sftp(&error, &format!("removing {path}")))
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
        // Answers that arrived before the end count.
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
    hex::encode(digest.finish())
}
