//! The connection check: runs the steps of a delivery one after another.

use std::time::Duration;

use bytes::Bytes;
use domain::check::StepName;
use domain::destination::Destination;
use domain::settings::webhook::CheckDepth;
use domain::trace::TraceId;
use domain::{Reason, Timestamp};
use egress::{Failure, FailureKind};
use render::{CHECK_EVENT_TYPE, TemplateValues};
use serde_json::json;
use tokio::time::Instant;
use worker::{Check, ConnectorError};

use crate::Webhook;
use crate::connector::{Content, Prepared, settings};
use crate::request::Envelope;
use crate::verdict::Verdict;
use crate::{record, verdict};

/// The detail of a step that the check did not reach.
const NOT_TRIED: &str = "not tried";
/// The steps of a request, which follow the steps of its connection.
const REQUEST_STEPS: &[StepName] = &[StepName::Authenticate, StepName::Write];

impl Webhook {
    /// Runs the steps in order and stops at the first that fails.
    pub(crate) async fn take_steps(&self, check: Check<'_>) -> Result<(), ConnectorError> {
        let Check {
            destination,
            deadline,
            latest,
            steps,
        } = check;
        let settings = settings(destination)?;
        let (client, target) = self.way(destination).await?;
        let probe = client.probe(&target, deadline).await;
        let sends = settings.check == CheckDepth::Request;
        let can_go_on = steps.probed(&probe, if sends { REQUEST_STEPS } else { &[] });
        if !sends || !can_go_on {
            return Ok(());
        }
        let time_limit = Duration::from_secs(settings.timeout_seconds.into());
        let sent = self
            .send_and_classify(destination, latest.min(Instant::now() + time_limit))
            .await?;
        let Verdict { failure, detail } = match sent {
            Ok(verdict) => verdict,
            Err(failure) => {
                // A receiver that does not answer may not have checked the credentials.
                if failure.kind() != FailureKind::Identity {
                    steps.skipped(StepName::Authenticate, NOT_TRIED);
                }
                return Err(failure.into());
            }
        };
        let Some(outcome) = failure else {
            steps.passed(StepName::Authenticate, detail.as_str());
            steps.passed(StepName::Write, detail);
            return Ok(());
        };
        let is_of_credentials = matches!(
            outcome.reason(),
            Some(Reason::Authentication | Reason::Authorization)
        );
        if is_of_credentials {
            return Err(ConnectorError::new(outcome, detail).at(StepName::Authenticate));
        }
        steps.skipped(StepName::Authenticate, NOT_TRIED);
        Err(ConnectorError::new(outcome, detail).at(StepName::Write))
    }

    /// Sends the request of a check and judges the answer. A cached access token that the receiver
    /// refuses is renewed once, as in a delivery.
    async fn send_and_classify(
        &self,
        destination: &Destination,
        deadline: Instant,
    ) -> Result<Result<Verdict, Failure>, ConnectorError> {
        let mut is_renewed = false;
        loop {
            let now = self.clock.now();
            let Prepared {
                client,
                request,
                secrets,
                preset,
                ..
            } = self.prepare_check(destination, now, deadline).await?;
            let response = match client.send(request).await {
                Ok(response) => response,
                Err(failure) => return Ok(Err(failure)),
            };
            let (status, headers) = (response.status, response.headers.clone());
            if self.forget_refused(destination, secrets.token.as_ref(), status.as_u16())
                && !is_renewed
            {
                is_renewed = true;
                continue;
            }
            let answer = record::read(response).await;
            return Ok(Ok(verdict::classify(
                preset,
                status,
                &headers,
                &answer.body,
                now,
            )));
        }
    }

    /// Builds the request of a check in the same way as the request of a delivery.
    async fn prepare_check(
        &self,
        destination: &Destination,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Prepared, ConnectorError> {
        let id = format!("chk_{:032x}", u128::from_be_bytes(self.random.bytes()));
        let body = json!({
            "type": CHECK_EVENT_TYPE,
            "id": id,
            "occurred_at": now,
            "organization_id": destination.organization_id,
            "data": {"destination": {"id": destination.id, "name": destination.name}},
        });
        let envelope = Envelope {
            id: &id,
            message_id: &id,
            event_type: CHECK_EVENT_TYPE,
            attempt: 1,
            traceparent: &TraceId::generate(&self.random).traceparent(&self.random),
            at: now,
            fallback_of: None,
        };
        let payload = Bytes::from(body.to_string());
        let template_values =
            TemplateValues::of_check(destination, &id, now).with_json(payload.clone());
        let content = Content {
            template_values: &template_values,
            payload: &payload,
            is_check: true,
        };
        self.prepare(destination, &envelope, &content, deadline)
            .await
    }
}
