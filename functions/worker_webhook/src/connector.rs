//! The webhook connector: makes one attempt, from opening the secrets to judging the answer.

use bytes::Bytes;
use domain::attempt::RequestRecord;
use domain::delivery::Delivery;
use domain::destination::Destination;
use domain::settings::Settings;
use domain::settings::webhook::{Preset, WebhookSettings};
use domain::settle::Outcome;
use domain::{Clock, Random, Reason};
use egress::{Client, Request, Schemes, Target};
use oauth::{Granted, Tokens};
use render::webhook::WebhookBody;
use render::{Fault, PAYLOAD_READ_BYTES_MAX, Stop, TemplateValues};
use secrecy::ExposeSecret as _;
use store::SentBody;
use tokio::time::Instant;
use vault::Vault;
use worker::{Attempted, Check, Connector, ConnectorError, Job, Opened, within};

use crate::clients::Clients;
use crate::request::{self, Envelope};
use crate::secrets::Secrets;
use crate::targets::Targets;
use crate::verdict::Verdict;
use crate::{record, verdict};

/// The largest payload that a webhook delivers: 64 MiB.
const BODY_MAX_BYTES: u64 = 64 << 20;
/// The detail when this worker's queue holds a task for a destination of another type.
const NOT_A_WEBHOOK: &str = "the destination is not a webhook";

/// Delivers messages to webhooks.
#[derive(Debug)]
pub struct Webhook {
    clients: Clients,
    tokens: Tokens,
    targets: Targets,
    vault: Vault,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
}

/// A request ready to be sent, and the secrets that have to be redacted from its answer.
pub(crate) struct Prepared {
    pub(crate) client: Client,
    pub(crate) request: Request,
    pub(crate) secrets: Secrets,
    pub(crate) preset: Option<Preset>,
    /// The body to record, if it is not the payload.
    pub(crate) body: Option<SentBody>,
}

impl Webhook {
    /// Creates a connector that sends through `client` to URLs of the given schemes.
    #[must_use]
    pub fn new(
        client: Client,
        schemes: Schemes,
        vault: Vault,
        clock: Clock,
        random: Random,
    ) -> Self {
        let tokens = Tokens::new(client.clone(), schemes, clock.clone());
        Self {
            clients: Clients::new(client),
            tokens,
            targets: Targets::new(schemes),
            vault,
            clock,
            random,
        }
    }

    /// Returns the client and the URL with which a destination is reached.
    pub(crate) async fn way(
        &self,
        destination: &Destination,
    ) -> Result<(Client, Target), ConnectorError> {
        let settings = settings(destination)?;
        let client = self.clients.of(&self.vault, destination).await?;
        let secret = match settings.url {
            None => Some(Opened::of(&self.vault, destination).secret("url").await?),
            Some(_) => None,
        };
        let target = match (&settings.url, &secret) {
            (Some(url), _) => self.targets.of(url),
            (None, secret) => self
                .targets
                .parse(secret.as_ref().map_or("", |url| url.expose_secret())),
        };
        let target = target.map_err(|refusal| {
            ConnectorError::misconfigured(format!("the URL cannot be used: {refusal}"))
        })?;
        Ok((client, target))
    }

    /// Opens the secrets, builds the request and signs it.
    pub(crate) async fn prepare(
        &self,
        destination: &Destination,
        envelope: &Envelope<'_>,
        content: &Content<'_>,
        deadline: Instant,
    ) -> Result<Prepared, ConnectorError> {
        let settings = settings(destination)?;
        let opening = async {
            let signed = settings.signature.enabled;
            let secrets = Secrets::open(
                &self.vault,
                &self.tokens,
                destination,
                signed,
                envelope.at,
                deadline,
            )
            .await?;
            Ok::<_, ConnectorError>((self.way(destination).await?, secrets))
        };
        let ((client, target), secrets) = within(
            deadline,
            "the credentials could not be obtained within the attempt's time limit",
            opening,
        )
        .await?;
        let routing_key = secrets
            .routing_key
            .as_ref()
            .map_or("", |key| key.expose_secret());
        let body = match body(settings, content, routing_key, deadline).await {
            Ok(body) => body,
            // A template may need data that only a message has. The check then sends its default
            // body.
            Err(_) if content.is_check => WebhookBody {
                bytes: content.payload.clone(),
                content_type: content.template_values.content_type.clone(),
            },
            Err(fault) => return Err(fault.into()),
        };
        let shown = shown(settings, content, &secrets, &body, deadline).await?;
        let request = request::compose(settings, target, &secrets, envelope, body, deadline)?;
        Ok(Prepared {
            client,
            request,
            secrets,
            preset: settings.preset,
            body: shown,
        })
    }

    /// Builds and sends the request. If the receiver answers 401 to a cached access token, requests
    /// a new token and sends the request once more.
    async fn attempt(
        &self,
        job: &Facts<'_>,
        content: &Content<'_>,
    ) -> Result<Attempted, ConnectorError> {
        let delivery_id = job.delivery.id.to_string();
        let message_id = job.delivery.id.message.to_string();
        let message = &job.delivery.message;
        let mut envelope = Envelope {
            id: &delivery_id,
            message_id: &message_id,
            event_type: message.event_type.as_str(),
            attempt: job.attempt_number,
            traceparent: &telemetry::propagation::traceparent(message.trace, &self.random),
            at: self.clock.now(),
            fallback_of: job.delivery.fallback_of,
        };
        let prepared = self
            .prepare(job.destination, &envelope, content, job.deadline)
            .await?;
        let (refused, is_worth_renewing) = self.send(job.destination, prepared).await;
        if !is_worth_renewing {
            return Ok(refused);
        }
        tracing::info!(
            "the receiver answered 401 to a cached access token; the request is sent again with a \
             new one"
        );
        envelope.at = self.clock.now();
        let repeated = match self
            .prepare(job.destination, &envelope, content, job.deadline)
            .await
        {
            Ok(prepared) => self.send(job.destination, prepared).await.0,
            Err(error) => error.into_attempted(None)?,
        };
        Ok(with_both(refused, repeated))
    }

    /// Removes an access token from the cache if the receiver answered 401 to it. Returns whether
    /// it came from the cache, so that the receiver may accept a new one.
    pub(crate) fn forget_refused(
        &self,
        destination: &Destination,
        token: Option<&Granted>,
        status: u16,
    ) -> bool {
        let Some(token) = token.filter(|_| status == 401) else {
            return false;
        };
        self.tokens
            .forget(destination.organization_id, &token.access_token);
        token.was_cached
    }

    /// Sends a request. Returns the result, and whether the request is worth sending again with a
    /// new access token.
    async fn send(&self, destination: &Destination, prepared: Prepared) -> (Attempted, bool) {
        let token = prepared.secrets.token.clone();
        let attempted = self.send_prepared(prepared).await;
        let status = attempted
            .response
            .as_ref()
            .map_or(0, |response| response.status);
        let is_worth_renewing = self.forget_refused(destination, token.as_ref(), status);
        (attempted, is_worth_renewing)
    }

    async fn send_prepared(
        &self,
        Prepared {
            client,
            request,
            secrets,
            preset,
            body,
        }: Prepared,
    ) -> Attempted {
        let sent: RequestRecord = request::record(&request, secrets.url.is_some(), body.as_ref());
        let response = match client.send(request).await {
            Ok(response) => response,
            Err(failure) => {
                let outcome = worker::unanswered(failure.kind());
                return Attempted {
                    request: Some(sent),
                    body,
                    ..Attempted::unsent(outcome, failure.detail())
                };
            }
        };
        let (status, headers) = (response.status, response.headers.clone());
        let answer = record::read(response).await;
        let Verdict { failure, detail } =
            verdict::classify(preset, status, &headers, &answer.body, self.clock.now());
        let outcome =
            failure.unwrap_or_else(|| Outcome::delivered(record::receipt(status, &headers)));
        Attempted {
            outcome,
            detail,
            request: Some(sent),
            response: Some(answer),
            body,
        }
    }
}

/// Returns the result of an attempt whose first request was refused because of a cached access
/// token. The record is that of the second request, if one was sent. The detail names both.
fn with_both(refused: Attempted, repeated: Attempted) -> Attempted {
    const FIRST: &str = "the receiver answered 401 to a cached access token";
    match repeated.request {
        Some(_) => {
            let detail = format!(
                "{}. This is the second request: {FIRST}, and a new one was requested",
                repeated.detail
            );
            Attempted { detail, ..repeated }
        }
        None => {
            let detail = format!("{FIRST}, and a new one was not issued: {}", repeated.detail);
            Attempted {
                outcome: repeated.outcome,
                detail,
                ..refused
            }
        }
    }
}

/// Returns the body to record if it is not the payload, with PagerDuty's routing key redacted. A
/// check is not recorded.
async fn shown(
    settings: &WebhookSettings,
    content: &Content<'_>,
    secrets: &Secrets,
    sent: &WebhookBody,
    deadline: Instant,
) -> Result<Option<SentBody>, Fault> {
    if content.is_check || !render::webhook::reshapes(settings) {
        return Ok(None);
    }
    let WebhookBody {
        bytes,
        content_type,
    } = match &secrets.routing_key {
        None => sent.clone(),
        Some(_) => body(settings, content, "[redacted]", deadline).await?,
    };
    Ok(Some(SentBody {
        bytes,
        content_type,
    }))
}

/// The data from which a request's body is built.
pub(crate) struct Content<'c> {
    pub(crate) template_values: &'c TemplateValues,
    pub(crate) payload: &'c Bytes,
    pub(crate) is_check: bool,
}

/// A job without its payload.
struct Facts<'j> {
    delivery: &'j Delivery,
    destination: &'j Destination,
    attempt_number: u32,
    deadline: Instant,
}

/// Builds the request's body. Templates and presets are rendered on another thread so that they do
/// not delay other deliveries.
async fn body(
    settings: &WebhookSettings,
    content: &Content<'_>,
    routing_key: &str,
    deadline: Instant,
) -> Result<WebhookBody, Fault> {
    let payload = content.payload.clone();
    if !render::webhook::reshapes(settings) {
        return render::webhook::body(
            settings,
            content.template_values,
            payload,
            routing_key,
            &Stop::default(),
        );
    }
    let (settings, template_values, routing_key) = (
        settings.clone(),
        content.template_values.clone(),
        routing_key.to_owned(),
    );
    let organization = template_values.organization_id.clone();
    render::off_thread(organization, Some(deadline), move |stop| {
        render::webhook::body(&settings, &template_values, payload, &routing_key, stop)
    })
    .await
}

/// Returns the settings, or an error if the destination is not a webhook.
pub(crate) fn settings(destination: &Destination) -> Result<&WebhookSettings, ConnectorError> {
    match &destination.settings {
        Settings::Webhook(settings) => Ok(settings),
        _ => Err(ConnectorError::misconfigured(NOT_A_WEBHOOK)),
    }
}

impl Connector for Webhook {
    /// The payload and the working memory of a template. A payload that is too large is rejected
    /// before it is read.
    fn memory_bytes(&self, destination: &Destination, payload_bytes: u64) -> u64 {
        let reshapes = settings(destination).is_ok_and(render::webhook::reshapes);
        match payload_bytes {
            ..=BODY_MAX_BYTES if reshapes => payload_bytes + PAYLOAD_READ_BYTES_MAX as u64,
            ..=BODY_MAX_BYTES => payload_bytes,
            _ => 0,
        }
    }

    async fn deliver(&self, job: Job<'_>) -> Result<Attempted, ConnectorError> {
        if job.payload.size_bytes() > BODY_MAX_BYTES {
            let detail = format!(
                "the payload has {} bytes; a webhook takes at most {BODY_MAX_BYTES}",
                job.payload.size_bytes()
            );
            return Ok(Attempted::unsent(
                Outcome::Reject(Reason::PayloadTooLarge),
                detail,
            ));
        }
        let Job {
            delivery,
            destination,
            payload,
            attempt_number,
            deadline,
        } = job;
        let reshapes = settings(destination).is_ok_and(render::webhook::reshapes);
        if reshapes && payload.size_bytes() > PAYLOAD_READ_BYTES_MAX as u64 {
            let detail = format!(
                "the payload has {} bytes; with a template or preset it may have at most \
                 {PAYLOAD_READ_BYTES_MAX}",
                payload.size_bytes()
            );
            return Ok(Attempted::unsent(
                Outcome::Reject(Reason::PayloadTooLarge),
                detail,
            ));
        }
        let payload = payload.collect().await?;
        let template_values = TemplateValues::of(
            delivery,
            attempt_number,
            Some(&payload).filter(|_| reshapes),
        );
        let facts = Facts {
            delivery,
            destination,
            attempt_number,
            deadline,
        };
        self.attempt(
            &facts,
            &Content {
                template_values: &template_values,
                payload: &payload,
                is_check: false,
            },
        )
        .await
    }

    async fn check(&self, check: Check<'_>) -> Result<(), ConnectorError> {
        self.take_steps(check).await
    }
}
