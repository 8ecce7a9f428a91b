//! The webhook connector: one attempt from secrets to verdict.

use bytes::Bytes;
use domain::attempt::RequestRecord;
use domain::check::CheckReport;
use domain::destination::Destination;
use domain::settings::Settings;
use domain::settings::webhook::WebhookSettings;
use domain::settle::Outcome;
use domain::{Clock, Random, Reason};
use egress::{Client, Request, Schemes, Target};
use tokio::time::{Instant, timeout_at};
use vault::Vault;
use worker::{Attempted, Connector, Hindrance, Job, Unavailable};

use crate::request::{self, Envelope};
use crate::secrets::Secrets;
use crate::{record, verdict};

/// What a webhook takes: 64 MiB (destinations.md).
const BODY_MAX_BYTES: u64 = 64 << 20;
/// A task of another type of destination in this worker's queue.
pub(crate) const NOT_A_WEBHOOK: &str = "the destination is no webhook";

/// Delivers to webhooks.
#[derive(Debug)]
pub struct Webhook {
    pub(crate) client: Client,
    schemes: Schemes,
    vault: Vault,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
}

/// A request ready to be sent, and the secrets that must not come back in its answer.
pub(crate) struct Prepared {
    pub(crate) request: Request,
    pub(crate) secrets: Secrets,
}

impl Webhook {
    /// A connector that sends through `client`, to addresses of these schemes.
    #[must_use]
    pub fn new(client: Client, schemes: Schemes, vault: Vault, clock: Clock, random: Random) -> Self {
        Self { client, schemes, vault, clock, random }
    }

    /// The destination's address.
    pub(crate) fn target(&self, settings: &WebhookSettings) -> Result<Target, Hindrance> {
        Target::parse(&settings.url, self.schemes).map_err(|refusal| Hindrance::misconfigured(format!("the URL cannot be used: {refusal}")))
    }

    /// Opens the secrets and makes the request, signed.
    pub(crate) async fn prepare(
        &self,
        destination: &Destination,
        envelope: &Envelope<'_>,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Prepared, Hindrance> {
        let settings = settings(destination)?;
        let target = self.target(settings)?;
        let opening = Secrets::open(&self.vault, destination, settings.signature.enabled, envelope.at);
        let slow = |_| Hindrance::Ours(Unavailable("the destination's secrets took longer to open than an attempt may".to_owned()));
        let secrets = timeout_at(deadline, opening).await.map_err(slow)??;
        let request = request::compose(settings, target, &secrets, envelope, body, deadline)?;
        Ok(Prepared { request, secrets })
    }

    async fn send(&self, Prepared { request, secrets }: Prepared) -> Attempted {
        let sent: RequestRecord = request::record(&request);
        let response = match self.client.send(request).await {
            Ok(response) => response,
            Err(failure) => {
                let outcome = verdict::unanswered(failure.kind());
                return Attempted { outcome, detail: failure.detail().to_owned(), request: Some(sent), response: None };
            }
        };
        let status = response.status;
        let failure = verdict::failure(status, verdict::retry_after(&response.headers, self.clock.now()));
        let tracking = || record::tracking(status, &response.headers, &secrets.confidential);
        let outcome = failure.unwrap_or_else(|| Outcome::Delivered(Some(tracking())));
        let detail = verdict::told(status, &outcome);
        let answer = record::read(response, &secrets.confidential).await;
        Attempted { outcome, detail, request: Some(sent), response: Some(answer) }
    }
}

/// The settings of a webhook.
pub(crate) fn settings(destination: &Destination) -> Result<&WebhookSettings, Hindrance> {
    match &destination.settings {
        Settings::Webhook(settings) => Ok(settings),
        _ => Err(Hindrance::misconfigured(NOT_A_WEBHOOK)),
    }
}

impl Connector for Webhook {
    async fn deliver(&self, job: Job<'_>) -> Result<Attempted, Unavailable> {
        if job.payload.size_bytes() > BODY_MAX_BYTES {
            let detail = format!("the payload has {} bytes; a webhook takes {BODY_MAX_BYTES}", job.payload.size_bytes());
            return Ok(Attempted::unsent(Outcome::Reject(Reason::PayloadTooLarge), detail));
        }
        let message = &job.delivery.message;
        let envelope = Envelope {
            id: &job.delivery.id.to_string(),
            message_id: &job.delivery.id.message.to_string(),
            event_type: message.event_type.as_str(),
            attempt: job.attempt_number,
            content_type: &message.payload.content_type,
            traceparent: &message.trace.traceparent(&self.random),
            at: self.clock.now(),
        };
        let body = job.payload.collect().await?;
        match self.prepare(job.destination, &envelope, body, job.deadline).await {
            Ok(prepared) => Ok(self.send(prepared).await),
            Err(hindrance) => hindrance.into_attempted(),
        }
    }

    async fn check(&self, destination: &Destination) -> CheckReport {
        self.walk(destination).await
    }
}
