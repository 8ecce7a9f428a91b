//! The connector: makes one attempt, from the settings to the outcome.

use std::time::Duration;

use aws_config::SdkConfig;
use bytes::Bytes;
use domain::alert_email::{Confirmation, ConfirmationAnswer};
use domain::attempt::RequestRecord;
use domain::authorization::{Exchange, ExchangeAnswer};
use domain::credentials::CredentialKind;
use domain::delivery::Delivery;
use domain::destination::Destination;
use domain::organization::Organization;
use domain::receipt::Receipt;
use domain::settings::Settings;
use domain::settings::email::{Attach, EmailSettings, Smtp, Transport};
use domain::settle::Outcome;
use domain::{Clock, Random, Reason};
use egress::{Guard, Tls};
use oauth::Tokens;
use render::mail::Link;
use render::{Stop, TemplateValues};
use store::{SentBody, Store};
use tokio::time::{Instant, timeout, timeout_at};
use vault::{Confidential, Vault};
use worker::{
    Attempted, Check, Connector, ConnectorError, Job, Unavailable, dependency, login_deadline,
    within,
};

use crate::confirmation_waits::{CONFIRMATION_MAX, ConfirmationWaits};
use crate::credentials::SignIn;
use crate::email_message::EmailMessage;
use crate::link::Links;
use crate::mime::Attachment;
use crate::session::{Connected, NotSent, Secured, Session};
use crate::sessions::Sessions;
use crate::verdict::LATE;

/// Larger payloads are linked instead of attached, unless the settings say otherwise.
const ATTACHED_MAX_BYTES: u64 = 7 << 20;
/// The largest payload that is ever attached. Most servers take no larger messages; base64 adds a
/// third.
const ATTACHED_ALWAYS_MAX_BYTES: u64 = 25 << 20;

/// The dependencies of the connector.
#[derive(Debug)]
pub struct Parts {
    /// Makes every outgoing connection.
    pub guard: Guard,
    /// The TLS configuration for mail servers.
    pub tls: Tls,
    /// Requests and caches access tokens.
    pub tokens: Tokens,
    /// Opens credentials, and seals refresh tokens that were replaced.
    pub vault: Vault,
    /// Reads and writes destinations, organizations and authorizations.
    pub store: Store,
    /// Makes links to payloads.
    pub links: Links,
    /// The name in the EHLO command. Without one, the connection's local address is sent.
    pub ehlo_name: Option<String>,
    /// The function's own AWS configuration, for SES.
    pub aws: SdkConfig,
    /// The source of the current time.
    pub clock: Clock,
    /// The source of random bytes.
    pub random: Random,
}

/// Delivers messages to mailboxes.
#[derive(Debug)]
pub struct Email {
    pub(crate) parts: Parts,
    sessions: Sessions,
    confirmation_waits: ConfirmationWaits,
}

/// A message that a server accepted.
pub(crate) struct Sent {
    pub(crate) detail: String,
    pub(crate) receipt: Receipt,
}

impl Email {
    /// Creates a connector from its dependencies.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            sessions: Sessions::default(),
            confirmation_waits: ConfirmationWaits::up_to(CONFIRMATION_MAX),
        }
    }

    /// Limits how long mail servers may take to confirm a message.
    #[must_use]
    pub fn with_confirmation_max(self, longest: Duration) -> Self {
        Self {
            confirmation_waits: ConfirmationWaits::up_to(longest),
            ..self
        }
    }

    /// Builds the MIME message of an attempt.
    async fn build_message(
        &self,
        settings: &EmailSettings,
        delivery: &Delivery,
        attempt: u32,
        payload: Option<Bytes>,
        deadline: Instant,
    ) -> Result<EmailMessage, ConnectorError> {
        let now = self.parts.clock.now();
        let template_values = TemplateValues::of(delivery, attempt, payload.as_ref());
        // The text of Waybill's own notices holds everything. Every other payload is attached or
        // linked.
        let is_notice = delivery.message.event_type.is_reserved();
        let size_bytes = delivery.message.payload.size_bytes;
        let is_8bit_possible = settings.transport != Transport::Ses;
        let attached = match settings.attach {
            _ if is_notice => None,
            Attach::Never => None,
            Attach::Auto if size_bytes > ATTACHED_MAX_BYTES => None,
            Attach::Auto | Attach::Always => {
                payload.map(|bytes| Attachment::of(delivery, bytes, is_8bit_possible))
            }
        };
        let is_required = attached.is_none();
        let link = match is_notice {
            false if is_required || render::mail::may_use_link(settings) => {
                Some(self.parts.links.to(delivery, now).await?)
            }
            _ => None,
        };
        let template = settings.clone();
        let mail = move |stop: &Stop| {
            let link = link.as_deref().map(|url| Link { url, is_required });
            render::mail::mail(&template, &template_values, link, stop)
        };
        let organization = delivery.organization.to_string();
        let mail = render::off_thread(organization, Some(deadline), mail).await?;
        EmailMessage::write(settings, delivery, mail, attached, now)
    }

    async fn send(
        &self,
        destination: &Destination,
        settings: &EmailSettings,
        email: &EmailMessage,
        deadline: Instant,
    ) -> Result<Sent, ConnectorError> {
        match &settings.transport {
            Transport::Ses => {
                Box::pin(self.send_by_ses(destination, settings, email, deadline)).await
            }
            Transport::Smtp(smtp) => {
                Box::pin(self.send_by_smtp(destination, settings, smtp, email, deadline)).await
            }
        }
    }

    async fn send_by_smtp(
        &self,
        destination: &Destination,
        settings: &EmailSettings,
        smtp: &Smtp,
        email: &EmailMessage,
        deadline: Instant,
    ) -> Result<Sent, ConnectorError> {
        if let Some(mut session) = self.sessions.take(destination) {
            Confidential::extend(&session.opened);
            // The server may have closed the connection. Until it has accepted a command, a new
            // connection costs nothing.
            if matches!(timeout(IDLE_REPLY_MAX, session.reset()).await, Ok(Ok(()))) {
                match self
                    .deliver_detail(destination, settings, session, email, deadline)
                    .await
                {
                    Err(NotSent {
                        is_worth_another_connection: true,
                        ..
                    }) => {}
                    sent => return sent.map_err(|not_sent| not_sent.failure),
                }
            }
        }
        let login = login_deadline(deadline);
        // Boxed, because the futures for connecting, TLS and tokens are large.
        let session = within(login, LATE, Box::pin(self.open(destination, smtp, login))).await?;
        self.deliver_detail(destination, settings, session, email, deadline)
            .await
            .map_err(|not_sent| not_sent.failure)
    }

    async fn open(
        &self,
        destination: &Destination,
        smtp: &Smtp,
        deadline: Instant,
    ) -> Result<Session, ConnectorError> {
        let secured = Box::pin(self.secured(smtp, deadline)).await?;
        self.signed_in(secured, destination, smtp, deadline).await
    }

    /// Connects, with TLS if the settings require it.
    pub(crate) async fn secured(
        &self,
        smtp: &Smtp,
        deadline: Instant,
    ) -> Result<Secured, ConnectorError> {
        let connected = Connected::to(
            &self.parts.guard,
            smtp,
            self.parts.ehlo_name.as_deref(),
            deadline,
        )
        .await?;
        connected
            .secured(&self.parts.tls, smtp.security, deadline)
            .await
    }

    /// Signs in. If the server rejects a cached token, a new one is requested once. It is used on
    /// another connection, because the server may close this one.
    pub(crate) async fn signed_in(
        &self,
        secured: Secured,
        destination: &Destination,
        smtp: &Smtp,
        deadline: Instant,
    ) -> Result<Session, ConnectorError> {
        // A consent is bound to the first mail server that it is used with, so the server has to
        // answer first.
        let sign_in = Box::pin(self.parts.sign_in(destination, deadline)).await?;
        let signed_in = secured.signed_in(&sign_in.credentials).await;
        if !self.forget_refused(destination, &sign_in, &signed_in) {
            return signed_in;
        }
        let sign_in = Box::pin(self.parts.sign_in(destination, deadline)).await?;
        let signed_in = Box::pin(self.secured(smtp, deadline))
            .await?
            .signed_in(&sign_in.credentials)
            .await;
        self.forget_refused(destination, &sign_in, &signed_in);
        signed_in
    }

    /// Removes an access token from the cache if the mail server refused it. Returns whether it
    /// came from the cache, so that the server may accept a new one.
    fn forget_refused(
        &self,
        destination: &Destination,
        sign_in: &SignIn,
        signed_in: &Result<Session, ConnectorError>,
    ) -> bool {
        let Some(token) = &sign_in.token else {
            return false;
        };
        let refused = signed_in.as_ref().err().and_then(ConnectorError::outcome);
        if refused != Some(&Outcome::ClientError(Reason::Authentication)) {
            return false;
        }
        self.parts
            .tokens
            .forget(destination.organization_id, &token.access_token);
        token.was_cached
    }

    async fn deliver_detail(
        &self,
        destination: &Destination,
        settings: &EmailSettings,
        mut session: Session,
        email: &EmailMessage,
        deadline: Instant,
    ) -> Result<Sent, NotSent> {
        let sent = session
            .send(
                settings,
                email,
                deadline,
                self.confirmation_waits.with(destination.id),
            )
            .await;
        match &sent {
            Ok(_) => self.confirmation_waits.record_confirmed(destination.id),
            Err(NotSent {
                timed_out: true, ..
            }) => self.confirmation_waits.record_unconfirmed(destination.id),
            Err(_) => {}
        }
        let reply = sent?;
        self.sessions.put(destination, session);
        let reply: String = reply
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(300)
            .collect();
        let detail = format!("the mail server accepted the message: {reply}");
        let queue_id = queue_id(&reply).map(str::to_owned);
        Ok(Sent {
            detail,
            receipt: Receipt::SmtpMessage {
                queue_id,
                message_id: format!("<{}>", email.message_id),
                reply,
            },
        })
    }

    /// Reads the organization, which holds the grants and the external id for its roles.
    pub(crate) async fn organization(
        &self,
        destination: &Destination,
    ) -> Result<Organization, ConnectorError> {
        let found = dependency(self.parts.store.organization(destination.organization_id)).await?;
        found.ok_or_else(|| ConnectorError::misconfigured("the organization no longer exists"))
    }
}

/// Returns the server's identifier for the message, if its reply has one: `… queued as 4F1B2…`, or
/// Exim's `OK id=1xXrP2-0001jm-2z`.
fn queue_id(reply: &str) -> Option<&str> {
    let id = reply
        .rsplit_once("queued as ")
        .or_else(|| reply.rsplit_once("id="));
    let id = id.map(|(_, id)| id)?.split_whitespace().next()?;
    Some(id.trim_end_matches(['.', ')', '>']))
}

/// Returns the settings, or an error if the destination is not a mailbox.
pub(crate) fn settings(destination: &Destination) -> Result<&EmailSettings, ConnectorError> {
    match &destination.settings {
        Settings::Email(settings) => Ok(settings),
        _ => Err(ConnectorError::misconfigured(
            "the destination is not a mailbox",
        )),
    }
}

fn record(settings: &EmailSettings, email: &EmailMessage, body: &SentBody) -> RequestRecord {
    let url = match &settings.transport {
        Transport::Ses => "ses:".to_owned(),
        Transport::Smtp(smtp) => format!("smtp://{}:{}", smtp.host, smtp.port),
    };
    RequestRecord {
        method: "SEND".to_owned(),
        url,
        headers: email.headers.clone(),
        size_bytes: body.bytes.len() as u64,
        body_sha256: body.sha256(),
    }
}

/// The largest payload that is read.
fn attached_max_bytes(settings: &EmailSettings) -> u64 {
    match settings.attach {
        Attach::Always => ATTACHED_ALWAYS_MAX_BYTES,
        Attach::Auto | Attach::Never => ATTACHED_MAX_BYTES,
    }
}

/// How long a reused connection may take to answer RSET. A server that kept the connection answers
/// immediately.
const IDLE_REPLY_MAX: Duration = Duration::from_secs(5);
/// The memory that SMTP takes for an attachment, in halves of its size: the file itself, and its
/// base64 lines in the message.
const SMTP_HALVES: u64 = 5;
/// The memory that SES takes, in halves of the size: its client builds the message as base64 within
/// JSON.
const SES_HALVES: u64 = 16;

impl Connector for Email {
    fn attempt_max(&self, destination: &Destination) -> Duration {
        let until_sent = Duration::from_secs(destination.settings.timeout_seconds().into());
        match &destination.settings {
            // The confirmation is awaited after the server has asked for the message.
            Settings::Email(EmailSettings {
                transport: Transport::Smtp(_),
                ..
            }) => until_sent + CONFIRMATION_MAX,
            _ => until_sent,
        }
    }

    fn memory_bytes(&self, destination: &Destination, payload_bytes: u64) -> u64 {
        let Settings::Email(settings) = &destination.settings else {
            return 0;
        };
        let halves = match settings.transport {
            Transport::Ses => SES_HALVES,
            Transport::Smtp(_) => SMTP_HALVES,
        };
        if payload_bytes <= attached_max_bytes(settings) {
            payload_bytes * halves / 2
        } else {
            0
        }
    }

    async fn deliver(&self, job: Job<'_>) -> Result<Attempted, ConnectorError> {
        let Job {
            delivery,
            destination,
            payload,
            attempt_number,
            deadline,
        } = job;
        let settings = settings(destination)?;
        let size_bytes = payload.size_bytes();
        let most = attached_max_bytes(settings);
        if settings.attach == Attach::Always && size_bytes > most {
            let detail = format!("the payload has {size_bytes} bytes; at most {most} are attached");
            return Ok(Attempted::unsent(
                Outcome::Reject(Reason::PayloadTooLarge),
                detail,
            ));
        }
        let read = async {
            if size_bytes <= most {
                payload.collect().await.map(Some)
            } else {
                Ok(None)
            }
        };
        let read = timeout_at(deadline, read).await;
        let payload = read.map_err(|_| Unavailable::new("the payload was not read in time"))??;
        let email = self
            .build_message(settings, delivery, attempt_number, payload, deadline)
            .await?;
        let body = SentBody {
            bytes: email.bytes.clone(),
            content_type: "message/rfc822".to_owned(),
        };
        let request = Some(record(settings, &email, &body));
        let body = Some(body);
        match self.send(destination, settings, &email, deadline).await {
            Ok(Sent { detail, receipt }) => Ok(Attempted {
                outcome: Outcome::delivered(receipt),
                detail,
                request,
                response: None,
                body,
            }),
            Err(error) => Ok(Attempted {
                body,
                ..error.into_attempted(request)?
            }),
        }
    }

    async fn check(&self, check: Check<'_>) -> Result<(), ConnectorError> {
        self.take_steps(check).await
    }

    async fn exchange(&self, exchange: Exchange) -> ExchangeAnswer {
        self.parts.exchange(exchange).await
    }

    async fn confirm_address(&self, confirmation: Confirmation) -> ConfirmationAnswer {
        self.parts.mail_confirmation(confirmation).await
    }
}

/// Whether a destination sends through SES with the worker's own role.
pub(crate) fn is_own_role(destination: &Destination) -> bool {
    destination.credentials.kind == CredentialKind::Iam
}
