//! Watch: what fails is told, stopped, and told to work again; what waits for a destination that takes no more is skipped.
//!
//! The monitor looks at the index of failing destinations. What a health calls for is decided by `domain::alert`; each change is one conditional
//! transaction that also writes the alert, so that of several monitors one makes it. Alerts are announced from their record: one that died
//! between the two leaves the announcing to the next.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Reason;
use domain::Timestamp;
use domain::alert::{Alert, AlertKind, Verdict, evaluate};
use domain::audit::{Actor, AuditEvent, AuditOutcome};
use domain::destination::{Destination, DestinationState, DisabledBy};
use domain::health::Health;
use domain::id::{AuditId, DestinationId, OrganizationId};
use domain::organization::FailurePolicy;
use domain::trace::TraceId;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use store::{FAILING_PARTITIONS, Routes, StoreError, Watched};
use telemetry::metrics::Threshold;

use crate::Monitor;

/// Destinations looked at at once.
const LOOKS_AT_ONCE: usize = 8;
/// Deliveries of one destination skipped in one run, about: others are looked at in this run, too.
const SKIPPED_AT_ONCE_MAX: usize = 5_000;

/// A destination that takes no more deliveries, some of which may wait for it.
struct Stopped {
    destination: Destination,
    shards: u8,
    reason: Reason,
    /// The health to stop watching by, once nothing waits.
    unwatch: Option<Health>,
}

/// A destination of each organization in turn, so that one with many does not keep the others waiting.
fn in_turn(stopped: Vec<Stopped>) -> Vec<Stopped> {
    let mut turns = BTreeMap::<OrganizationId, usize>::new();
    let mut stopped: Vec<(usize, Stopped)> = stopped
        .into_iter()
        .map(|stopped| {
            let turn = turns.entry(stopped.destination.organization_id).or_default();
            *turn += 1;
            (*turn, stopped)
        })
        .collect();
    stopped.sort_by_key(|(turn, _)| *turn);
    stopped.into_iter().map(|(_, stopped)| stopped).collect()
}

impl Monitor {
    /// Looks at every destination that is failing and at every alert that is not announced.
    pub(crate) async fn watch(&self) -> Result<(), lambda_runtime::Error> {
        let (mut first_error, mut stopped) = (None, Vec::new());
        // Each run begins elsewhere: one that is cut off does not leave the same destinations unseen again and again.
        let minute = u64::try_from(self.clock.now().as_seconds() / 60).unwrap_or_default();
        for offset in 0..FAILING_PARTITIONS {
            let partition = (minute + u64::from(offset)) % u64::from(FAILING_PARTITIONS);
            let watched = self.store.watched(u8::try_from(partition).unwrap_or_default()).await?;
            // Boxed: what may happen to one destination is a large state, and stacks are small.
            let looks = watched.into_iter().map(|watched| match watched {
                Watched::Destination(organization, destination) => self.look_at(organization, destination).boxed(),
                Watched::Waiting(organization, destination) => {
                    self.release_for(organization, destination).map(|done| done.map(|()| None)).boxed()
                }
                Watched::Alert(alert) => self.announce(*alert).map(|told| told.map(|()| None)).boxed(),
            });
            let mut done = stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE);
            while let Some(done) = done.next().await {
                match done {
                    Ok(found) => stopped.extend(found),
                    // One that cannot be looked at keeps no other from being.
                    Err(error) => {
                        tracing::error!(error = %domain::chain(&*error), "failed to evaluate a destination or alert; the next run evaluates it again");
                        first_error.get_or_insert(error);
                    }
                }
            }
        }
        // After everybody has been told what they should know: a destination with a large backlog takes the longest.
        let mut skipping = stream::iter(in_turn(stopped)).map(|stopped| self.skip_waiting(stopped).boxed()).buffer_unordered(LOOKS_AT_ONCE);
        while let Some(skipped) = skipping.next().await {
            if let Err(error) = skipped {
                tracing::error!(error = %domain::chain(&error), "failed to skip deliveries of a disabled destination; the next run skips them");
                first_error.get_or_insert(error.into());
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Looks at a destination; answers it when it takes no more deliveries.
    async fn look_at(&self, organization: OrganizationId, id: DestinationId) -> Result<Option<Stopped>, lambda_runtime::Error> {
        let (Some(routes), Some(destination)) = (self.store.routes(organization).await?, self.store.destination(organization, id).await?)
        else {
            return Ok(None);
        };
        let health = self.store.health(id).await?;
        if destination.is_system() {
            // Nobody is told of Waybill's own destinations, and none of them is stopped: an alert that cannot be delivered would cause another.
            self.store.unwatch_destination(id, &health).await?;
            return Ok(None);
        }
        let reason = match destination.state {
            DestinationState::Enabled => return self.judge(&routes, destination, health).await,
            // Nothing is sent, so nothing is to be judged.
            DestinationState::Paused { .. } => return Ok(None),
            DestinationState::Disabled { .. } => Reason::DestinationDisabled,
            DestinationState::Deleted { .. } => Reason::DestinationDeleted,
        };
        Ok(Some(Stopped { destination, shards: routes.shards, reason, unwatch: Some(health) }))
    }

    async fn judge(&self, routes: &Routes, destination: Destination, health: Health) -> Result<Option<Stopped>, lambda_runtime::Error> {
        let settings = &routes.settings;
        let policy = destination.policy(&settings.failure_policy);
        let now = self.clock.now();
        let debounce = Duration::from_secs(u64::from(settings.alert_debounce_seconds));
        let told = match evaluate(&health, policy, debounce, now) {
            Verdict::Wait => return Ok(None),
            Verdict::Forget => {
                self.store.unwatch_destination(destination.id, &health).await?;
                return Ok(None);
            }
            Verdict::ForgetEnded => {
                self.store.forget_ended(destination.id, &health).await?;
                return Ok(None);
            }
            Verdict::AlertEnded(ended) => {
                let then = health.during(&ended);
                let mut alert = self.alert(routes, &destination, &then, AlertKind::Failing).await?;
                // The streak is over, so nothing follows from it.
                alert.data["next"] = "retrying".into();
                self.store.alert_ended(&health, &alert).await?.then_some(alert)
            }
            Verdict::Alert => {
                let alert = self.alert(routes, &destination, &health, AlertKind::Failing).await?;
                self.store.alert(&health, policy.alert_after_failures, &alert).await?.then_some(alert)
            }
            Verdict::Recovered => {
                let alert = self.alert(routes, &destination, &health, AlertKind::Recovered).await?;
                self.store.tell_recovery(&health, &alert).await?.then_some(alert)
            }
            Verdict::Disable => self.disable(routes, &destination, &health, policy, now).await?,
        };
        let Some(alert) = told else { return Ok(None) };
        let kind = alert.kind;
        if kind == AlertKind::Failing {
            telemetry::metrics::threshold_exceeded(Threshold::DestinationFailures);
        }
        self.announce(alert).await?;
        // What waits is skipped in this run; the monitor looks again next time, for what was under way.
        let stopped = Stopped { destination, shards: routes.shards, reason: Reason::DestinationDisabled, unwatch: None };
        Ok((kind == AlertKind::Disabled).then_some(stopped))
    }

    /// Disables a destination, unless another monitor or a person was first, or it works again.
    async fn disable(
        &self,
        routes: &Routes,
        destination: &Destination,
        health: &Health,
        policy: &FailurePolicy,
        now: Timestamp,
    ) -> Result<Option<Alert>, lambda_runtime::Error> {
        let threshold = policy.disable_after_failures.unwrap_or(u32::MAX);
        let last = health.last_error.as_ref().map(|error| format!("; the last one: {}", error.detail)).unwrap_or_default();
        let reason = format!("{} attempts in a row have failed{last}", health.consecutive_failures);
        let disabled = Destination {
            state: DestinationState::Disabled { at: now, by: DisabledBy::Failures, reason: Some(reason) },
            revision: destination.revision + 1,
            updated_at: now,
            ..destination.clone()
        };
        let ids = &self.ids().await?;
        let event = AuditEvent {
            id: ids.mint::<AuditId>(disabled.organization_id, 1),
            organization_id: disabled.organization_id,
            at: now,
            action: "destination.disabled".to_owned(),
            outcome: AuditOutcome::Succeeded,
            actor: Actor::system(),
            ip: None,
            target: Some(disabled.id.to_string()),
            changes: Vec::new(),
            request_id: None,
        };
        let alert = self.alert(routes, &disabled, health, AlertKind::Disabled).await?;
        if !self.store.disable_failing(health, threshold, &disabled, &event, &alert).await? {
            return Ok(None);
        }
        tracing::warn!(destination = %disabled.id, organization = %disabled.organization_id, "a destination was disabled after too many failures");
        telemetry::metrics::destination_disabled(disabled.kind(), "failures");
        Ok(Some(alert))
    }

    async fn alert(
        &self,
        routes: &Routes,
        destination: &Destination,
        health: &Health,
        kind: AlertKind,
    ) -> Result<Alert, lambda_runtime::Error> {
        let url = format!("{}/destinations/{}", self.public_url, destination.id);
        Ok(self.dispatcher.alert_about(&self.ids().await?, routes, destination, health, kind, &url).await?)
    }

    /// Tells those whom the organization named; whoever is told twice is told by the same message.
    async fn announce(&self, alert: Alert) -> Result<(), lambda_runtime::Error> {
        let Some(routes) = self.store.routes(alert.organization_id).await? else { return Ok(self.store.announced(&alert).await?) };
        self.dispatcher.announce_alert(&self.ids().await?, &routes, alert, TraceId::generate(&self.random)).await?;
        Ok(())
    }

    /// Skips deliveries that wait for a retry to a destination that takes no more. When none did, it is no longer watched.
    async fn skip_waiting(&self, stopped: Stopped) -> Result<(), StoreError> {
        let Stopped { destination, shards, reason, unwatch } = stopped;
        let skipped = self.dispatcher.skip_retrying(&destination, shards, reason, SKIPPED_AT_ONCE_MAX).await?;
        if skipped > 0 {
            tracing::info!(skipped, destination = %destination.id, %reason, "waiting deliveries were skipped");
        } else if let Some(health) = unwatch {
            self.store.unwatch_destination(destination.id, &health).await?;
        }
        Ok(())
    }
}
