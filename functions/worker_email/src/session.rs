//! A conversation with a mail server. The types enforce its order: connect, secure, sign in, send.

use std::net::SocketAddr;
use std::time::Duration;

use domain::Reason;
use domain::check::StepName;
use domain::settings::email::{EmailSettings, Mailbox, Security, Smtp};
use domain::settle::Outcome;
use egress::{Guard, Host, Tls};
use mail_send::{Credentials, SmtpClient};
use smtp_proto::{EXT_8BIT_MIME, EXT_SIZE, EXT_START_TLS, EhloResponse};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use vault::Confidential;
use worker::ConnectorError;

use crate::email_message::EmailMessage;
use crate::reply::{self, Reply};
use crate::sign_in::sign_in;
use crate::verdict;

/// How long one reply may take. The attempt's deadline usually ends the wait earlier.
const REPLY_MAX: Duration = Duration::from_secs(60);
/// How long to wait for the reply of a server that closed the connection while the message was
/// sent.
const PARTING_REPLY_MAX: Duration = Duration::from_secs(2);

/// A connection, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection on which nothing has been sent yet.
pub(crate) struct Connected {
    tcp: TcpStream,
    host: Host,
    /// The name in the EHLO command.
    name: String,
}

/// A conversation that is as secure as the settings require, before signing in.
pub(crate) struct Secured {
    client: SmtpClient<Box<dyn Stream>>,
    capabilities: EhloResponse<String>,
}

/// A conversation that is signed in.
pub(crate) struct Session {
    client: SmtpClient<Box<dyn Stream>>,
    capabilities: EhloResponse<String>,
    /// The secrets that were opened to sign in. Later attempts on this connection redact them too.
    pub(crate) opened: Confidential,
}

/// The failure of a message that the server did not confirm.
pub(crate) struct NotSent {
    pub(crate) failure: ConnectorError,
    /// Whether the server cannot have accepted the message and may accept it on another connection.
    pub(crate) is_worth_another_connection: bool,
    /// Whether the server received the whole message and did not answer in time.
    pub(crate) timed_out: bool,
}

impl Connected {
    /// Resolves the host and connects to it through the egress guard. `name` is the configured name
    /// for the EHLO command.
    pub(crate) async fn to(
        guard: &Guard,
        smtp: &Smtp,
        name: Option<&str>,
        deadline: Instant,
    ) -> Result<Self, ConnectorError> {
        let unusable = |refusal| {
            ConnectorError::misconfigured(format!("the host cannot be used: {refusal}"))
                .at(StepName::Resolve)
        };
        let host = Host::parse(&smtp.host).map_err(unusable)?;
        let tcp = guard
            .connect(&host, smtp.port, deadline)
            .await
            .map_err(|failure| ConnectorError::from(failure).or_at(StepName::Connect))?;
        let name = match (name, tcp.local_addr()) {
            (Some(name), _) => name.to_owned(),
            (None, Ok(own)) => address_literal(own),
            (None, Err(_)) => {
                return Err(verdict::of_smtp(
                    StepName::Connect,
                    &mail_send::Error::UnparseableReply,
                ));
            }
        };
        Ok(Self { tcp, host, name })
    }

    /// Reads the greeting and sends EHLO, with TLS if the settings require it.
    pub(crate) async fn secured(
        self,
        tls: &Tls,
        security: Security,
        deadline: Instant,
    ) -> Result<Secured, ConnectorError> {
        let Self { tcp, host, name } = self;
        let handshake = async |tcp| {
            let stream = tls
                .handshake(tcp, &host, deadline)
                .await
                .map_err(|failure| ConnectorError::from(failure).or_at(StepName::Tls))?;
            Ok::<Box<dyn Stream>, ConnectorError>(Box::new(stream))
        };
        match security {
            Security::None => greeted(Box::new(tcp), &name).await,
            Security::Tls => greeted(handshake(tcp).await?, &name).await,
            Security::Starttls => {
                let mut plain = SmtpClient {
                    stream: tcp,
                    timeout: REPLY_MAX,
                };
                welcome(&mut plain).await?;
                let capabilities = plain.ehlo(&name).await.map_err(of(StepName::Connect))?;
                if !capabilities.has_capability(EXT_START_TLS) {
                    let detail = "the mail server does not offer STARTTLS";
                    return Err(
                        ConnectorError::new(Outcome::Retry(Reason::Tls), detail).at(StepName::Tls)
                    );
                }
                let reply = plain
                    .cmd(b"STARTTLS\r\n")
                    .await
                    .map_err(of(StepName::Tls))?;
                if reply.code != 220 {
                    return Err(verdict::of_reply(StepName::Tls, &reply));
                }
                // The client must discard what it learned before TLS (RFC 3207 §4.2).
                let mut client = SmtpClient {
                    stream: handshake(plain.stream).await?,
                    timeout: REPLY_MAX,
                };
                let capabilities = client.ehlo(&name).await.map_err(of(StepName::Tls))?;
                Ok(Secured {
                    client,
                    capabilities,
                })
            }
        }
    }
}

/// Formats an address for EHLO when there is no name (RFC 5321 §4.1.3).
fn address_literal(address: SocketAddr) -> String {
    match address.ip().to_canonical() {
        std::net::IpAddr::V4(ip) => format!("[{ip}]"),
        std::net::IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    }
}

async fn greeted(stream: Box<dyn Stream>, name: &str) -> Result<Secured, ConnectorError> {
    let mut client = SmtpClient {
        stream,
        timeout: REPLY_MAX,
    };
    welcome(&mut client).await?;
    let capabilities = client.ehlo(name).await.map_err(of(StepName::Connect))?;
    Ok(Secured {
        client,
        capabilities,
    })
}

async fn welcome<S: Stream>(client: &mut SmtpClient<S>) -> Result<(), ConnectorError> {
    let reply = client.read().await.map_err(of(StepName::Connect))?;
    match reply.code {
        220 => Ok(()),
        _ => Err(verdict::of_reply(StepName::Connect, &reply)),
    }
}

impl Secured {
    /// Signs in with the credentials.
    pub(crate) async fn signed_in(
        mut self,
        credentials: &Credentials<String>,
    ) -> Result<Session, ConnectorError> {
        sign_in(&mut self.client, &self.capabilities, credentials).await?;
        Ok(Session {
            client: self.client,
            capabilities: self.capabilities,
            opened: Confidential::current(),
        })
    }
}

impl Session {
    /// Sends one message and returns the server's final reply, which usually names it. `deadline`
    /// applies until the server asks for the message; then the server has `confirmation_max`.
    pub(crate) async fn send(
        &mut self,
        settings: &EmailSettings,
        email: &EmailMessage,
        deadline: Instant,
        confirmation_max: Duration,
    ) -> Result<String, NotSent> {
        let mut step = StepName::Authorize;
        let announced = async {
            self.address(settings, Some(email)).await?;
            step = StepName::Write;
            let reply = self
                .client
                .cmd(b"DATA\r\n")
                .await
                .map_err(NotSent::before(StepName::Write))?;
            if reply.code == 354 {
                Ok(())
            } else {
                Err(NotSent::refused(StepName::Write, &reply))
            }
        };
        let in_time = timeout_at(deadline, announced).await;
        in_time.unwrap_or_else(|_| Err(NotSent::before(step)(mail_send::Error::Timeout)))?;
        self.transfer(&email.bytes, confirmation_max).await
    }

    /// Sends the message that the server has asked for, and waits for the confirmation.
    async fn transfer(
        &mut self,
        message: &[u8],
        confirmation_max: Duration,
    ) -> Result<String, NotSent> {
        let until = Instant::now() + confirmation_max;
        match timeout_at(until, self.client.write_message(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => {
                return match timeout(PARTING_REPLY_MAX, self.client.read()).await {
                    Ok(Ok(reply)) if !reply::is_positive(&reply) => {
                        Err(NotSent::refused(StepName::Write, &reply))
                    }
                    _ => Err(NotSent::incomplete(
                        Reason::Protocol,
                        "the mail server closed the connection before it received the whole message",
                    )),
                };
            }
            Err(_) => {
                return Err(NotSent::incomplete(
                    Reason::Timeout,
                    "the mail server did not accept the whole message in time",
                ));
            }
        }
        match timeout_at(until, self.client.read()).await {
            Ok(Ok(reply)) if reply::is_positive(&reply) => Ok(reply.message),
            Ok(Ok(reply)) => Err(NotSent::refused(StepName::Write, &reply)),
            Ok(Err(_)) => Err(NotSent::unconfirmed(
                Reason::Protocol,
                "closed the connection without an answer",
            )),
            Err(_) => {
                let what = format!("did not answer within {} s", confirmation_max.as_secs());
                Err(NotSent {
                    timed_out: true,
                    ..NotSent::unconfirmed(Reason::Timeout, &what)
                })
            }
        }
    }

    /// Sends MAIL and RCPT. If the server refuses any recipient, the transaction is reset, so that
    /// all recipients receive the message or none does.
    pub(crate) async fn address(
        &mut self,
        settings: &EmailSettings,
        email: Option<&EmailMessage>,
    ) -> Result<(), NotSent> {
        let parameters = self.parameters(email)?;
        let sender = settings.from.address();
        let reply = self
            .client
            .cmd(format!("MAIL FROM:<{sender}>{parameters}\r\n"))
            .await
            .map_err(NotSent::before(StepName::Authorize))?;
        if !reply::is_positive(&reply) {
            drop(self.reset().await);
            return Err(NotSent::refused_address("sender", &[(sender, reply)]));
        }
        let mut refused = Vec::new();
        for recipient in settings.recipients().map(Mailbox::address) {
            let reply = self
                .client
                .cmd(format!("RCPT TO:<{recipient}>\r\n"))
                .await
                .map_err(NotSent::before(StepName::Authorize))?;
            let hangs_up = reply.code == 421;
            if !reply::is_positive(&reply) {
                refused.push((recipient, reply));
            }
            if hangs_up {
                break;
            }
        }
        if refused.is_empty() {
            return Ok(());
        }
        drop(self.reset().await);
        Err(NotSent::refused_address("recipient", &refused))
    }

    /// Returns the parameters of MAIL. A message larger than the server accepts is not sent (RFC
    /// 1870).
    fn parameters(&self, email: Option<&EmailMessage>) -> Result<String, NotSent> {
        let mut parameters = String::new();
        let Some(email) = email else {
            return Ok(parameters);
        };
        if self.capabilities.has_capability(EXT_SIZE) {
            let (size, most) = (email.bytes.len(), self.capabilities.size);
            if most > 0 && size > most {
                let detail =
                    format!("the message has {size} bytes; the mail server takes at most {most}");
                let failure = ConnectorError::new(Outcome::Reject(Reason::PayloadTooLarge), detail)
                    .at(StepName::Write);
                return Err(NotSent::finally(failure));
            }
            parameters.push_str(&format!(" SIZE={size}"));
        }
        if email.is_8bit && self.capabilities.has_capability(EXT_8BIT_MIME) {
            parameters.push_str(" BODY=8BITMIME");
        }
        Ok(parameters)
    }

    /// Resets the current transaction.
    pub(crate) async fn reset(&mut self) -> Result<(), ConnectorError> {
        self.client.rset().await.map_err(of(StepName::Authorize))
    }

    /// Sends QUIT and ignores the reply.
    pub(crate) async fn quit(self) {
        drop(timeout(Duration::from_secs(1), self.client.quit()).await);
    }
}

impl NotSent {
    /// A failure before the server had the message, which would repeat on another connection.
    fn finally(failure: ConnectorError) -> Self {
        Self {
            failure,
            is_worth_another_connection: false,
            timed_out: false,
        }
    }

    /// The connection failed at this step, before the server had the message.
    fn before(step: StepName) -> impl FnOnce(mail_send::Error) -> Self {
        move |error| Self {
            is_worth_another_connection: true,
            ..Self::finally(verdict::of_smtp(step, &error))
        }
    }

    /// Some servers limit the messages of a connection and refuse the next one with a 4yz reply, so
    /// another connection may help.
    fn refused(step: StepName, reply: &Reply) -> Self {
        Self {
            is_worth_another_connection: reply.code < 500,
            ..Self::finally(verdict::of_reply(step, reply))
        }
    }

    /// The server refused these addresses. A permanent refusal outweighs a temporary one.
    fn refused_address(role: &str, refused: &[(&str, Reply)]) -> Self {
        let is_worth_another_connection = refused
            .iter()
            .all(|(_, reply)| reply.code < 500 || reply.code == 503);
        let Some((_, worst)) = refused.iter().max_by_key(|(_, reply)| reply.code) else {
            return Self::before(StepName::Authorize)(mail_send::Error::UnparseableReply);
        };
        let named: Vec<String> = refused
            .iter()
            .map(|(address, reply)| format!("{address}: {}", reply::shown(reply)))
            .collect();
        let detail = format!(
            "the mail server refused the {role} {}; the message was sent to no recipient",
            named.join("; ")
        );
        let failure = ConnectorError::new(reply::outcome(StepName::Authorize, worst), detail)
            .at(StepName::Authorize);
        Self {
            is_worth_another_connection,
            ..Self::finally(failure)
        }
    }

    /// The server did not receive the whole message, and so discards it.
    fn incomplete(reason: Reason, detail: &str) -> Self {
        Self::finally(ConnectorError::new(Outcome::Retry(reason), detail).at(StepName::Write))
    }

    /// The server received the whole message, but the outcome is unknown.
    fn unconfirmed(reason: Reason, what: &str) -> Self {
        Self::finally(verdict::unconfirmed(
            reason,
            &format!("the mail server received the whole message, but {what}"),
        ))
    }
}

fn of(step: StepName) -> impl FnOnce(mail_send::Error) -> ConnectorError {
    move |error| verdict::of_smtp(step, &error)
}
