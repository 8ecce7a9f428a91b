//! Retries and replays: reopens the deliveries that match, each once.
//!
//! A job reopens only deliveries that have not changed since it was requested. It leaves alone
//! those that it reopened itself, that another job or a person changed, and that failed again
//! since. Two identical jobs therefore send nothing twice, and neither does a job that is
//! interrupted and continued.

use std::collections::HashMap;

use domain::attempt::Trigger;
use domain::delivery::Delivery;
use domain::destination::{Destination, DestinationState};
use domain::id::DestinationId;
use futures_util::future::join_all;
use store::{Job, JobKind, JobStatus, StoreError};
use tokio::time::Instant;

use crate::Jobs;
use crate::run::{Step, untouched_since};

/// The most deliveries in a chunk, about one second of work.
const CHUNK: u32 = 50;
/// Steps of the list that are read for a chunk before a run saves its progress. In a long history
/// few deliveries may match.
const STRETCHES_MAX: usize = 20;
/// Deliveries of a chunk that are reopened and queued together. The job rests after them, so that
/// live deliveries come in between (docs/measurements.md).
const REOPENED_AT_ONCE: usize = 3;

/// The outcome for one delivery.
enum Outcome {
    /// The delivery was reopened; its task must be queued.
    Reopened(Box<Delivery>),
    /// The delivery was reopened before this run continued.
    Done,
    /// The delivery needs nothing, or cannot be sent.
    Skipped,
}

/// What the decisions about a chunk's deliveries depend on.
struct ReopenContext {
    destinations: HashMap<DestinationId, Destination>,
}

impl Jobs {
    /// Plans a chunk, or executes the one that is planned.
    pub(crate) async fn reopen(&self, mut job: Job, resumed: bool) -> Result<Step, StoreError> {
        if job.chunk.is_empty() {
            if job.walked {
                let now = self.clock.now();
                return self.saved(job.ended(JobStatus::Finished, now)).await;
            }
            let shards = self.shards(&job).await?;
            for _ in 0..STRETCHES_MAX {
                let page = self
                    .store
                    .deliveries_page(job.organization_id, shards, &job.filter, job.after, CHUNK)
                    .await?;
                job.chunk = page
                    .items
                    .iter()
                    .filter(|delivery| is_selected(&job, delivery))
                    .map(|delivery| delivery.id)
                    .collect();
                job.walked = page.next.is_none();
                job.after = page.next;
                if job.walked || !job.chunk.is_empty() {
                    break;
                }
            }
            let Some(planned) = self.save(job.clone()).await? else {
                return self.saved(job).await;
            };
            job = planned;
            if job.chunk.is_empty() {
                return Ok(Step::More(Box::new(job)));
            }
            return self.reopen_chunk(job, false).await;
        }
        self.reopen_chunk(job, resumed).await
    }

    async fn reopen_chunk(&self, mut job: Job, resumed: bool) -> Result<Step, StoreError> {
        let ids: Vec<_> = std::mem::take(&mut job.chunk)
            .into_iter()
            .map(|id| (job.organization_id, id))
            .collect();
        let deliveries: Vec<Delivery> = self
            .store
            .deliveries(&ids)
            .await?
            .into_iter()
            .flatten()
            .collect();
        job.skipped += (ids.len() - deliveries.len()) as u64;
        let reopen_context = self.reopen_context(&job, &deliveries).await?;
        let (mut done, mut skipped, mut failed) = (0, 0, 0);
        for some in deliveries.chunks(REOPENED_AT_ONCE) {
            let started = Instant::now();
            let one = |delivery: &Delivery| {
                self.reopen_one(&job, &reopen_context, delivery.clone(), resumed)
            };
            let outcomes = join_all(some.iter().map(one)).await;
            let (mut reopened, mut unavailable) = (Vec::new(), None);
            for outcome in outcomes {
                match outcome {
                    Ok(Outcome::Reopened(delivery)) => reopened.push(*delivery),
                    Ok(Outcome::Done) => done += 1,
                    Ok(Outcome::Skipped) => skipped += 1,
                    Err(error) if error.is_unavailable() => unavailable = Some(error),
                    Err(error) => {
                        tracing::error!(
                            error = %domain::chain(&error),
                            job = %job.id,
                            "failed to reopen a delivery"
                        );
                        failed += 1;
                    }
                }
            }
            self.dispatcher
                .send_or_remember(&reopened, self.clock.now())
                .await;
            if let Some(error) = unavailable {
                // The chunk is executed again; the deliveries that were reopened then count as
                // done.
                return Err(error);
            }
            done += reopened.len() as u64;
            self.pause_after(started.elapsed()).await;
        }
        job.done += done;
        job.skipped += skipped;
        job.failed += failed;
        job.total = job.total.max(job.done + job.skipped + job.failed);
        self.saved(job).await
    }

    async fn reopen_context(
        &self,
        job: &Job,
        deliveries: &[Delivery],
    ) -> Result<ReopenContext, StoreError> {
        let mut ids: Vec<DestinationId> = deliveries
            .iter()
            .map(|delivery| delivery.destination)
            .collect();
        ids.sort();
        ids.dedup();
        let destinations = self
            .store
            .destinations(job.organization_id, &ids)
            .await?
            .into_iter()
            .flatten();
        Ok(ReopenContext {
            destinations: destinations
                .map(|destination| (destination.id, destination))
                .collect(),
        })
    }

    async fn reopen_one(
        &self,
        job: &Job,
        reopen_context: &ReopenContext,
        before: Delivery,
        resumed: bool,
    ) -> Result<Outcome, StoreError> {
        if !untouched_since(job, before.updated_at) {
            // After a crash, a delivery that has changed since the chunk was planned was changed by
            // the chunk.
            return Ok(if resumed {
                Outcome::Done
            } else {
                Outcome::Skipped
            });
        }
        let now = self.clock.now();
        let takes = reopen_context
            .destinations
            .get(&before.destination)
            .is_some_and(|destination| match destination.state {
                DestinationState::Enabled | DestinationState::Paused { .. } => true,
                DestinationState::Disabled { .. } => before.message.test,
                DestinationState::Deleted { .. } => false,
            });
        if !takes || self.store.content(&before).await?.is_none() {
            return Ok(Outcome::Skipped);
        }
        let trigger = if job.kind == JobKind::Replay {
            Trigger::Replay
        } else {
            Trigger::Manual
        };
        let Ok(after) = before.clone().reopen(trigger, false, now) else {
            return Ok(Outcome::Skipped);
        };
        // A lost race means that the delivery moved on without the job.
        let won = self.store.transition(&before, &after).await?;
        Ok(if won {
            Outcome::Reopened(Box::new(after))
        } else {
            Outcome::Skipped
        })
    }
}

/// Whether the job includes this delivery.
fn is_selected(job: &Job, delivery: &Delivery) -> bool {
    let recent = |since| delivery.state.finished_at().is_some_and(|at| at >= since);
    let own = job.kind == JobKind::Replay
        && (delivery.message.event_type.is_reserved() || delivery.message.test);
    job.finished_since.is_none_or(recent) && !own
}
