//! The SFTP server of the demo, with one account and one folder of files.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::Random;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{HashAlg, PrivateKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Msg, Session, run_stream};
use russh::{Channel, ChannelId};
use russh_sftp::protocol::{Attrs, Data, FileAttributes, Handle, OpenFlags, Status, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;

use super::{Destination, within};

/// The name of the account.
const USERNAME: &str = "demo";
/// How long a connection may be idle.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// A server that has not been started, with a new host key and password.
pub(super) struct Server {
    key: PrivateKey,
    password: String,
    folder: PathBuf,
}

impl Server {
    pub(super) fn new(folder: PathBuf, password: String, random: &Random) -> Self {
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&random.bytes()));
        Self {
            key,
            password,
            folder,
        }
    }

    /// Returns the destination of this server, once it listens at `address`.
    pub(super) fn destination(&self, address: SocketAddr) -> Destination {
        let host_key = self
            .key
            .public_key()
            .fingerprint(HashAlg::Sha256)
            .to_string();
        let settings = json!({"host": address.ip(), "port": address.port(), "username": USERNAME,
            "host_key": host_key,
            "directory_template": "{{ event_type }}",
            "filename_template": "{{ message_id }}.json"});
        let credentials = json!({"kind": "password", "password": self.password});
        Destination::new(
            "files",
            "Demo: an SFTP server",
            json!({"type": "sftp", "settings": settings, "credentials": credentials}),
        )
    }

    /// Serves connections until it is dropped.
    pub(super) async fn serve(self, listener: TcpListener) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let config = Arc::new(Config {
            keys: vec![self.key],
            inactivity_timeout: Some(IDLE_MAX),
            ..Config::default()
        });
        loop {
            let (stream, _) = listener.accept().await?;
            let visitor = Visitor {
                password: self.password.clone(),
                folder: self.folder.clone(),
                channels: HashMap::new(),
            };
            let session = run_stream(config.clone(), stream, visitor);
            tokio::spawn(async move {
                match session.await {
                    Ok(running) => drop(running.await),
                    Err(error) => tracing::debug!(%error, "an SSH connection to the demo failed"),
                }
            });
        }
    }
}

/// A connection to the server.
struct Visitor {
    password: String,
    folder: PathBuf,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl russh::server::Handler for Visitor {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(if user == USERNAME && password == self.password {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.close(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.channels.remove(&channel) {
            Some(opened) if name == "sftp" => {
                session.channel_success(channel)?;
                let files = Files {
                    folder: self.folder.clone(),
                    open: HashMap::new(),
                    opened: 0,
                };
                russh_sftp::server::run(opened.into_stream(), files).await;
                Ok(())
            }
            _ => session.channel_failure(channel),
        }
    }
}

/// The files of a session, and its open handles (draft-ietf-secsh-filexfer-02).
struct Files {
    folder: PathBuf,
    open: HashMap<String, File>,
    opened: u64,
}

impl Files {
    fn path(&self, path: &str) -> Result<PathBuf, StatusCode> {
        within(&self.folder, path).ok_or(StatusCode::PermissionDenied)
    }

    fn file(&self, handle: &str) -> Result<&File, StatusCode> {
        self.open.get(handle).ok_or(StatusCode::Failure)
    }
}

/// File operations are short and local, so they run synchronously.
impl russh_sftp::server::Handler for Files {
    type Error = StatusCode;

    fn unimplemented(&self) -> Self::Error {
        StatusCode::OpUnsupported
    }

    async fn open(
        &mut self,
        id: u32,
        path: String,
        flags: OpenFlags,
        _: FileAttributes,
    ) -> Result<Handle, Self::Error> {
        let mut options = OpenOptions::new();
        options
            .read(flags.contains(OpenFlags::READ))
            .write(flags.contains(OpenFlags::WRITE));
        options
            .truncate(flags.contains(OpenFlags::TRUNCATE))
            .create(flags.contains(OpenFlags::CREATE));
        let file = options.open(self.path(&path)?).map_err(status_code)?;
        self.opened += 1;
        let handle = self.opened.to_string();
        self.open.insert(handle.clone(), file);
        Ok(Handle { id, handle })
    }

    async fn close(&mut self, id: u32, handle: String) -> Result<Status, Self::Error> {
        self.open
            .remove(&handle)
            .map(|_| done(id))
            .ok_or(StatusCode::Failure)
    }

    async fn read(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        length: u32,
    ) -> Result<Data, Self::Error> {
        let mut data = vec![0; usize::try_from(length.min(1 << 18)).unwrap_or_default()];
        let read = self
            .file(&handle)?
            .read_at(&mut data, offset)
            .map_err(status_code)?;
        data.truncate(read);
        if data.is_empty() {
            Err(StatusCode::Eof)
        } else {
            Ok(Data { id, data })
        }
    }

    async fn write(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        data: Vec<u8>,
    ) -> Result<Status, Self::Error> {
        self.file(&handle)?
            .write_all_at(&data, offset)
            .map_err(status_code)?;
        Ok(done(id))
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Result<Attrs, Self::Error> {
        Ok(Attrs {
            id,
            attrs: FileAttributes::from(&self.file(&handle)?.metadata().map_err(status_code)?),
        })
    }

    async fn stat(&mut self, id: u32, path: String) -> Result<Attrs, Self::Error> {
        Ok(Attrs {
            id,
            attrs: FileAttributes::from(&fs::metadata(self.path(&path)?).map_err(status_code)?),
        })
    }

    async fn mkdir(
        &mut self,
        id: u32,
        path: String,
        _: FileAttributes,
    ) -> Result<Status, Self::Error> {
        fs::create_dir(self.path(&path)?).map_err(status_code)?;
        Ok(done(id))
    }

    async fn remove(&mut self, id: u32, path: String) -> Result<Status, Self::Error> {
        fs::remove_file(self.path(&path)?).map_err(status_code)?;
        Ok(done(id))
    }

    /// Fails if the new path exists (§6.5).
    async fn rename(&mut self, id: u32, from: String, to: String) -> Result<Status, Self::Error> {
        let (from, to) = (self.path(&from)?, self.path(&to)?);
        fs::hard_link(&from, to).map_err(status_code)?;
        fs::remove_file(from).map_err(status_code)?;
        Ok(done(id))
    }
}

fn done(id: u32) -> Status {
    Status {
        id,
        status_code: StatusCode::Ok,
        error_message: String::new(),
        language_tag: String::new(),
    }
}

fn status_code(error: io::Error) -> StatusCode {
    match error.kind() {
        ErrorKind::NotFound => StatusCode::NoSuchFile,
        ErrorKind::PermissionDenied => StatusCode::PermissionDenied,
        _ => StatusCode::Failure,
    }
}
