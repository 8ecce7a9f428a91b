//! The connection check: the way of a delivery, one step after the other.

use std::time::Duration;

use bytes::Bytes;
use domain::Reason;
use domain::check::{CheckReport, CheckStep, StepName};
use domain::destination::Destination;
use domain::settings::webhook::CheckDepth;
use domain::settle::Outcome;
use domain::trace::TraceId;
use egress::{FailureKind, Probe, StepOutcome};
use render::{CHECK_EVENT_TYPE, Wording};
use serde_json::json;
use tokio::time::Instant;

use crate::Webhook;
use crate::connector::{Content, NOT_A_WEBHOOK, settings};
use crate::request::Envelope;
use crate::verdict::Verdict;
use crate::{record, verdict};

/// All steps together: what the worker allows for a check (20 s), less what telling takes.
const CHECK_MAX: Duration = Duration::from_secs(18);

/// How far the request got.
enum Sent {
    /// It was not made, or no answer came; said in words.
    Unanswered(String),
    Answered(Verdict),
}

impl Webhook {
    /// Takes the steps in their order and stops at the first that fails.
    pub(crate) async fn walk(&self, destination: &Destination) -> CheckReport {
        let started = Instant::now();
        let Ok(settings) = settings(destination) else {
            return CheckReport::of(vec![step(StepName::Resolve, Some(false), NOT_A_WEBHOOK, started)]);
        };
        let deadline = started + CHECK_MAX.min(Duration::from_secs(settings.timeout_seconds.into()));
        let (client, target) = match self.way(destination).await {
            Ok(way) => way,
            Err(hindrance) => return CheckReport::of(vec![step(StepName::Resolve, Some(false), hindrance.detail(), started)]),
        };
        let probe = client.probe(&target, deadline).await;
        let mut steps = probed(&probe);
        if settings.check == CheckDepth::Request {
            steps.extend(if probe.passed() { self.write(destination, started).await } else { not_reached() });
        }
        CheckReport::of(steps)
    }

    /// Sends the check's request as a delivery would be sent.
    async fn write(&self, destination: &Destination, check_started: Instant) -> [CheckStep; 2] {
        let started = Instant::now();
        let deadline = (started + Duration::from_secs(destination.settings.timeout_seconds().into())).min(check_started + CHECK_MAX);
        match self.send_check(destination, deadline).await {
            Err(detail) => [step(StepName::Authenticate, Some(false), &detail, started), untaken(StepName::Write)],
            Ok(Sent::Unanswered(detail)) => [untaken(StepName::Authenticate), step(StepName::Write, Some(false), &detail, started)],
            Ok(Sent::Answered(verdict)) => judged(&verdict, started),
        }
    }

    /// `Err` when there is nothing to authenticate with.
    async fn send_check(&self, destination: &Destination, deadline: Instant) -> Result<Sent, String> {
        let now = self.clock.now();
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
        };
        let payload = Bytes::from(body.to_string());
        let wording = Wording::of_check(destination, &id, now).with_json(payload.clone());
        let prepared =
            self.prepare(destination, &envelope, &Content { wording: &wording, payload: &payload, is_check: true }, deadline).await;
        let prepared = prepared.map_err(|hindrance| hindrance.detail().to_owned())?;
        Ok(match prepared.client.send(prepared.request).await {
            Ok(response) => {
                let (status, headers) = (response.status, response.headers.clone());
                let answer = record::read(response).await;
                Sent::Answered(verdict::judge(prepared.preset, status, &headers, &answer.body, now))
            }
            Err(failure) if failure.kind() == FailureKind::Identity => return Err(failure.detail().to_owned()),
            Err(failure) => Sent::Unanswered(failure.detail().to_owned()),
        })
    }
}

/// What an answer says of the last two steps.
fn judged(verdict: &Verdict, started: Instant) -> [CheckStep; 2] {
    let taken = |name, ok| step(name, Some(ok), &verdict.detail, started);
    match verdict.failure.as_ref().and_then(Outcome::reason) {
        Some(Reason::Authentication | Reason::Authorization) => [taken(StepName::Authenticate, false), untaken(StepName::Write)],
        None => [taken(StepName::Authenticate, true), taken(StepName::Write, true)],
        // Whether it looked at the credentials, nobody can tell.
        _ => [untaken(StepName::Authenticate), taken(StepName::Write, false)],
    }
}

fn probed(probe: &Probe) -> Vec<CheckStep> {
    let told = |step: &egress::Step| CheckStep {
        name: match step.name {
            egress::StepName::Resolve => StepName::Resolve,
            egress::StepName::Connect => StepName::Connect,
            egress::StepName::Tls => StepName::Tls,
        },
        ok: match step.outcome {
            StepOutcome::Passed => Some(true),
            StepOutcome::Failed(_) => Some(false),
            StepOutcome::NotReached => None,
        },
        detail: step.detail.clone(),
        duration_ms: millis(step.duration),
    };
    probe.steps.iter().map(told).collect()
}

fn not_reached() -> [CheckStep; 2] {
    [StepName::Authenticate, StepName::Write].map(untaken)
}

fn untaken(name: StepName) -> CheckStep {
    CheckStep { name, ok: None, detail: "not tried".to_owned(), duration_ms: 0 }
}

fn step(name: StepName, ok: Option<bool>, detail: &str, started: Instant) -> CheckStep {
    CheckStep { name, ok, detail: detail.to_owned(), duration_ms: millis(started.elapsed()) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
