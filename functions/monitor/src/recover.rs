//! Recovery: a destination that failures disabled is checked on a schedule, and enabled when a
//! check passes.
//!
//! Its health determines what to do (`domain::recovery`). A check is claimed before it is made, so
//! that only one of several monitors makes it. Enabling the destination, the replay job, the audit
//! events and the alert are one transaction. The monitor watches the destination until the job has
//! been queued.

use std::time::Duration;

use domain::alert::{Alert, AlertKind};
use domain::audit::{Actor, AuditEvent, Change};
use domain::check::CheckReport;
use domain::destination::{Destination, DestinationState};
use domain::health::Health;
use domain::id::{IdMint, JobId};
use domain::recovery::{CHECK_LEASE, EnabledAgain, Recovery, is_recoverable};
use domain::{Reason, Timestamp};
use queue::JobTask;
use serde_json::{Value, json};
use store::{Job, JobStatus, Recovered, Routes, Saved, StoreError};

use crate::Monitor;

/// The action of the audit event and the name of the security event about a blocked address.
const BLOCKED_ADDRESS: &str = "blocked_address";
/// How long to wait before a check that could not be made is tried again.
const CHECK_FAILED_WAIT: Duration = Duration::from_secs(60);

/// A destination whose next check is due.
pub(crate) struct DueCheck {
    pub(crate) destination: Destination,
    routes: Routes,
    health: Health,
    recovery: Recovery,
    due_at: Timestamp,
}

/// What to do about a disabled destination in this run.
pub(crate) enum NextCheck {
    /// The destination is not recovered automatically.
    No,
    /// A check is scheduled for later.
    Later,
    /// A check is due.
    Due(Box<DueCheck>),
}

impl Monitor {
    /// Begins the recovery of a disabled destination, ends one that its policy no longer allows, or
    /// returns the check that is due.
    pub(crate) async fn recovery_of(
        &self,
        routes: &Routes,
        destination: &Destination,
        health: &Health,
    ) -> Result<NextCheck, StoreError> {
        let DestinationState::Disabled { at, .. } = destination.state else {
            return Ok(NextCheck::No);
        };
        if !is_recoverable(
            destination,
            destination.policy(&routes.settings.failure_policy),
        ) {
            if health.recovery.is_some() {
                self.store.forget_recovery(destination.id, health).await?;
            }
            return Ok(NextCheck::No);
        }
        let now = self.clock.now();
        let Some(recovery) = health
            .recovery
            .as_ref()
            .filter(|recovery| recovery.enabled.is_none())
        else {
            let recovery = Recovery::begin(
                health,
                at,
                self.is_replaying(destination, health).await?,
                now,
            );
            self.store
                .begin_recovery(destination.id, health, &recovery)
                .await?;
            return Ok(NextCheck::Later);
        };
        let Some(due_at) = recovery.next_check_at else {
            return Ok(NextCheck::No);
        };
        // Nothing is sent for a suspended organization. Its checks wait, like its deliveries.
        if due_at > now || routes.status.is_suspended() {
            return Ok(NextCheck::Later);
        }
        let (destination, recovery) = (destination.clone(), recovery.clone());
        Ok(NextCheck::Due(Box::new(DueCheck {
            destination,
            routes: routes.clone(),
            health: health.clone(),
            recovery,
            due_at,
        })))
    }

    /// Returns whether the replay of an earlier recovery is still running.
    pub(crate) async fn is_replaying(
        &self,
        destination: &Destination,
        health: &Health,
    ) -> Result<bool, StoreError> {
        let Some(enabled) = health
            .recovery
            .as_ref()
            .and_then(|recovery| recovery.enabled.as_ref())
        else {
            return Ok(false);
        };
        let job = self
            .store
            .job(destination.organization_id, enabled.job)
            .await?;
        Ok(job.is_some_and(|job| !job.status.is_over()))
    }

    /// Makes a check that is due, unless another monitor has claimed it. If it passes, the
    /// destination is enabled.
    pub(crate) async fn check(&self, check: DueCheck) -> Result<(), lambda_runtime::Error> {
        let DueCheck {
            destination,
            health,
            recovery,
            due_at,
            ..
        } = &check;
        let claimed = self.clock.now().plus(CHECK_LEASE);
        if !self
            .store
            .claim_check(destination.id, health, *due_at, claimed)
            .await?
        {
            return Ok(());
        }
        let again = match self.checker.check(destination).await {
            Ok(report) if report.ok => return self.enable(&check, claimed).await,
            Ok(report) => {
                self.note_blocked(destination, &report).await?;
                recovery.after_failed_check(self.clock.now())
            }
            Err(error) => {
                tracing::warn!(
                    error = %domain::chain(&error),
                    destination = %destination.id,
                    "failed to check a disabled destination; trying again in 60 s"
                );
                Recovery {
                    next_check_at: Some(self.clock.now().plus(CHECK_FAILED_WAIT)),
                    ..recovery.clone()
                }
            }
        };
        let next_check_at = again.next_check_at.map(|at| at.to_string());
        tracing::info!(
            next_check_at,
            destination = %destination.id,
            organization = %destination.organization_id,
            "a disabled destination was checked and stays disabled"
        );
        Ok(self
            .store
            .check_again(destination.id, health, claimed, &again)
            .await?)
    }

    /// Records a security event if a check failed because of a blocked address, as for a delivery.
    async fn note_blocked(
        &self,
        destination: &Destination,
        report: &CheckReport,
    ) -> Result<(), lambda_runtime::Error> {
        let Some(step) = report
            .failed_step()
            .filter(|step| step.reason == Some(Reason::BlockedAddress))
        else {
            return Ok(());
        };
        telemetry::metrics::security_event(BLOCKED_ADDRESS);
        tracing::warn!(
            destination = %destination.id,
            detail = step.detail,
            security_event = true,
            "blocked_address"
        );
        let target = destination.id.to_string();
        let refused = event(
            &self.ids().await?,
            destination,
            self.clock.now(),
            BLOCKED_ADDRESS,
            target,
            Vec::new(),
        );
        self.dispatcher.record_refusal(&refused.denied()).await;
        Ok(())
    }

    /// Enables a destination whose check passed, unless it changed during the check, and requests
    /// the replay of the deliveries that it missed.
    async fn enable(
        &self,
        check: &DueCheck,
        claimed: Timestamp,
    ) -> Result<(), lambda_runtime::Error> {
        let DueCheck {
            destination,
            routes,
            health,
            recovery,
            ..
        } = check;
        let (ids, now) = (self.ids().await?, self.clock.now());
        let after = Destination {
            state: DestinationState::Enabled,
            verified_at: Some(now),
            ..destination.revised(now)
        };
        let id = ids.mint::<JobId>(after.organization_id, 1);
        let job = Job::replay(
            id,
            after.organization_id,
            after.id,
            recovery.replay_since,
            Actor::system(),
            now,
        );
        let enabled = Some(EnabledAgain {
            at: now,
            job: job.id,
            is_sent: false,
        });
        let recovery = Recovery {
            next_check_at: None,
            enabled,
            ..recovery.clone()
        };
        let status = change("/status", "disabled".into(), "enabled".into());
        let enabling = event(
            &ids,
            &after,
            now,
            "destination.enabled",
            after.id.to_string(),
            vec![status],
        );
        let asked = [("/kind", json!(job.kind)), ("/filter", json!(job.filter))];
        let asked = asked
            .map(|(path, value)| change(path, Value::Null, value))
            .to_vec();
        let requested = event(&ids, &after, now, "job.created", job.id.to_string(), asked);
        let alert = self.alert_of_enabling(&ids, routes, &after, health).await?;
        let events = [&enabling, &requested];
        let recovered = Recovered {
            destination: &after,
            recovery: &recovery,
            job: &job,
            events,
            alert: &alert,
        };
        if self
            .store
            .enable_recovered(health, claimed, recovered)
            .await?
            == Saved::Conflict
        {
            tracing::info!(
                destination = %after.id,
                "a destination that passed its check was changed meanwhile and is not enabled"
            );
            return Ok(());
        }
        tracing::info!(
            destination = %after.id,
            organization = %after.organization_id,
            job = %job.id,
            "a destination that passed its check was enabled"
        );
        telemetry::metrics::destination_recovered(after.kind());
        // If something fails from here on, the monitor repeats it on its next run.
        let health = Health {
            epoch: health.epoch + 1,
            recovery: Some(recovery),
            ..Health::default()
        };
        self.send_replay(&after, &health).await?;
        self.announce(alert).await
    }

    /// Returns the alert that a destination was enabled because a check passed.
    async fn alert_of_enabling(
        &self,
        ids: &IdMint,
        routes: &Routes,
        after: &Destination,
        health: &Health,
    ) -> Result<Alert, StoreError> {
        let health = Health {
            consecutive_failures: 0,
            first_failure_at: None,
            ..health.clone()
        };
        let mut alert = self
            .dispatcher
            .alert_about(
                ids,
                routes,
                after,
                &health,
                AlertKind::Enabled,
                &self.link_to(after),
            )
            .await?;
        alert.data["detail"] =
            "a connection check passed; what the destination missed is sent again".into();
        Ok(alert)
    }

    /// Queues the job that replays what a destination missed, unless it has been queued. The job
    /// was saved when the destination was enabled, and includes what was skipped until then.
    pub(crate) async fn send_replay(
        &self,
        destination: &Destination,
        health: &Health,
    ) -> Result<(), lambda_runtime::Error> {
        let Some(recovery) = &health.recovery else {
            return Ok(());
        };
        let Some(enabled) = recovery.enabled.as_ref().filter(|enabled| !enabled.is_sent) else {
            return Ok(());
        };
        let job = self
            .store
            .job(destination.organization_id, enabled.job)
            .await?;
        if let Some(job) = job.filter(|job| matches!(job.status, JobStatus::Queued)) {
            self.store.extend_replay(job, self.clock.now()).await?;
        }
        self.jobs
            .send(JobTask {
                organization: destination.organization_id,
                job: enabled.job,
            })
            .await?;
        let sent = Recovery {
            enabled: Some(EnabledAgain {
                is_sent: true,
                ..enabled.clone()
            }),
            ..recovery.clone()
        };
        Ok(self
            .store
            .replay_sent(destination.id, health, &sent)
            .await?)
    }
}

fn change(path: &str, before: Value, after: Value) -> Change {
    Change {
        path: path.to_owned(),
        before,
        after,
    }
}

fn event(
    ids: &IdMint,
    about: &Destination,
    at: Timestamp,
    action: &str,
    target: String,
    changes: Vec<Change>,
) -> AuditEvent {
    AuditEvent {
        changes,
        ..AuditEvent::by_system(
            ids.mint(about.organization_id, 1),
            about.organization_id,
            at,
            action,
            target,
        )
    }
}
