//! Opens an SSH connection: connects through `egress`, checks the host key and signs in. No secret
//! is sent before the key is checked.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use domain::Reason;
use domain::check::StepName;
use domain::settings::sftp::{HostKey, HostKeys, SftpSettings};
use domain::settle::Outcome;
use egress::{Guard, Host};
use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::ssh_key::EcdsaCurve;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{
    AlgorithmKind, Disconnect, MethodKind, MethodSet, Preferred, SshId, cipher, compression,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use worker::ConnectorError;

use crate::credentials::{Credentials, read_key};
use crate::verdict::{self, within};

/// How many times a server may ask questions: for a password, for a new password, for a second
/// factor.
const QUESTIONS_MAX: usize = 5;
/// The ciphers in order of preference. AES-GCM is several times faster than ChaCha20 on processors
/// that support it, as those of Lambda do.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// How long a server may take to close a connection that Waybill has closed.
const END_MAX: Duration = Duration::from_secs(5);
/// The same when the time of the attempt is over.
const END_MIN: Duration = Duration::from_secs(1);

/// The types of host keys, the preferred one first.
pub(crate) fn host_key_types() -> Vec<Algorithm> {
    let ecdsa = |curve| Algorithm::Ecdsa { curve };
    vec![
        Algorithm::Ed25519,
        ecdsa(EcdsaCurve::NistP256),
        ecdsa(EcdsaCurve::NistP384),
        ecdsa(EcdsaCurve::NistP521),
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha512),
        },
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha256),
        },
    ]
}

/// Whether a key is of this type, regardless of the hash that an RSA key signs with.
pub(crate) fn is_of_type(key: &PublicKey, algorithm: &Algorithm) -> bool {
    matches!(
        (key.algorithm(), algorithm),
        (Algorithm::Rsa { .. }, Algorithm::Rsa { .. })
    ) || key.algorithm() == *algorithm
}

/// Which host keys are trusted.
#[derive(Clone, Debug)]
pub(crate) enum Trust {
    /// Only the pinned keys are trusted.
    Pinned(HostKeys),
    /// None. The connection ends once the key is known.
    NoCredentials,
}

/// The result of a handshake that did not fail.
pub(crate) enum Handshake {
    /// The host key is trusted.
    Trusted(Connection),
    /// The server presented this key, which is not trusted.
    Untrusted(PublicKey),
    /// The server has no key of the requested types.
    NoSuchKey,
}

/// Accepts connections whose host key is trusted.
pub(crate) struct Gate {
    trust: Trust,
    presented: Arc<OnceLock<PublicKey>>,
}

/// A connection to a server whose host key is trusted. Dropping it ends it, but the server learns
/// of that later.
pub(crate) struct Connection {
    pub(crate) handle: Handle<Gate>,
    /// The socket, once the SSH library has let go of it.
    released: oneshot::Receiver<TcpStream>,
}

impl Connection {
    /// Ends the connection and waits until the server has closed it too: until `deadline`, for at
    /// least one second and at most five. The server counts the session until then, so an attempt
    /// that returned earlier could overlap with the next one at a destination with
    /// `max_concurrent`.
    pub(crate) async fn end(self, deadline: Instant) {
        let Self { handle, released } = self;
        let ended = async move {
            // Fails only if the connection is broken already, which releases the socket too.
            drop(handle.disconnect(Disconnect::ByApplication, "", "").await);
            drop(handle);
            let Ok(mut socket) = released.await else {
                return;
            };
            // What the server still sends, such as the end of the channel, is of no interest.
            while let Ok(1..) = socket.read(&mut [0; 1024]).await {}
        };
        let most = deadline.saturating_duration_since(Instant::now());
        drop(timeout(most.clamp(END_MIN, END_MAX), ended).await);
    }
}

/// A socket that is handed back when the SSH library drops it.
struct Socket {
    stream: Option<TcpStream>,
    release: Option<oneshot::Sender<TcpStream>>,
}

impl Socket {
    fn new(stream: TcpStream) -> (Self, oneshot::Receiver<TcpStream>) {
        let (release, released) = oneshot::channel();
        (
            Self {
                stream: Some(stream),
                release: Some(release),
            },
            released,
        )
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        Pin::new(
            self.get_mut()
                .stream
                .as_mut()
                .expect("the stream is there until the socket is dropped"),
        )
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let (Some(stream), Some(release)) = (self.stream.take(), self.release.take()) {
            // Closed here if the connection was dropped instead of ended.
            drop(release.send(stream));
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

impl client::Handler for Gate {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        presented: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let key = presented.public_key();
        let trusted = match &self.trust {
            Trust::Pinned(pins) => key.to_bytes().is_ok_and(|wire| pins.contains(&wire)),
            Trust::NoCredentials => false,
        };
        // Only the first key is kept. A later key exchange must present the same key and is checked
        // in the same way.
        drop(self.presented.set(key));
        Ok(trusted)
    }
}

/// Performs the key exchange, requesting host keys of `types`.
pub(crate) async fn handshake(
    stream: TcpStream,
    trust: Trust,
    types: &[Algorithm],
) -> Result<Handshake, ConnectorError> {
    let presented = Arc::new(OnceLock::new());
    let gate = Gate {
        trust,
        presented: Arc::clone(&presented),
    };
    let (socket, released) = Socket::new(stream);
    match client::connect_stream(Arc::new(config(types)), socket, gate).await {
        Ok(handle) => Ok(Handshake::Trusted(Connection { handle, released })),
        Err(russh::Error::UnknownKey) if presented.get().is_some() => Ok(Handshake::Untrusted(
            presented.get().expect("it was just seen").clone(),
        )),
        Err(russh::Error::NoCommonAlgo {
            kind: AlgorithmKind::Key,
            ..
        }) => Ok(Handshake::NoSuchKey),
        Err(error) => Err(verdict::of_ssh(StepName::HostKey, &error)),
    }
}

fn config(types: &[Algorithm]) -> client::Config {
    client::Config {
        client_id: SshId::Standard(Cow::Borrowed("SSH-2.0-Waybill")),
        preferred: Preferred {
            key: Cow::Owned(types.to_vec()),
            cipher: Cow::Borrowed(CIPHERS),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        ..client::Config::default()
    }
}

/// Connects, and continues if a host key is pinned. A server has a key of each type and presents
/// one of them. If only a fingerprint is pinned, the other types are requested in turn.
pub(crate) async fn reach(
    guard: &Guard,
    settings: &SftpSettings,
    deadline: Instant,
) -> Result<Connection, ConnectorError> {
    let host = Host::parse(&settings.host).map_err(|refusal| {
        ConnectorError::misconfigured(format!("the host cannot be used: {refusal}"))
            .at(StepName::Resolve)
    })?;
    let stream = guard
        .connect(&host, settings.port, deadline)
        .await
        .map_err(ConnectorError::from)?;
    greet(stream, guard, &host, settings, deadline).await
}

/// Does the same over a connection that is already open.
pub(crate) async fn greet(
    stream: TcpStream,
    guard: &Guard,
    host: &Host,
    settings: &SftpSettings,
    deadline: Instant,
) -> Result<Connection, ConnectorError> {
    let mut stream = Some(stream);
    let mut types = types_of(&settings.host_keys);
    let mut shown = Vec::new();
    while !types.is_empty() {
        let connection = match stream.take() {
            Some(stream) => stream,
            None => guard
                .connect(host, settings.port, deadline)
                .await
                .map_err(ConnectorError::from)?,
        };
        let trust = Trust::Pinned(settings.host_keys.clone());
        match within(
            deadline,
            StepName::HostKey,
            handshake(connection, trust, &types),
        )
        .await?
        {
            Handshake::Trusted(connection) => return Ok(connection),
            Handshake::Untrusted(key) => {
                shown.push(key.fingerprint(HashAlg::Sha256).to_string());
                types.retain(|algorithm| !is_of_type(&key, algorithm));
            }
            Handshake::NoSuchKey => break,
        }
    }
    Err(not_pinned(settings, &shown))
}

/// Returns the types that the pinned keys can have: all types if only a fingerprint is pinned.
fn types_of(pins: &HostKeys) -> Vec<Algorithm> {
    let is_pinned = |algorithm: &Algorithm| {
        pins.iter().any(|pin| match (pin.algorithm(), algorithm) {
            (None, _) => true,
            (Some(name), Algorithm::Rsa { .. }) => name == "ssh-rsa",
            (Some(name), other) => name == other.as_str(),
        })
    };
    host_key_types().into_iter().filter(is_pinned).collect()
}

fn not_pinned(settings: &SftpSettings, shown: &[String]) -> ConnectorError {
    let pins: Vec<String> = settings
        .host_keys
        .iter()
        .map(HostKey::fingerprint)
        .collect();
    let names: Option<Vec<&str>> = settings.host_keys.iter().map(HostKey::algorithm).collect();
    let pinned = match &*pins {
        [one] => format!("{one} is pinned"),
        several => format!("{} are pinned", several.join(", ")),
    };
    let detail = match (shown, names) {
        ([], Some(names)) => format!(
            "the server has no host key of the type {}; {pinned}",
            names.join(" or ")
        ),
        ([], None) => format!("the server has no host key of a supported type; {pinned}"),
        (shown, _) => format!(
            "the server's host key is not pinned: it presents {}, and {pinned}",
            shown.join(", ")
        ),
    };
    // Retried like a TLS certificate that does not verify: nothing was sent, and the right server
    // may answer later.
    ConnectorError::new(Outcome::Retry(Reason::Tls), detail).at(StepName::HostKey)
}

/// How the connector signed in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignedIn {
    /// Whether an RSA key was used, whose signatures take a time that depends on the key
    /// (RUSTSEC-2023-0071).
    pub(crate) with_rsa: bool,
}

/// Signs in with the credentials.
pub(crate) async fn authenticate(
    connection: &mut Connection,
    username: &str,
    credentials: &Credentials,
) -> Result<SignedIn, ConnectorError> {
    let handle = &mut connection.handle;
    let mut signed_in = SignedIn { with_rsa: false };
    let result = match credentials {
        Credentials::Password { password } => with_password(handle, username, password).await?,
        Credentials::PrivateKey {
            private_key,
            passphrase,
        } => {
            let key = read_key(private_key, passphrase.as_ref()).await?;
            signed_in.with_rsa = matches!(key.algorithm(), Algorithm::Rsa { .. });
            let hash = match key.algorithm() {
                Algorithm::Rsa { .. } => handle
                    .best_supported_rsa_hash()
                    .await
                    .map_err(broken)?
                    .unwrap_or(Some(HashAlg::Sha512)),
                _ => None,
            };
            handle
                .authenticate_publickey(username, PrivateKeyWithHashAlg::new(key, hash))
                .await
                .map_err(broken)?
        }
    };
    let detail = match result {
        AuthResult::Success => return Ok(signed_in),
        AuthResult::Failure {
            partial_success: true,
            ..
        } => "the server requires a second way of signing in",
        AuthResult::Failure { .. } => "the server does not accept the username or the credentials",
    };
    Err(
        ConnectorError::new(Outcome::ClientError(Reason::Authentication), detail)
            .at(StepName::Authenticate),
    )
}

/// Signs in with a password. Asks first which methods the server offers: a password that the server
/// does not offer uses up an attempt, and some servers allow only one.
async fn with_password(
    handle: &mut Handle<Gate>,
    username: &str,
    password: &SecretString,
) -> Result<AuthResult, ConnectorError> {
    let offered = match handle.authenticate_none(username).await.map_err(broken)? {
        AuthResult::Success => return Ok(AuthResult::Success),
        AuthResult::Failure {
            remaining_methods, ..
        } => remaining_methods,
    };
    let only_asks = |offered: &MethodSet| {
        offered.contains(&MethodKind::KeyboardInteractive)
            && !offered.contains(&MethodKind::Password)
    };
    if !only_asks(&offered) {
        match handle
            .authenticate_password(username, password.expose_secret())
            .await
            .map_err(broken)?
        {
            AuthResult::Failure {
                remaining_methods,
                partial_success: false,
            } if only_asks(&remaining_methods) => {}
            result => return Ok(result),
        }
    }
    with_question(handle, username, password).await
}

/// Answers a keyboard-interactive question with the password, because many servers accept it only
/// this way. Only a single hidden question is answered, and only once.
async fn with_question(
    handle: &mut Handle<Gate>,
    username: &str,
    password: &SecretString,
) -> Result<AuthResult, ConnectorError> {
    let mut answered = false;
    let mut response = handle
        .authenticate_keyboard_interactive_start(username, None::<String>)
        .await
        .map_err(broken)?;
    for _ in 0..QUESTIONS_MAX {
        let prompts = match response {
            KeyboardInteractiveAuthResponse::Success => return Ok(AuthResult::Success),
            KeyboardInteractiveAuthResponse::Failure {
                remaining_methods,
                partial_success,
            } => {
                return Ok(AuthResult::Failure {
                    remaining_methods,
                    partial_success,
                });
            }
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
        };
        let answers = match &*prompts {
            [] => Vec::new(),
            [question] if !question.echo && !answered => {
                answered = true;
                vec![password.expose_secret().to_owned()]
            }
            _ => break,
        };
        response = handle
            .authenticate_keyboard_interactive_respond(answers)
            .await
            .map_err(broken)?;
    }
    let detail = "the server asks for more than a password";
    Err(
        ConnectorError::new(Outcome::ClientError(Reason::Authentication), detail)
            .at(StepName::Authenticate),
    )
}

fn broken(error: russh::Error) -> ConnectorError {
    verdict::of_ssh(StepName::Authenticate, &error)
}
