//! A conversation with a mail server: connected, secured, signed in, in this order and no other.

use std::time::Duration;

use domain::Reason;
use domain::check::StepName;
use domain::settings::email::{EmailSettings, Mailbox, Security, Smtp};
use domain::settle::Outcome;
use egress::{Guard, Host, Tls};
use mail_send::smtp::message::Parameters;
use mail_send::{Credentials, SmtpClient};
use smtp_proto::{EXT_START_TLS, EhloResponse};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use vault::Confidential;

use crate::failure::Failure;

/// What we call ourselves.
const HELLO: &str = "waybill";
/// A reply that does not come; the attempt's deadline ends the wait earlier, as a rule.
const REPLY_MAX: Duration = Duration::from_secs(60);

/// A connection, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that has been made, before anything was said.
pub(crate) struct Connected {
    tcp: TcpStream,
    host: Host,
}

/// A conversation that is as secure as the settings ask for, before anybody signed in.
pub(crate) struct Secured {
    client: SmtpClient<Box<dyn Stream>>,
    capabilities: EhloResponse<String>,
}

/// A conversation with a mail server that has let us in.
pub(crate) struct Session {
    client: SmtpClient<Box<dyn Stream>>,
    /// What was opened to sign in: later attempts on this connection redact it, too.
    pub(crate) opened: Confidential,
}

impl Connected {
    /// Resolves and connects, to an address that no tenant is kept from.
    pub(crate) async fn to(guard: &Guard, smtp: &Smtp, deadline: Instant) -> Result<Self, Failure> {
        let unusable = |refusal| {
            Failure::new(StepName::Resolve, Outcome::Reject(Reason::Misconfigured), format!("the host cannot be used: {refusal}"))
        };
        let host = Host::parse(&smtp.host).map_err(unusable)?;
        let tcp = guard.connect(&host, smtp.port, deadline).await.map_err(|failure| Failure::egress(&failure))?;
        Ok(Self { tcp, host })
    }

    /// Says hello, within TLS where the settings ask for it.
    pub(crate) async fn secured(self, tls: &Tls, security: Security, deadline: Instant) -> Result<Secured, Failure> {
        let Self { tcp, host } = self;
        let handshake = async |tcp| {
            let stream = tls.handshake(tcp, &host, deadline).await.map_err(|failure| Failure::egress(&failure))?;
            Ok::<Box<dyn Stream>, Failure>(Box::new(stream))
        };
        match security {
            Security::None => greeted(Box::new(tcp)).await,
            Security::Tls => greeted(handshake(tcp).await?).await,
            Security::Starttls => {
                let mut plain = SmtpClient { stream: tcp, timeout: REPLY_MAX };
                welcome(&mut plain).await?;
                let capabilities = plain.ehlo(HELLO).await.map_err(of(StepName::Connect))?;
                if !capabilities.has_capability(EXT_START_TLS) {
                    let detail = "the mail server does not offer STARTTLS";
                    return Err(Failure::new(StepName::Tls, Outcome::Retry(Reason::Tls), detail));
                }
                let reply = plain.cmd(b"STARTTLS\r\n").await.map_err(of(StepName::Tls))?;
                if reply.code != 220 {
                    return Err(Failure::smtp(StepName::Tls, &mail_send::Error::UnexpectedReply(reply)));
                }
                // What was said before is forgotten: RFC 3207 §4.2.
                let mut client = SmtpClient { stream: handshake(plain.stream).await?, timeout: REPLY_MAX };
                let capabilities = client.ehlo(HELLO).await.map_err(of(StepName::Tls))?;
                Ok(Secured { client, capabilities })
            }
        }
    }
}

async fn greeted(stream: Box<dyn Stream>) -> Result<Secured, Failure> {
    let mut client = SmtpClient { stream, timeout: REPLY_MAX };
    welcome(&mut client).await?;
    let capabilities = client.ehlo(HELLO).await.map_err(of(StepName::Connect))?;
    Ok(Secured { client, capabilities })
}

async fn welcome<S: Stream>(client: &mut SmtpClient<S>) -> Result<(), Failure> {
    let reply = client.read().await.map_err(of(StepName::Connect))?;
    match reply.code {
        220 => Ok(()),
        _ => Err(Failure::smtp(StepName::Connect, &mail_send::Error::UnexpectedReply(reply))),
    }
}

impl Secured {
    /// Signs in.
    pub(crate) async fn signed_in(mut self, credentials: &Credentials<String>) -> Result<Session, Failure> {
        self.client.authenticate(credentials, &self.capabilities).await.map_err(of(StepName::Authenticate))?;
        Ok(Session { client: self.client, opened: Confidential::current() })
    }
}

impl Session {
    /// Sends one mail; the server's final reply, which names it as a rule.
    pub(crate) async fn send(&mut self, settings: &EmailSettings, message: &[u8]) -> Result<String, Failure> {
        self.address(settings).await?;
        let reply = self.client.data(message).await.map_err(of(StepName::Write))?;
        Ok(reply.message)
    }

    /// Names sender and recipients; a refusal of any takes the whole back, so that nobody gets the mail twice.
    pub(crate) async fn address(&mut self, settings: &EmailSettings) -> Result<(), Failure> {
        let none = Parameters::new();
        let addressed = async {
            self.client.mail_from(settings.from.address(), &none).await?;
            for recipient in settings.recipients().map(Mailbox::address) {
                self.client.rcpt_to(recipient, &none).await?;
            }
            Ok::<(), mail_send::Error>(())
        };
        match addressed.await {
            Ok(()) => Ok(()),
            Err(error) => {
                drop(self.reset().await);
                Err(Failure::smtp(StepName::Authorize, &error))
            }
        }
    }

    /// Takes back what was addressed.
    pub(crate) async fn reset(&mut self) -> Result<(), Failure> {
        self.client.rset().await.map_err(of(StepName::Authorize))
    }

    /// Says good-bye; whether it is heard does not matter.
    pub(crate) async fn quit(self) {
        drop(tokio::time::timeout(Duration::from_secs(1), self.client.quit()).await);
    }
}

/// Ends a step by the deadline.
pub(crate) async fn within<T>(deadline: Instant, step: StepName, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout_at(deadline, work).await.unwrap_or_else(|_| Err(Failure::smtp(step, &mail_send::Error::Timeout)))
}

fn of(step: StepName) -> impl FnOnce(mail_send::Error) -> Failure {
    move |error| Failure::smtp(step, &error)
}
