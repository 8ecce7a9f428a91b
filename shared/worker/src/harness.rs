//! Runs every connector with a time limit, a watch on the services of Waybill that it uses, and
//! redaction of the secrets that it opened. Connectors only implement their protocols.

use domain::check::CheckReport;
use domain::destination::Destination;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use vault::Confidential;

use crate::connector::{Attempted, Check, Connector, Job};
use crate::dependency::Watch;
use crate::error::{ConnectorError, Unavailable};
use crate::limit::{CHECK_TIME_LIMIT, GRACE};
use crate::payload::Payload;
use crate::redaction::Redactor;
use crate::steps::StepRecorder;

/// Makes one attempt. A failure of Waybill while the payload is read never counts as an attempt.
pub async fn deliver<C: Connector>(connector: &C, job: Job<'_>) -> Result<Attempted, Unavailable> {
    let most = connector.attempt_max(job.destination);
    let organization = job.destination.organization_id.to_string();
    let confidential = Confidential::default();
    let attempted = watched(job.payload, async |payload| {
        let delivering = connector.deliver(Job { payload, ..job });
        let delivering = confidential.during(egress::on_behalf_of(organization, delivering));
        timeout(most + GRACE, delivering).await.unwrap_or_else(|_| {
            Err(ConnectorError::timed_out(format!(
                "no answer within {} s",
                most.as_secs()
            )))
        })
    });
    let attempted = attempted.await;
    let redactor = Redactor::of(&confidential);
    attempted
        .map(|attempted| redactor.attempted(attempted))
        .map_err(|unavailable| {
            Unavailable::new(redactor.text(&domain::chain(&unavailable).to_string()))
        })
}

/// Makes an attempt with `payload`. Failures of the payload are failures of Waybill, even if
/// libraries convert them to other errors.
pub async fn watched(
    payload: Payload,
    attempt: impl AsyncFnOnce(Payload) -> Result<Attempted, ConnectorError>,
) -> Result<Attempted, Unavailable> {
    let watch = Watch::default();
    // Boxed, because the futures of protocols are tens of kilobytes.
    let result = watch
        .during(Box::pin(attempt(payload.watched(&watch))))
        .await;
    watch
        .outcome_of(result)
        .or_else(|error| error.into_attempted(None))
}

/// Checks the connection and credentials of a destination step by step.
pub async fn check<C: Connector>(connector: &C, destination: &Destination) -> CheckReport {
    let started = Instant::now();
    let time_limit = Duration::from_secs(destination.settings.timeout_seconds().into());
    let latest = started + CHECK_TIME_LIMIT;
    let deadline = latest.min(started + time_limit);
    let (watch, confidential) = (Watch::default(), Confidential::default());
    let mut steps = StepRecorder::default();
    // Boxed, as attempts are.
    let checking = Box::pin(connector.check(Check {
        destination,
        deadline,
        latest,
        steps: &mut steps,
    }));
    let checking = egress::on_behalf_of(destination.organization_id.to_string(), checking);
    let checking = watch.during(confidential.during(checking));
    let result = timeout_at(latest + GRACE, checking)
        .await
        .unwrap_or_else(|_| {
            let most = (CHECK_TIME_LIMIT + GRACE).as_secs();
            Err(ConnectorError::timed_out(format!(
                "the check took longer than {most} s"
            )))
        });
    let result = watch.outcome_of(result);
    if let Err(ConnectorError::Unavailable(unavailable)) = &result {
        let error = Redactor::of(&confidential).text(&domain::chain(unavailable).to_string());
        tracing::warn!(
            error,
            destination = %destination.id,
            "failed to check a destination: a service that Waybill depends on is unavailable"
        );
    }
    Redactor::of(&confidential).report(steps.report(result))
}
