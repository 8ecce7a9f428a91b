//! The watch alerts about failing destinations, disables them, reports their recovery, and skips
//! the deliveries that wait for destinations that accept no more deliveries.
//!
//! The monitor reads the index of failing destinations. `domain::alert` determines the action for a
//! health. Each change is one conditional transaction that also writes the alert, so that only one
//! of several monitors makes it. Alerts are announced from their record: if a monitor stops between
//! the two, the next one announces them.

use std::collections::BTreeMap;
use std::future::ready;
use std::time::Duration;

use dispatch::EndError;
use domain::Timestamp;
use domain::alert::{Alert, AlertKind, Verdict, evaluate};
use domain::audit::AuditEvent;
use domain::delivery::SkipReason;
use domain::destination::{Destination, DestinationState, DisabledBy};
use domain::failure_rate::RecentAttempts;
use domain::health::Health;
use domain::id::{DestinationId, OrganizationId};
use domain::organization::FailurePolicy;
use domain::recovery::Recovery;
use domain::statistics::hour_of;
use domain::trace::TraceId;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde_json::json;
use store::{FAILING_PARTITIONS, Routes, StoreError, Watched};
use telemetry::metrics::Threshold;

use crate::Monitor;
use crate::recover::{DueCheck, NextCheck};
use crate::waiting::ReleaseProgress;

/// How many destinations are evaluated concurrently.
const CONCURRENCY: usize = 8;
/// How long the function that created an alert has to announce it. After that the monitor does.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(10);
/// The latest start of a check in a run, because a check takes up to 24 s and the run's time is
/// limited.
const CHECKS_BEGIN_WITHIN: Duration = Duration::from_secs(20);
/// The time after the start of a run at which releasing ends, because the run's time is limited.
const RELEASES_END_WITHIN: Duration = Duration::from_secs(40);
/// Approximately the maximum number of deliveries of one destination that one run skips, because a
/// run handles all destinations.
const SKIPPED_AT_ONCE_MAX: usize = 5_000;

/// A destination that accepts no more deliveries, for which some may still wait.
struct Stopped {
    destination: Destination,
    shards: u8,
    reason: SkipReason,
    /// If present, the destination is no longer watched once no delivery waits, unless its health
    /// has changed.
    unwatch: Option<Health>,
}

/// The work that remains after the evaluation of destinations.
#[derive(Default)]
struct RemainingWork {
    stopped: Vec<Stopped>,
    due: Vec<DueCheck>,
    /// Destinations for which deliveries may wait that can be released.
    waiting: Vec<(OrganizationId, DestinationId)>,
}

impl RemainingWork {
    fn add(&mut self, other: Self) {
        self.stopped.extend(other.stopped);
        self.due.extend(other.due);
        self.waiting.extend(other.waiting);
    }
}

/// Interleaves the organizations, so that one with many destinations does not delay the others.
fn interleaved<T>(all: Vec<T>, organization: impl Fn(&T) -> OrganizationId) -> Vec<T> {
    let mut turns = BTreeMap::<OrganizationId, usize>::new();
    let mut all: Vec<(usize, T)> = all
        .into_iter()
        .map(|one| {
            let turn = turns.entry(organization(&one)).or_default();
            *turn += 1;
            (*turn, one)
        })
        .collect();
    all.sort_by_key(|(turn, _)| *turn);
    all.into_iter().map(|(_, one)| one).collect()
}

impl Monitor {
    /// Evaluates every destination that is failing and every alert that is not announced, and then
    /// does the work that takes longer.
    pub(crate) async fn watch(&self) -> Result<(), lambda_runtime::Error> {
        let began_at = self.clock.now();
        let (found, evaluated) = self.evaluate_all().await;
        let RemainingWork {
            stopped,
            due,
            waiting,
        } = found;
        // Done after all alerts, because a destination with a large backlog takes the longest. None
        // of the three delays the others. Boxed, because the futures are large.
        let (skipped, checked, released) = tokio::join!(
            self.skip_all(stopped).boxed(),
            self.check_all(due, began_at).boxed(),
            self.release_all(waiting, began_at.plus(RELEASES_END_WITHIN))
                .boxed(),
        );
        evaluated.and(skipped).and(checked).and(released)
    }

    /// Evaluates everything that is watched. Returns the work that remains, and the first error.
    async fn evaluate_all(&self) -> (RemainingWork, Result<(), lambda_runtime::Error>) {
        let (mut first_error, mut all) = (Ok(()), RemainingWork::default());
        // Each run begins with another partition, so that runs that are cut off do not always miss
        // the same destinations.
        let minute = u64::try_from(self.clock.now().as_seconds() / 60).unwrap_or_default();
        for offset in 0..FAILING_PARTITIONS {
            let partition = (minute + u64::from(offset)) % u64::from(FAILING_PARTITIONS);
            let watched = match self
                .store
                .watched(u8::try_from(partition).unwrap_or_default())
                .await
            {
                Ok(watched) => watched,
                Err(error) => {
                    tracing::error!(
                        error = %domain::chain(&error),
                        partition,
                        "failed to read what is watched; the next run reads it again"
                    );
                    first_error = first_error.and(Err(error.into()));
                    continue;
                }
            };
            // Boxed, because the future is large and stacks are small.
            let evaluations = watched.into_iter().map(|watched| match watched {
                Watched::Destination(organization, destination) => {
                    self.evaluate_destination(organization, destination).boxed()
                }
                Watched::Waiting(organization, destination) => {
                    let waiting = vec![(organization, destination)];
                    let found = RemainingWork {
                        waiting,
                        ..RemainingWork::default()
                    };
                    ready(Ok(found)).boxed()
                }
                Watched::Alert(alert) => self
                    .announce_overdue_alert(*alert)
                    .map(|done| done.map(|()| RemainingWork::default()))
                    .boxed(),
            });
            let mut done = stream::iter(evaluations).buffer_unordered(CONCURRENCY);
            while let Some(done) = done.next().await {
                match done {
                    Ok(found) => all.add(found),
                    // An error for one destination does not affect the others.
                    Err(error) => {
                        tracing::error!(
                            error = %domain::chain(&*error),
                            "failed to evaluate a destination or alert; the next run evaluates it \
                             again"
                        );
                        first_error = first_error.and(Err(error));
                    }
                }
            }
        }
        (all, first_error)
    }

    /// Skips what waits for destinations that accept no more deliveries. Returns the first error.
    async fn skip_all(&self, stopped: Vec<Stopped>) -> Result<(), lambda_runtime::Error> {
        let stopped = interleaved(stopped, |stopped| stopped.destination.organization_id);
        let mut skipping = stream::iter(stopped)
            .map(|stopped| self.skip_waiting(stopped).boxed())
            .buffer_unordered(CONCURRENCY);
        let mut first_error = Ok(());
        while let Some(skipped) = skipping.next().await {
            if let Err(error) = skipped {
                tracing::error!(
                    error = %domain::chain(&error),
                    "failed to skip deliveries of a disabled destination; the next run skips them"
                );
                first_error = first_error.and(Err(error.into()));
            }
        }
        first_error
    }

    /// Makes the checks that are due, as long as the run has time for them. Returns the first
    /// error.
    async fn check_all(
        &self,
        due: Vec<DueCheck>,
        began_at: Timestamp,
    ) -> Result<(), lambda_runtime::Error> {
        let is_late = || self.clock.now().since(began_at) >= CHECKS_BEGIN_WITHIN;
        let checks = interleaved(due, |check| check.destination.organization_id).into_iter();
        let mut checked = stream::iter(checks)
            .map(|check| {
                async {
                    if is_late() {
                        Ok(())
                    } else {
                        self.check(check).await
                    }
                }
                .boxed()
            })
            .buffer_unordered(CONCURRENCY);
        let mut first_error = Ok(());
        while let Some(done) = checked.next().await {
            if let Err(error) = done {
                tracing::error!(
                    error = %domain::chain(&*error),
                    "failed to check a disabled destination; the next run checks it again"
                );
                first_error = first_error.and(Err(error));
            }
        }
        first_error
    }

    /// Releases what waits for these destinations until `ends_at`. Each gets a short time, and a
    /// further one after all others had theirs. Returns the first error.
    async fn release_all(
        &self,
        waiting: Vec<(OrganizationId, DestinationId)>,
        ends_at: Timestamp,
    ) -> Result<(), lambda_runtime::Error> {
        let mut waiting = interleaved(waiting, |(organization, _)| *organization);
        let mut first_error = Ok(());
        while !waiting.is_empty() && self.clock.now() < ends_at {
            let mut releasing = stream::iter(waiting)
                .map(|(organization, id)| {
                    self.release_for(organization, id, ends_at)
                        .map(move |released| (organization, id, released))
                        .boxed()
                })
                .buffered(CONCURRENCY);
            let mut unfinished = Vec::new();
            while let Some((organization, id, released)) = releasing.next().await {
                match released {
                    Ok(ReleaseProgress::Unfinished) => unfinished.push((organization, id)),
                    Ok(ReleaseProgress::Done) => {}
                    Err(error) => {
                        tracing::error!(
                            error = %domain::chain(&*error),
                            destination = %id,
                            "failed to release waiting deliveries; the next run releases them"
                        );
                        first_error = first_error.and(Err(error));
                    }
                }
            }
            drop(releasing);
            waiting = unfinished;
        }
        first_error
    }

    /// Evaluates a destination. Returns it if it accepts no more deliveries or must be checked.
    async fn evaluate_destination(
        &self,
        organization: OrganizationId,
        id: DestinationId,
    ) -> Result<RemainingWork, lambda_runtime::Error> {
        let (Some(routes), Some(destination)) = (
            self.store.routes(organization).await?,
            self.store.destination(organization, id).await?,
        ) else {
            return Ok(RemainingWork::default());
        };
        let health = self.store.health(id).await?;
        if destination.is_system() {
            // Waybill's own destinations are not alerted about or disabled: an alert that cannot be
            // delivered would cause another.
            self.store.unwatch_destination(id, &health).await?;
            return Ok(RemainingWork::default());
        }
        let reason = match destination.state {
            DestinationState::Enabled => {
                self.send_replay(&destination, &health).await?;
                return Ok(RemainingWork {
                    stopped: self
                        .act_on_health(&routes, destination, health)
                        .await?
                        .into_iter()
                        .collect(),
                    ..RemainingWork::default()
                });
            }
            DestinationState::Paused { .. } => {
                // Nothing is sent, so there is nothing to evaluate.
                self.send_replay(&destination, &health).await?;
                return Ok(RemainingWork::default());
            }
            DestinationState::Disabled { .. } => SkipReason::DestinationDisabled,
            DestinationState::Deleted { .. } => SkipReason::DestinationDeleted,
        };
        let (due, goes_on) = match self.recovery_of(&routes, &destination, &health).await? {
            NextCheck::No => (None, false),
            NextCheck::Later => (None, true),
            NextCheck::Due(check) => (Some(*check), true),
        };
        let unwatch = Some(health).filter(|_| !goes_on);
        Ok(RemainingWork {
            stopped: vec![Stopped {
                destination,
                shards: routes.shards,
                reason,
                unwatch,
            }],
            due: due.into_iter().collect(),
            waiting: Vec::new(),
        })
    }

    /// Takes the action that the health of an enabled destination requires. Returns the destination
    /// if it was disabled.
    async fn act_on_health(
        &self,
        routes: &Routes,
        destination: Destination,
        health: Health,
    ) -> Result<Option<Stopped>, lambda_runtime::Error> {
        let settings = &routes.settings;
        let policy = destination.policy(&settings.failure_policy);
        let now = self.clock.now();
        let debounce = Duration::from_secs(u64::from(settings.alert_debounce_seconds));
        let recent = self.recent(&destination, policy, &health, now).await?;
        let rated = policy.failure_rate.is_some();
        let alert = match evaluate(&health, policy, &recent, debounce, now) {
            Verdict::Wait => return Ok(None),
            Verdict::Forget => {
                self.store
                    .unwatch_destination(destination.id, &health)
                    .await?;
                return Ok(None);
            }
            Verdict::ForgetEnded => {
                self.store.forget_ended(destination.id, &health).await?;
                return Ok(None);
            }
            Verdict::AlertEnded(ended) => {
                let then = health.during(&ended);
                let mut alert = self
                    .alert(routes, &destination, &then, AlertKind::Failing)
                    .await?;
                // The streak has ended, so it has no consequences.
                alert.data["next"] = "retrying".into();
                self.store
                    .alert_ended(&health, &alert)
                    .await?
                    .then_some(alert)
            }
            Verdict::Alert => {
                let alert = self
                    .alert(routes, &destination, &health, AlertKind::Failing)
                    .await?;
                self.store
                    .alert(&health, policy.alert_after_failures, &alert)
                    .await?
                    .then_some(alert)
            }
            Verdict::AlertRate => {
                let mut alert = self
                    .alert(routes, &destination, &health, AlertKind::Failing)
                    .await?;
                describe_rate(&mut alert, policy, &recent, &health);
                self.store
                    .alert_rate(&health, &alert)
                    .await?
                    .then_some(alert)
            }
            Verdict::Recovered => {
                let alert = self
                    .alert(routes, &destination, &health, AlertKind::Recovered)
                    .await?;
                self.store
                    .write_recovery_alert(&health, &alert, rated)
                    .await?
                    .then_some(alert)
            }
            Verdict::Disable => {
                let Some((disabled, alert)) = self
                    .disable(routes, &destination, &health, policy, now)
                    .await?
                else {
                    return Ok(None);
                };
                self.announce(alert).await?;
                // Waiting deliveries are skipped in this run; those in flight are left to the next
                // one.
                return Ok(Some(Stopped {
                    destination: disabled,
                    shards: routes.shards,
                    reason: SkipReason::DestinationDisabled,
                    unwatch: None,
                }));
            }
        };
        let Some(alert) = alert else { return Ok(None) };
        if alert.kind == AlertKind::Failing {
            let by_rate = alert.data["reason"] == FAILURE_RATE;
            telemetry::metrics::threshold_exceeded(if by_rate {
                Threshold::FailureRate
            } else {
                Threshold::DestinationFailures
            });
        }
        self.announce(alert).await?;
        Ok(None)
    }

    /// Disables a destination, unless another monitor or a person did so first or it works again.
    /// Returns the disabled destination and the alert about it.
    async fn disable(
        &self,
        routes: &Routes,
        destination: &Destination,
        health: &Health,
        policy: &FailurePolicy,
        now: Timestamp,
    ) -> Result<Option<(Destination, Alert)>, lambda_runtime::Error> {
        let threshold = policy.disable_after_failures.unwrap_or(u32::MAX);
        let last = health
            .last_error
            .as_ref()
            .map(|error| format!("; the last one: {}", error.detail))
            .unwrap_or_default();
        let reason = format!(
            "{} attempts in a row have failed{last}",
            health.consecutive_failures
        );
        let disabled = Destination {
            state: DestinationState::Disabled {
                at: now,
                by: DisabledBy::Failures,
                reason: Some(reason),
            },
            ..destination.revised(now)
        };
        let ids = &self.ids().await?;
        let event = AuditEvent::by_system(
            ids.mint(disabled.organization_id, 1),
            disabled.organization_id,
            now,
            "destination.disabled",
            disabled.id,
        );
        let mut alert = self
            .alert(routes, &disabled, health, AlertKind::Disabled)
            .await?;
        let recovery = match policy.auto_recover {
            true => Some(Recovery::begin(
                health,
                now,
                self.is_replaying(destination, health).await?,
                now,
            )),
            false => None,
        };
        if let Some(next_check_at) = recovery
            .as_ref()
            .and_then(|recovery| recovery.next_check_at)
        {
            alert.data["next_check_at"] = json!(next_check_at);
        }
        if !self
            .store
            .disable_failing(
                health,
                threshold,
                &disabled,
                recovery.as_ref(),
                &event,
                &alert,
            )
            .await?
        {
            return Ok(None);
        }
        tracing::warn!(
            destination = %disabled.id,
            organization = %disabled.organization_id,
            "a destination was disabled after too many failures"
        );
        telemetry::metrics::destination_disabled(disabled.kind(), "failures");
        Ok(Some((disabled, alert)))
    }

    /// Creates an alert about a destination, without saving it.
    async fn alert(
        &self,
        routes: &Routes,
        destination: &Destination,
        health: &Health,
        kind: AlertKind,
    ) -> Result<Alert, lambda_runtime::Error> {
        Ok(self
            .dispatcher
            .alert_about(
                &self.ids().await?,
                routes,
                destination,
                health,
                kind,
                &self.link_to(destination),
            )
            .await?)
    }

    /// Returns the URL of the destination's page.
    pub(crate) fn link_to(&self, destination: &Destination) -> String {
        format!("{}/destinations/{}", self.public_url, destination.id)
    }

    /// Returns the attempts in the window of the destination's failure rate. Reads nothing for a
    /// destination without a rate.
    async fn recent(
        &self,
        destination: &Destination,
        policy: &FailurePolicy,
        health: &Health,
        now: Timestamp,
    ) -> Result<RecentAttempts, StoreError> {
        let Some(rate) = policy.failure_rate else {
            return Ok(RecentAttempts::default());
        };
        let (since, until) = (
            hour_of(rate.window_start(now)),
            now.plus(Duration::from_millis(1)),
        );
        let hours = self.store.statistics(destination.id, since, until).await?;
        Ok(rate.recent(&hours, health.rate_since, now))
    }

    /// Announces an alert that its creator did not announce in time.
    async fn announce_overdue_alert(&self, alert: Alert) -> Result<(), lambda_runtime::Error> {
        if self.clock.now().since(alert.occurred_at) < ANNOUNCED_WITHIN {
            return Ok(());
        }
        self.announce(alert).await
    }

    /// Sends an alert to the destinations and addresses of the organization's settings.
    pub(crate) async fn announce(&self, alert: Alert) -> Result<(), lambda_runtime::Error> {
        let Some(routes) = self.store.routes(alert.organization_id).await? else {
            return Ok(self.store.announced(&alert).await?);
        };
        self.dispatcher
            .announce_alert(
                &self.ids().await?,
                &routes,
                alert,
                TraceId::generate(&self.random),
            )
            .await?;
        Ok(())
    }

    /// Skips the deliveries that wait for a retry at a destination that accepts no more. If there
    /// were none, the destination is no longer watched.
    async fn skip_waiting(&self, stopped: Stopped) -> Result<(), EndError> {
        let Stopped {
            destination,
            shards,
            reason,
            unwatch,
        } = stopped;
        let skipped = self
            .dispatcher
            .skip_retrying(&destination, shards, reason, SKIPPED_AT_ONCE_MAX)
            .await?;
        if skipped > 0 {
            tracing::info!(
                skipped,
                destination = %destination.id,
                reason = %reason.reason(),
                "waiting deliveries were skipped"
            );
        } else if let Some(health) = unwatch {
            self.store
                .unwatch_destination(destination.id, &health)
                .await?;
        }
        Ok(())
    }
}

/// The `reason` of an alert about a failure rate.
const FAILURE_RATE: &str = "failure_rate";

/// Describes in an alert the rate that was reached, in place of the streak.
fn describe_rate(
    alert: &mut Alert,
    policy: &FailurePolicy,
    recent: &RecentAttempts,
    health: &Health,
) {
    let Some(rate) = policy.failure_rate else {
        return;
    };
    let (failed, all) = (
        recent.counted.failed,
        recent.counted.succeeded + recent.counted.failed,
    );
    let last = health
        .last_error
        .as_ref()
        .map(|error| format!("; the last failure: {}", error.detail))
        .unwrap_or_default();
    let (percent, window) = (recent.percent_failed(), rate.window_seconds);
    alert.data["reason"] = FAILURE_RATE.into();
    alert.data["detail"] = format!(
        "{failed} of {all} attempts in the last {window} s failed, which is {percent} %{last}"
    )
    .into();
    alert.data["since"] = json!(recent.failing_since);
    // A rate alone never disables a destination.
    alert.data["next"] = "retrying".into();
    alert.data["failure_rate"] = json!({
        "percent": rate.percent,
        "window_seconds": window,
        "min_attempts": rate.min_attempts,
        "attempts": all,
        "failed_attempts": failed,
    });
}
