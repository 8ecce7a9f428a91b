//! A mail server for tests that can behave like various real servers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The behaviour of a server.
#[derive(Clone, Debug)]
pub struct Script {
    /// The lines of the response to EHLO after the first.
    pub extensions: Vec<String>,
    /// Responses to commands that begin with a text, before the usual ones. `None` closes the
    /// connection.
    pub answers: Vec<(&'static str, Option<&'static str>)>,
    /// The prompts of AUTH LOGIN, as they follow the code.
    pub prompts: [&'static str; 2],
    /// How many messages a connection may carry, and the response to the next MAIL; `None` closes
    /// the connection.
    pub messages_per_connection: Option<(usize, Option<&'static str>)>,
    /// How long the server takes to confirm a message; `None` never confirms it.
    pub confirms_after: Option<Duration>,
    /// The response to the message; `None` closes the connection.
    pub confirmation: Option<&'static str>,
    /// Whether EHLO requires a fully qualified name or an address literal.
    pub is_strict_about_names: bool,
    /// How many recipients are deferred, as by greylisting, before any is accepted.
    pub deferred_recipients: usize,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            extensions: vec!["AUTH PLAIN LOGIN".to_owned()],
            answers: Vec::new(),
            prompts: ["VXNlcm5hbWU6", "UGFzc3dvcmQ6"],
            messages_per_connection: None,
            confirms_after: Some(Duration::ZERO),
            confirmation: Some("250 2.0.0 OK: queued as 1"),
            is_strict_about_names: true,
            deferred_recipients: 0,
        }
    }
}

/// A message that the server received, without doubled dots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMail {
    /// The complete MAIL command.
    pub from: String,
    /// The addresses of the recipients.
    pub to: Vec<String>,
    /// The bytes of the message.
    pub bytes: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    messages: Mutex<Vec<ReceivedMail>>,
    commands: Mutex<Vec<String>>,
    connections: AtomicUsize,
    deferred: AtomicUsize,
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct ScriptedMail {
    /// The port of the server on 127.0.0.1.
    pub port: u16,
    state: Arc<State>,
    listening: JoinHandle<()>,
}

impl ScriptedMail {
    /// Starts a server with this script.
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener
            .local_addr()
            .expect("a bound socket has an address")
            .port();
        let state = Arc::new(State::default());
        let script = Arc::new(script);
        let shared = Arc::clone(&state);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(
                    BufReader::new(stream),
                    Arc::clone(&script),
                    Arc::clone(&shared),
                ));
            }
        });
        Self {
            port,
            state,
            listening,
        }
    }

    /// Returns the messages so far, confirmed or not.
    pub fn messages(&self) -> Vec<ReceivedMail> {
        self.state
            .messages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns the commands so far of all connections, without the content of messages.
    pub fn commands(&self) -> Vec<String> {
        self.state
            .commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns how many connections were opened.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }
}

impl Drop for ScriptedMail {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Serves one connection. An error ends it.
async fn serve(
    mut stream: BufReader<TcpStream>,
    script: Arc<Script>,
    state: Arc<State>,
) -> std::io::Result<()> {
    say(&mut stream, "220 mail.test ESMTP").await?;
    let (mut from, mut to, mut sent) = (String::new(), Vec::new(), 0);
    while let Some(line) = command(&mut stream).await? {
        state
            .commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line.clone());
        if let Some((_, answer)) = script
            .answers
            .iter()
            .find(|(start, _)| line.starts_with(start))
        {
            let Some(answer) = answer else { return Ok(()) };
            say(&mut stream, answer).await?;
            continue;
        }
        let word = line.split(' ').next().unwrap_or_default();
        let rest = line[word.len()..].trim();
        match word {
            "EHLO"
                if script.is_strict_about_names
                    && !(rest.starts_with('[') || rest.contains('.')) =>
            {
                say(&mut stream, "504 5.5.2 need fully-qualified hostname").await?;
            }
            "EHLO" => say(&mut stream, &hello(&script.extensions)).await?,
            "AUTH" if rest == "LOGIN" => sign_in(&mut stream, &script.prompts).await?,
            "AUTH" => say(&mut stream, "235 2.7.0 accepted").await?,
            "MAIL" => match script.messages_per_connection {
                Some((most, answer)) if sent >= most => {
                    if let Some(answer) = answer {
                        say(&mut stream, answer).await?;
                    }
                    return Ok(());
                }
                _ => {
                    (from, to) = (line.clone(), Vec::new());
                    say(&mut stream, "250 2.1.0 OK").await?;
                }
            },
            "RCPT"
                if state.deferred.fetch_add(1, Ordering::SeqCst) < script.deferred_recipients =>
            {
                say(
                    &mut stream,
                    "451 4.7.1 Greylisting in action, please come back later",
                )
                .await?;
            }
            "RCPT" => {
                to.push(
                    rest.trim_start_matches("TO:<")
                        .trim_end_matches('>')
                        .to_owned(),
                );
                say(&mut stream, "250 2.1.5 OK").await?;
            }
            "DATA" => {
                say(&mut stream, "354 go on").await?;
                let bytes = message(&mut stream).await?;
                sent += 1;
                let offered = ReceivedMail {
                    from: from.clone(),
                    to: to.clone(),
                    bytes,
                };
                state
                    .messages
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(offered);
                let Some(wait) = script.confirms_after else {
                    std::future::pending().await
                };
                tokio::time::sleep(wait).await;
                let Some(confirmation) = script.confirmation else {
                    return Ok(());
                };
                say(&mut stream, confirmation).await?;
            }
            "QUIT" => return say(&mut stream, "221 2.0.0 bye").await,
            _ => say(&mut stream, "250 2.0.0 OK").await?,
        }
    }
    Ok(())
}

fn hello(extensions: &[String]) -> String {
    let mut lines = vec!["mail.test".to_owned()];
    lines.extend(extensions.iter().cloned());
    let last = lines.len() - 1;
    let numbered = lines
        .iter()
        .enumerate()
        .map(|(n, line)| format!("250{}{line}", if n == last { ' ' } else { '-' }));
    numbered.collect::<Vec<_>>().join("\r\n")
}

/// Accepts any user name and password.
async fn sign_in(stream: &mut BufReader<TcpStream>, prompts: &[&str; 2]) -> std::io::Result<()> {
    for prompt in prompts {
        say(stream, format!("334 {prompt}").trim_end()).await?;
        if command(stream).await?.is_none() {
            return Ok(());
        }
    }
    say(stream, "235 2.7.0 accepted").await
}

async fn say(stream: &mut BufReader<TcpStream>, line: &str) -> std::io::Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await
}

async fn command(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await?;
    Ok((read > 0).then(|| line.trim_end().to_owned()))
}

async fn message(stream: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(message);
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
