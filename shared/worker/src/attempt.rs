//! Makes one attempt: takes the lease, delivers, records the outcome and counts it.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use domain::attempt::{Attempt, Failure};
use domain::audit::AuditEvent;
use domain::delivery::{Delivery, State, UNLEASED_START};
use domain::destination::Destination;
use domain::health::{LastError, Streak};
use domain::id::Ulid;
use domain::limits::PAYLOAD_MAX_BYTES;
use domain::organization::FailurePolicy;
use domain::settle::{AfterAttempt, Outcome, QueueAction, Settlement, settle};
use domain::{Reason, Timestamp};
use futures_util::{FutureExt as _, TryStreamExt as _};
use queue::Received;
use store::{Content, Leased, SentBody, Settled, StoreError};
use telemetry::metrics::Threshold;
use telemetry::names::{SEND, SETTLE};
use telemetry::{FutureExt as _, Span, current_in};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::batch::Item;
use crate::connector::{Attempted, Connector, Job};
use crate::error::Unavailable;
use crate::plan::skip_reason;
use crate::setback::{Disposal, hold, return_to_queue};
use crate::trail;
use crate::turn::Admission;
use crate::{Parts, Payload};
use crate::{grants, harness};

/// The time that an invocation must have in addition to the attempt's own budget, so that the
/// outcome can be recorded.
const SETTLE_MARGIN: Duration = Duration::from_secs(20);
/// How many times a worker tries to write the outcome while the table is unavailable. Then the task
/// returns to the queue.
const SETTLE_TRIES: u32 = 4;
/// The wait after the first of those writes. Each further wait is three times as long.
const SETTLE_WAIT_FIRST: Duration = Duration::from_millis(200);
/// The shortest time between two successes that are recorded in the destination's health while no
/// attempt fails.
const SUCCESS_NOTED_EVERY: Duration = Duration::from_secs(60);

impl<C: Connector> Parts<C> {
    /// Returns whether too little time is left for an attempt, or the process is about to stop.
    pub(crate) fn is_too_late(&self, item: &Item, deadline_ms: u64) -> bool {
        self.shutdown.is_cancelled() || self.time_to_start(item, deadline_ms).is_zero()
    }

    /// Returns how long an attempt may still wait before it begins.
    pub(crate) fn time_to_start(&self, item: &Item, deadline_ms: u64) -> Duration {
        let deadline = Timestamp::from_millis(i64::try_from(deadline_ms).unwrap_or(i64::MAX));
        let budget = item
            .work
            .destination
            .as_ref()
            .map_or(Duration::ZERO, |destination| {
                self.connector.attempt_max(destination)
            });
        deadline
            .since(self.clock.now())
            .saturating_sub(budget + SETTLE_MARGIN)
    }

    /// Makes one attempt and records its outcome.
    pub(crate) async fn attempt(&self, item: &Item) -> Disposal {
        let (Some(delivery), Some(destination)) = (&item.work.delivery, &item.work.destination)
        else {
            return Disposal::Done;
        };
        let mut span = trail::attempt_span(&item.received, delivery, destination);
        let context = span.context();
        let attempt = Box::pin(self.attempt_under(item, delivery, destination, &mut span));
        let attempt = attempt.instrument(trail::log_span(delivery));
        attempt.with_context(context).await
    }

    async fn attempt_under(
        &self,
        item: &Item,
        delivery: &Delivery,
        destination: &Destination,
        span: &mut Span,
    ) -> Disposal {
        let Admission { slot, start } = match self.limits(item) {
            None => Admission::default(),
            Some(limits) => {
                let until = self
                    .clock
                    .now()
                    .plus(self.connector.attempt_max(destination) + SETTLE_MARGIN);
                // Boxed, because only destinations with limits use it, and every attempt's future
                // would contain it.
                match Box::pin(self.enter(item, limits, until)).await {
                    Ok(admission) => admission,
                    Err(disposal) => return disposal,
                }
            }
        };
        let started = Instant::now();
        let attempt = Box::pin(self.attempt_leased(item, delivery, destination, start, span));
        // An attempt that panics frees its slot, too.
        let attempted = AssertUnwindSafe(attempt).catch_unwind().await;
        let took = matches!(attempted, Ok(Ok(_))).then(|| started.elapsed());
        self.leave(destination, slot, took).await;
        match attempted {
            Ok(attempted) => attempted.unwrap_or_else(|disposal| disposal),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Takes the lease and makes the attempt. Returns `Err` if no attempt was made.
    async fn attempt_leased(
        &self,
        item: &Item,
        delivery: &Delivery,
        destination: &Destination,
        start: Option<Timestamp>,
        span: &mut Span,
    ) -> Result<Disposal, Disposal> {
        let leased = match self.lease(delivery, destination, start.is_some()).await {
            Ok(Some(leased)) => leased,
            Ok(None) => {
                return Err(hold(&self.inbox, &item.received, Duration::from_secs(1)).await);
            }
            Err(error) => {
                tracing::warn!(
                    error = %domain::chain(&error),
                    delivery = %delivery.id,
                    "failed to lease a delivery; its task returns to the queue"
                );
                return Err(return_to_queue(&self.inbox, &item.received).await);
            }
        };
        let delivery = &*leased;
        self.keep_distance(item, destination, start).await;
        self.faults.abort_if_configured(delivery);
        let started_at = self.clock.now();
        let started = Instant::now();
        let mut send = Span::start(SEND, &current_in(delivery.message.trace));
        send.set(
            "waybill.destination_type",
            delivery.destination_type.as_str(),
        );
        let delivered = send
            .run(self.deliver(item, delivery, destination, started))
            .await;
        drop(send);
        Ok(match delivered {
            Ok(attempted) => {
                let outcome = trail::outcome_name(&attempted.outcome);
                span.set("waybill.outcome", outcome);
                if let Some(reason) = attempted.outcome.reason() {
                    span.set("waybill.reason", reason.as_str());
                    span.fails(reason.as_str());
                }
                let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::debug!(outcome, duration_ms, "an attempt ended");
                let mut settle = Span::start(SETTLE, &current_in(delivery.message.trace));
                settle.set("waybill.delivery", delivery.id.to_string());
                settle
                    .run(self.settle(
                        item,
                        delivery,
                        destination,
                        Finished {
                            attempted,
                            started_at,
                            duration_ms,
                        },
                    ))
                    .await
            }
            Err(error) => {
                span.fails("unavailable");
                tracing::warn!(
                    error = %domain::chain(&error),
                    delivery = %delivery.id,
                    "failed to make an attempt; its task returns to the queue"
                );
                return_to_queue(&self.inbox, &item.received).await
            }
        })
    }

    /// Takes the lease that every attempt but a prompt first one needs, so that a manual and an
    /// automatic retry at the same time send only once. A first attempt that still waits for its
    /// start takes one too, because it may be cancelled and retried meanwhile, and so does one that
    /// starts late, because its task may have been taken for lost. Returns `None` if another worker
    /// has the lease.
    async fn lease<'d>(
        &self,
        delivery: &'d Delivery,
        destination: &Destination,
        waits: bool,
    ) -> Result<Option<Cow<'d, Delivery>>, StoreError> {
        let now = self.clock.now();
        let is_first = delivery.generation == 0 && delivery.attempts == 0;
        if is_first && !waits && now.since(delivery.created_at) < UNLEASED_START {
            return Ok(Some(Cow::Borrowed(delivery)));
        }
        let until = now.plus(self.connector.attempt_max(destination) + SETTLE_MARGIN);
        let Ok(started) = delivery.clone().start(until, now) else {
            return Ok(None);
        };
        Ok(match self.store.lease(delivery, now, until).await? {
            Leased::Yes => Some(Cow::Owned(started)),
            Leased::Lost => None,
        })
    }

    async fn deliver(
        &self,
        item: &Item,
        delivery: &Delivery,
        destination: &Destination,
        started: Instant,
    ) -> Result<Attempted, Unavailable> {
        let grants = &item.work.grants;
        if let Err(why) = grants::secrets(destination.live_secrets(self.clock.now()), grants) {
            return Ok(why.into_attempted());
        }
        let payload = match self.payload(item, delivery).await? {
            Ok(payload) => payload,
            Err(attempted) => return Ok(attempted),
        };
        let budget = Duration::from_secs(destination.settings.timeout_seconds().into());
        let job = Job {
            delivery,
            destination,
            payload,
            attempt_number: delivery.attempts + 1,
            deadline: started + budget,
        };
        harness::deliver(&self.connector, job).await
    }

    /// Returns the payload: from memory if it is small, or as a stream from its storage. Returns a
    /// failed attempt if it is no longer kept or may not be read.
    async fn payload(
        &self,
        item: &Item,
        delivery: &Delivery,
    ) -> Result<Result<Payload, Attempted>, Unavailable> {
        if let Some(payload) = &item.work.payload {
            return Ok(Ok(Payload::in_memory(payload.clone())));
        }
        let gone = || {
            Attempted::unsent(
                Outcome::Reject(Reason::Expired),
                "the payload is no longer kept",
            )
        };
        let unavailable = |error: StoreError| Unavailable::because(error);
        let location = match self.store.content(delivery).await.map_err(unavailable)? {
            None => return Ok(Err(gone())),
            Some(Content::Bytes(bytes)) => return Ok(Ok(Payload::in_memory(bytes))),
            Some(Content::Object(location)) => location,
        };
        if let Err(why) = grants::source(&location, &item.work.grants) {
            return Ok(Err(why.into_attempted()));
        }
        let size_bytes = delivery.message.payload.size_bytes;
        if size_bytes <= PAYLOAD_MAX_BYTES as u64 {
            let bytes = self
                .store
                .read_entire_object(&location, size_bytes)
                .await
                .map_err(unavailable)?;
            return Ok(bytes.map(Payload::in_memory).ok_or_else(gone));
        }
        let pieces = self
            .store
            .stream_object(&location, size_bytes)
            .await
            .map_err(unavailable)?;
        let own = self.store.own_object(&location);
        let streamed = pieces.map(|pieces| {
            Payload::streamed(size_bytes, pieces.map_err(unavailable)).with_own_object(own)
        });
        Ok(streamed.ok_or_else(gone))
    }

    async fn settle(
        &self,
        item: &Item,
        before: &Delivery,
        destination: &Destination,
        finished: Finished,
    ) -> Disposal {
        let now = self.clock.now();
        let outcome = finished.attempted.outcome.clone();
        if let Some(body) = &finished.attempted.body {
            self.keep_body(before, body).await;
        }
        let outcome_name = trail::outcome_name(&outcome);
        let attempt = finished.record(before);
        let is_gone = matches!(outcome, Outcome::Gone(_));
        let organizations = item
            .work
            .settings
            .as_ref()
            .and_then(|settings| settings.retry_policy.as_ref());
        let settlement = settle(
            before,
            outcome,
            &destination.retries(organizations),
            now,
            self.random.fraction(),
        );
        let Ok(after) = before
            .clone()
            .settle(attempt.clone(), settlement.after.clone(), now)
        else {
            return self
                .settle_late(before, attempt, &settlement, &item.received)
                .await;
        };
        let token = item.received.message_id.clone() + "." + &item.received.receives.to_string();
        if attempt.failure.is_some() {
            item.counts.note_failure(before.destination);
        }
        match self.store_settled(before, &after, &token).await {
            Ok(Settled::Done) => {
                let rated = settlement.streak != Streak::Unchanged
                    && policy_of(item, destination)
                        .is_some_and(|policy| policy.failure_rate.is_some());
                item.counts.add(before, &attempt, rated);
                trail::count(&after, &attempt, outcome_name, now);
                warn_if_slow(&after, item);
                self.count(&after, destination, item, &attempt, &settlement, &token)
                    .await;
                self.report_blocked(before, &attempt).await;
                if is_gone && !before.message.test && destination.is_disabled_on_gone() {
                    // Boxed, because it is rare, and every attempt's future would contain it.
                    Box::pin(self.disable_gone_receiver(destination)).await;
                }
                if let Some(skipped) = self.skipped_meanwhile(&after).await {
                    return self
                        .send_updates(&item.received, &skipped, &item.work, Disposal::Done)
                        .await;
                }
                if after.status().is_finished() {
                    return self
                        .send_updates(&item.received, &after, &item.work, Disposal::Done)
                        .await;
                }
                self.dispose(&item.received, settlement.queue).await
            }
            Ok(Settled::Lost(_)) => {
                self.settle_late(before, attempt, &settlement, &item.received)
                    .await
            }
            Err(error) => {
                tracing::error!(
                    error = %domain::chain(&error),
                    delivery = %before.id,
                    "failed to record an attempt that was made; it is made again with the same id"
                );
                return_to_queue(&self.inbox, &item.received).await
            }
        }
    }

    /// If the destination was disabled or deleted during the attempt, its waiting deliveries have
    /// been skipped. This delivery is skipped too, instead of waiting for its retry only to be
    /// skipped then.
    async fn skipped_meanwhile(&self, delivery: &Delivery) -> Option<Delivery> {
        if delivery.status().is_finished() {
            return None;
        }
        let skipped = async {
            let destination = self
                .store
                .destination(delivery.organization, delivery.destination)
                .await?;
            let Some(reason) = skip_reason(destination.as_ref(), delivery) else {
                return Ok(None);
            };
            let now = self.clock.now();
            let Ok(after) = delivery.clone().skip(reason, now) else {
                return Ok(None);
            };
            Ok(self
                .store
                .transition(delivery, &after)
                .await?
                .then_some(after))
        };
        skipped.await.unwrap_or_else(|error: StoreError| {
            tracing::warn!(
                error = %domain::chain(&error),
                delivery = %delivery.id,
                "failed to check whether the destination is still enabled; the retry checks it \
                 again"
            );
            None
        })
    }

    /// Reports a blocked address as a security event.
    async fn report_blocked(&self, delivery: &Delivery, attempt: &Attempt) {
        let Some(Failure {
            reason: Reason::BlockedAddress,
            detail,
        }) = &attempt.failure
        else {
            return;
        };
        telemetry::metrics::security_event("blocked_address");
        tracing::warn!(delivery = %delivery.id, detail, security_event = true, "blocked_address");
        let event = AuditEvent::by_system(
            Ulid::untagged(&self.clock, &self.random).into(),
            delivery.organization,
            self.clock.now(),
            "blocked_address",
            delivery.id,
        )
        .denied();
        self.dispatcher.record_refusal(&event).await;
    }

    async fn store_settled(
        &self,
        before: &Delivery,
        after: &Delivery,
        token: &str,
    ) -> Result<Settled, StoreError> {
        let mut wait = SETTLE_WAIT_FIRST;
        for _ in 1..SETTLE_TRIES {
            match self.store.settle(before, after, token).await {
                Err(error) if error.is_unavailable() => tokio::time::sleep(wait).await,
                settled => return settled,
            }
            wait *= 3;
        }
        self.store.settle(before, after, token).await
    }

    /// Stores the body that was sent. The attempt counts even if that fails, because sending it
    /// again would be worse.
    async fn keep_body(&self, delivery: &Delivery, body: &SentBody) {
        let mut stored = self.store.keep_body(delivery, body).await;
        let mut wait = SETTLE_WAIT_FIRST;
        for _ in 1..SETTLE_TRIES {
            match &stored {
                Err(error) if error.is_unavailable() => tokio::time::sleep(wait).await,
                _ => break,
            }
            wait *= 3;
            stored = self.store.keep_body(delivery, body).await;
        }
        if let Err(error) = stored {
            tracing::warn!(
                error = %domain::chain(&error),
                delivery = %delivery.id,
                "failed to store the body that was sent; it cannot be shown"
            );
        }
    }

    /// Records an attempt whose delivery changed while it ran. A success still ends a delivery that
    /// has not succeeded; any other outcome is only added to the history.
    async fn settle_late(
        &self,
        before: &Delivery,
        attempt: Attempt,
        settlement: &Settlement,
        received: &Received,
    ) -> Disposal {
        let recorded = match &settlement.after {
            AfterAttempt::Succeeded(receipt) => {
                self.store
                    .apply_late_success(
                        before.organization,
                        before.id,
                        attempt,
                        receipt,
                        self.clock.now(),
                    )
                    .await
            }
            _ => {
                self.store
                    .append_late_attempt(before.organization, before.id, attempt)
                    .await
            }
        };
        match recorded {
            Ok(()) => Disposal::Done,
            Err(error) => {
                tracing::warn!(
                    error = %domain::chain(&error),
                    delivery = %before.id,
                    "failed to record a late attempt; its task returns to the queue"
                );
                return_to_queue(&self.inbox, received).await
            }
        }
    }

    async fn dispose(&self, received: &Received, action: QueueAction) -> Disposal {
        match action {
            QueueAction::Acknowledge | QueueAction::LeaveToDueIndex(_) => Disposal::Done,
            // Rounded down to whole seconds. The worker waits for the rest when it receives the
            // task again.
            QueueAction::Hold(until) => {
                hold(&self.inbox, received, until.since(self.clock.now())).await
            }
        }
    }

    /// Counts the attempt in its destination's health. An attempt is not counted if the process
    /// ends before this call, and no attempt is counted twice.
    async fn count(
        &self,
        delivery: &Delivery,
        destination: &Destination,
        item: &Item,
        attempt: &Attempt,
        settlement: &Settlement,
        token: &str,
    ) {
        let health = &item.work.health;
        // The time when the attempt ended. If different workers count a failure and a success, the
        // later one decides.
        let ended_at = delivery.updated_at;
        let counted = match (&settlement.streak, &attempt.failure) {
            (Streak::Failure, Some(failure)) => {
                let error = LastError {
                    reason: failure.reason,
                    detail: failure.detail.clone(),
                };
                self.store
                    .count_failure(
                        destination.id,
                        delivery.organization,
                        health.epoch,
                        token,
                        ended_at,
                        error,
                    )
                    .await
            }
            (Streak::Success, _) => {
                let noted = health
                    .last_success_at
                    .is_some_and(|at| ended_at.since(at) < SUCCESS_NOTED_EVERY);
                // The health was read before other attempts of this batch failed.
                if health.consecutive_failures == 0
                    && !item.counts.has_failed(destination.id)
                    && (noted || !item.counts.note_success(destination.id))
                {
                    return;
                }
                let policy = policy_of(item, destination);
                let threshold = policy.map_or(u32::MAX, FailurePolicy::first_threshold);
                let rated = policy.is_some_and(|policy| policy.failure_rate.is_some());
                self.store
                    .end_streak(destination.id, health, ended_at, threshold, rated)
                    .await
            }
            _ => return,
        };
        if let Err(error) = counted {
            tracing::warn!(
                error = %domain::chain(&error),
                destination = %destination.id,
                "failed to count an attempt in the destination's health"
            );
        }
    }
}

/// Returns the destination's effective failure policy, or `None` if its organization no longer
/// exists.
fn policy_of<'i>(item: &'i Item, destination: &'i Destination) -> Option<&'i FailurePolicy> {
    item.work
        .settings
        .as_ref()
        .map(|settings| destination.policy(&settings.failure_policy))
}

/// Warns if the time from acceptance to delivery exceeds the organization's threshold.
fn warn_if_slow(delivery: &Delivery, item: &Item) {
    let (State::Succeeded { finished_at, .. }, Some(settings)) =
        (&delivery.state, &item.work.settings)
    else {
        return;
    };
    let latency = finished_at.since(delivery.created_at);
    if latency > Duration::from_millis(u64::from(settings.latency_warning_ms))
        && !delivery.message.test
    {
        telemetry::metrics::threshold_exceeded(Threshold::Latency);
        tracing::warn!(
            latency_ms = latency.as_millis(),
            delivery = %delivery.id,
            destination = %delivery.destination,
            organization = %delivery.organization,
            "a delivery took longer than its organization's warning threshold"
        );
    }
}

/// An attempt that has ended.
struct Finished {
    attempted: Attempted,
    started_at: Timestamp,
    duration_ms: u64,
}

impl Finished {
    fn record(self, delivery: &Delivery) -> Attempt {
        let Attempted {
            outcome,
            detail,
            request,
            response,
            ..
        } = self.attempted;
        let reason = outcome.reason();
        Attempt {
            number: delivery.attempts + 1,
            trigger: delivery.trigger,
            started_at: self.started_at,
            duration_ms: self.duration_ms,
            failure: reason.map(|reason| Failure { reason, detail }),
            request,
            response,
            trace_id: delivery.message.trace,
        }
    }
}
