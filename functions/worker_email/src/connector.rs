//! The connector: one attempt from settings to a verdict.

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
use render::{Stop, Wording};
use store::{SentBody, Store};
use tokio::time::{Instant, timeout, timeout_at};
use vault::{Confidential, Vault};
use worker::{Attempted, Check, Connector, ConnectorError, Job, Unavailable, dependency, login_deadline, within};

use crate::letter::Letter;
use crate::link::Links;
use crate::mime::Attachment;
use crate::patience::{CONFIRMATION_MAX, Patience};
use crate::session::{Connected, NotSent, Secured, Session};
use crate::sessions::Sessions;
use crate::verdict::LATE;

/// Larger payloads are a link, unless the settings say otherwise (destinations.md).
const ATTACHED_MAX_BYTES: u64 = 7 << 20;
/// No server takes larger mails, as a rule; encoded it is a third more.
const ATTACHED_ALWAYS_MAX_BYTES: u64 = 25 << 20;

/// What the connector works with.
#[derive(Debug)]
pub struct Parts {
    /// The only way out.
    pub guard: Guard,
    /// How TLS is spoken with mail servers.
    pub tls: Tls,
    /// Access tokens.
    pub tokens: Tokens,
    /// Opens credentials, and seals refresh tokens that changed.
    pub vault: Vault,
    /// Destinations and organizations.
    pub store: Store,
    /// Links to payloads.
    pub links: Links,
    /// The name that mail servers are greeted with; without one, the connection's own address.
    pub ehlo_name: Option<String>,
    /// The function's own configuration, for SES.
    pub aws: SdkConfig,
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub random: Random,
}

/// Delivers to mailboxes.
#[derive(Debug)]
pub struct Email {
    pub(crate) parts: Parts,
    sessions: Sessions,
    patience: Patience,
}

/// What a server said of a mail it took.
pub(crate) struct Sent {
    pub(crate) detail: String,
    pub(crate) receipt: Receipt,
}

impl Email {
    /// A connector of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts, sessions: Sessions::default(), patience: Patience::up_to(CONFIRMATION_MAX) }
    }

    /// The same, for mail servers that confirm a message within this time.
    #[must_use]
    pub fn with_confirmation_max(self, longest: Duration) -> Self {
        Self { patience: Patience::up_to(longest), ..self }
    }

    /// The letter of an attempt.
    async fn letter(
        &self,
        settings: &EmailSettings,
        delivery: &Delivery,
        attempt: u32,
        payload: Option<Bytes>,
        deadline: Instant,
    ) -> Result<Letter, ConnectorError> {
        let now = self.parts.clock.now();
        let wording = Wording::of(delivery, attempt, payload.as_ref());
        // What Waybill says of itself is in the text; anybody else's payload is attached or linked.
        let is_notice = delivery.message.event_type.is_reserved();
        let size_bytes = delivery.message.payload.size_bytes;
        let is_8bit_possible = settings.transport != Transport::Ses;
        let attached = match settings.attach {
            _ if is_notice => None,
            Attach::Never => None,
            Attach::Auto if size_bytes > ATTACHED_MAX_BYTES => None,
            Attach::Auto | Attach::Always => payload.map(|bytes| Attachment::of(delivery, bytes, is_8bit_possible)),
        };
        let is_required = attached.is_none();
        let link = match is_notice {
            false if is_required || render::mail::may_use_link(settings) => Some(self.parts.links.to(delivery, now).await?),
            _ => None,
        };
        let template = settings.clone();
        let mail = move |stop: &Stop| {
            let link = link.as_deref().map(|url| Link { url, is_required });
            render::mail::mail(&template, &wording, link, stop)
        };
        let mail = render::off_thread(Some(deadline), mail).await?;
        Letter::write(settings, delivery, mail, attached, now)
    }

    async fn send(
        &self,
        destination: &Destination,
        settings: &EmailSettings,
        letter: &Letter,
        deadline: Instant,
    ) -> Result<Sent, ConnectorError> {
        match &settings.transport {
            Transport::Ses => Box::pin(self.send_by_ses(destination, settings, letter, deadline)).await,
            Transport::Smtp(smtp) => Box::pin(self.send_by_smtp(destination, settings, smtp, letter, deadline)).await,
        }
    }

    async fn send_by_smtp(
        &self,
        destination: &Destination,
        settings: &EmailSettings,
        smtp: &Smtp,
        letter: &Letter,
        deadline: Instant,
    ) -> Result<Sent, ConnectorError> {
        if let Some(mut session) = self.sessions.take(destination) {
            Confidential::extend(&session.opened);
            // The server may have hung up meanwhile: before it took anything that costs nothing but a new conversation.
            if matches!(timeout(KEPT_REPLY_MAX, session.reset()).await, Ok(Ok(()))) {
                match self.say(destination, settings, session, letter, deadline).await {
                    Err(NotSent { is_worth_another_connection: true, .. }) => {}
                    sent => return sent.map_err(|not_sent| not_sent.failure),
                }
            }
        }
        let login = login_deadline(deadline);
        // On the heap: connecting, TLS and tokens have large states.
        let session = within(login, LATE, Box::pin(self.open(destination, smtp, login))).await?;
        self.say(destination, settings, session, letter, deadline).await.map_err(|not_sent| not_sent.failure)
    }

    async fn open(&self, destination: &Destination, smtp: &Smtp, deadline: Instant) -> Result<Session, ConnectorError> {
        let secured = Box::pin(self.secured(smtp, deadline)).await?;
        self.signed_in(secured, destination, smtp, deadline).await
    }

    /// Connects, within TLS where the settings ask for it.
    pub(crate) async fn secured(&self, smtp: &Smtp, deadline: Instant) -> Result<Secured, ConnectorError> {
        let connected = Connected::to(&self.parts.guard, smtp, self.parts.ehlo_name.as_deref(), deadline).await?;
        connected.secured(&self.parts.tls, smtp.security, deadline).await
    }

    /// Signs in. A token that was kept, and that the server does not accept any more, is replaced once; a
    /// server may close the connection over it, so the new one is used on another.
    pub(crate) async fn signed_in(
        &self,
        secured: Secured,
        destination: &Destination,
        smtp: &Smtp,
        deadline: Instant,
    ) -> Result<Session, ConnectorError> {
        // A consent is bound to the first mail server that it is used at: only to one that answers.
        let sign_in = Box::pin(self.parts.sign_in(destination, None, deadline)).await?;
        let refused = match (secured.signed_in(&sign_in.credentials).await, &sign_in.kept_token) {
            (Err(error), Some(token)) if error.outcome() == Some(&Outcome::ClientError(Reason::Authentication)) => token,
            (result, _) => return result,
        };
        let sign_in = Box::pin(self.parts.sign_in(destination, Some(refused), deadline)).await?;
        Box::pin(self.secured(smtp, deadline)).await?.signed_in(&sign_in.credentials).await
    }

    async fn say(
        &self,
        destination: &Destination,
        settings: &EmailSettings,
        mut session: Session,
        letter: &Letter,
        deadline: Instant,
    ) -> Result<Sent, NotSent> {
        let sent = session.send(settings, letter, deadline, self.patience.with(destination.id)).await;
        match &sent {
            Ok(_) => self.patience.regain(destination.id),
            Err(NotSent { timed_out: true, .. }) => self.patience.lose(destination.id),
            Err(_) => {}
        }
        let reply = sent?;
        self.sessions.put(destination, session);
        let reply: String = reply.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
        let detail = format!("the mail server took the mail: {reply}");
        let queue_id = queue_id(&reply).map(str::to_owned);
        Ok(Sent { detail, receipt: Receipt::SmtpMessage { queue_id, message_id: format!("<{}>", letter.message_id), reply } })
    }

    /// The organization, for what it was granted and the external id it was issued.
    pub(crate) async fn organization(&self, destination: &Destination) -> Result<Organization, ConnectorError> {
        let found = dependency(self.parts.store.organization(destination.organization_id)).await?;
        found.ok_or_else(|| ConnectorError::misconfigured("the organization is gone"))
    }
}

/// `… queued as 4F1B2…`, or Exim's `OK id=1xXrP2-0001jm-2z`: what the server calls the mail, where its reply says it.
fn queue_id(reply: &str) -> Option<&str> {
    let id = reply.rsplit_once("queued as ").or_else(|| reply.rsplit_once("id="));
    let id = id.map(|(_, id)| id)?.split_whitespace().next()?;
    Some(id.trim_end_matches(['.', ')', '>']))
}

/// The settings of a mailbox.
pub(crate) fn settings(destination: &Destination) -> Result<&EmailSettings, ConnectorError> {
    match &destination.settings {
        Settings::Email(settings) => Ok(settings),
        _ => Err(ConnectorError::misconfigured("the destination is no mailbox")),
    }
}

fn record(settings: &EmailSettings, letter: &Letter, body: &SentBody) -> RequestRecord {
    let url = match &settings.transport {
        Transport::Ses => "ses:".to_owned(),
        Transport::Smtp(smtp) => format!("smtp://{}:{}", smtp.host, smtp.port),
    };
    RequestRecord {
        method: "SEND".to_owned(),
        url,
        headers: letter.headers.clone(),
        size_bytes: body.bytes.len() as u64,
        body_sha256: body.sha256(),
    }
}

/// Payloads up to here are read.
fn attached_max_bytes(settings: &EmailSettings) -> u64 {
    match settings.attach {
        Attach::Always => ATTACHED_ALWAYS_MAX_BYTES,
        Attach::Auto | Attach::Never => ATTACHED_MAX_BYTES,
    }
}

/// A server that kept its connection answers at once, or not at all.
const KEPT_REPLY_MAX: Duration = Duration::from_secs(5);
/// An attached file takes as many halves of its size: as it came, and as a letter, in base 64 and in lines.
const SMTP_HALVES: u64 = 5;
/// SES takes a letter in base 64 within JSON, which its client makes in memory.
const SES_HALVES: u64 = 16;

impl Connector for Email {
    fn attempt_max(&self, destination: &Destination) -> Duration {
        let until_sent = Duration::from_secs(destination.settings.timeout_seconds().into());
        match &destination.settings {
            // From when the server has asked for the message until it has confirmed it.
            Settings::Email(EmailSettings { transport: Transport::Smtp(_), .. }) => until_sent + CONFIRMATION_MAX,
            _ => until_sent,
        }
    }

    fn memory_bytes(&self, destination: &Destination, payload_bytes: u64) -> u64 {
        let Settings::Email(settings) = &destination.settings else { return 0 };
        let halves = match settings.transport {
            Transport::Ses => SES_HALVES,
            Transport::Smtp(_) => SMTP_HALVES,
        };
        if payload_bytes <= attached_max_bytes(settings) { payload_bytes * halves / 2 } else { 0 }
    }

    async fn deliver(&self, job: Job<'_>) -> Result<Attempted, ConnectorError> {
        let Job { delivery, destination, payload, attempt_number, deadline } = job;
        let settings = settings(destination)?;
        let size_bytes = payload.size_bytes();
        let most = attached_max_bytes(settings);
        if settings.attach == Attach::Always && size_bytes > most {
            let detail = format!("the payload has {size_bytes} bytes; at most {most} are attached");
            return Ok(Attempted::unsent(Outcome::Reject(Reason::PayloadTooLarge), detail));
        }
        let read = async { if size_bytes <= most { payload.collect().await.map(Some) } else { Ok(None) } };
        let read = timeout_at(deadline, read).await;
        let payload = read.map_err(|_| Unavailable::new("the payload was not read in time"))??;
        let letter = self.letter(settings, delivery, attempt_number, payload, deadline).await?;
        let body = SentBody { bytes: letter.bytes.clone(), content_type: "message/rfc822".to_owned() };
        let request = Some(record(settings, &letter, &body));
        let body = Some(body);
        match self.send(destination, settings, &letter, deadline).await {
            Ok(Sent { detail, receipt }) => Ok(Attempted { outcome: Outcome::delivered(receipt), detail, request, response: None, body }),
            Err(error) => Ok(Attempted { body, ..error.into_attempted(request)? }),
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

/// Whether a destination sends with Amazon's own credentials.
pub(crate) fn is_own_role(destination: &Destination) -> bool {
    destination.credentials.kind == CredentialKind::Iam
}
