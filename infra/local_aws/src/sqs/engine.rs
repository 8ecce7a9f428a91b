//! The engine of the queues. It has one owner, never waits, and is independent of the wire format.

use std::sync::Arc;

use super::OpenError;
use super::lanes::{Counts, Entry, Lanes, Share, State};
use super::ledger::{Content, Ledger};
use super::limits::{IN_FLIGHT_MAX, VISIBILITY_SECONDS_MAX};
use super::receipt::{MessageKey, Receipt};
use super::refusal::Refusal;
use super::send::Outgoing;
use super::spec::{DeadLetters, Directory, Queue, QueueId};
use crate::NowMs;

/// The most messages that one receive reads, including those that it moves to the dead-letter
/// queue, and the most that one step expires.
const MESSAGES_PER_STEP_MAX: usize = 1_000;

/// How many keys each millisecond has, so that keys of a later start are greater than all earlier
/// ones.
const KEYS_PER_MS: i64 = 1_024;

/// All queues: the durable [`Ledger`] and the in-memory [`Lanes`], which determine the order.
pub(super) struct Engine {
    ledger: Ledger,
    directory: Arc<Directory>,
    lanes: Vec<Lanes>,
    clock: NowMs,
    next_key: i64,
}

/// A message as one receive returns it.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) receipt: Receipt,
    pub(super) group: Arc<str>,
    pub(super) sent_at_ms: u64,
    pub(super) content: Content,
}

/// The result of a receive.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) messages: Vec<Delivered>,
    /// How long until a waiting message becomes visible; `None` if none waits.
    pub(super) next_in_ms: Option<u64>,
}

impl Engine {
    pub(super) fn open(
        path: &std::path::Path,
        directory: Arc<Directory>,
        clock: NowMs,
    ) -> Result<Self, OpenError> {
        let ledger = Ledger::open(path, &directory)?;
        let now_ms = clock();
        let failed = |source| OpenError::Sqlite {
            path: path.to_owned(),
            source,
        };
        ledger.blame_crash().map_err(failed)?;
        let lanes = ledger.load(now_ms).map_err(failed)?;
        let after_last = ledger
            .last_key()
            .map_err(failed)?
            .map_or(0, |key| key.0 + 1);
        let next_key = after_last.max(
            i64::try_from(now_ms)
                .unwrap_or(0)
                .saturating_mul(KEYS_PER_MS),
        );
        Ok(Self {
            ledger,
            directory,
            lanes,
            clock,
            next_key,
        })
    }

    /// Opens the transaction of all calls until [`Engine::commit`].
    pub(super) fn begin(&mut self) -> Result<(), Refusal> {
        Ok(self.ledger.begin()?)
    }

    pub(super) fn commit(&mut self) -> Result<(), Refusal> {
        Ok(self.ledger.commit()?)
    }

    /// Discards the transaction after a failure and reads the file again. Messages in flight become
    /// visible, as after a restart.
    pub(super) fn recover(&mut self) {
        let reloaded = self
            .ledger
            .roll_back()
            .and_then(|()| self.ledger.load((self.clock)()));
        match reloaded {
            Ok(lanes) => {
                let shares: Vec<Share> = self.lanes.iter().map(Lanes::share).collect();
                self.lanes = lanes;
                self.lanes
                    .iter_mut()
                    .zip(shares)
                    .for_each(|(lanes, share)| lanes.limit_shares(share));
            }
            Err(error) => tracing::error!(%error, "failed to read the queue file again"),
        }
    }

    pub(super) fn send(
        &mut self,
        queue: QueueId,
        messages: &[Outgoing],
    ) -> Result<Vec<MessageKey>, Refusal> {
        let now_ms = (self.clock)();
        let waited_for = self.lanes(queue).next_visible_at_ms();
        let default_delay_seconds = self.queue(queue).spec.delay_seconds;
        let mut keys = Vec::with_capacity(messages.len());
        for message in messages {
            let key = MessageKey(self.next_key);
            let visible_at_ms =
                now_ms + u64::from(message.delay_seconds.unwrap_or(default_delay_seconds)) * 1000;
            self.ledger
                .add(key, queue, message, now_ms, visible_at_ms)?;
            self.next_key += 1;
            let group = message.group.as_deref().unwrap_or_default().into();
            let subgroup = message.subgroup.as_deref().unwrap_or_default().into();
            let state = State::until(visible_at_ms, now_ms);
            self.arrive(
                queue,
                key,
                Entry {
                    group,
                    subgroup,
                    sent_at_ms: now_ms,
                    receives: 0,
                    crashes: 0,
                    state,
                },
            );
            keys.push(key);
        }
        self.ring_if_earlier(queue, waited_for);
        Ok(keys)
    }

    /// Receives up to `count` messages and hides them, those of the tenant with the fewest messages
    /// in flight first. A message that was received too often is moved to the dead-letter queue
    /// instead. A message that may have killed a process is received alone.
    pub(super) fn receive(
        &mut self,
        queue: QueueId,
        count: usize,
        visibility_seconds: u32,
    ) -> Result<Found, Refusal> {
        let now_ms = (self.clock)();
        self.catch_up(queue, now_ms)?;
        let waited_for = self.lanes(queue).next_visible_at_ms();
        let room = IN_FLIGHT_MAX - self.lanes(queue).counts().in_flight.min(IN_FLIGHT_MAX);
        if room == 0 {
            return Err(Refusal::OverLimit);
        }
        let mut messages = Vec::new();
        for _ in 0..MESSAGES_PER_STEP_MAX {
            let Some(next) = self.lanes[queue.0].next(now_ms) else {
                break;
            };
            let (key, is_suspect) = (next.key, next.is_suspect());
            match self.queue(queue).dead_letters {
                Some(dead_letters) if next.entry.receives >= dead_letters.max_receive_count => {
                    self.redrive(key, queue, dead_letters, now_ms)?;
                    continue;
                }
                _ if messages.len() == count.min(room) || is_suspect && !messages.is_empty() => {
                    break;
                }
                _ => messages.push(self.deliver(key, queue, now_ms, visibility_seconds)?),
            }
            if is_suspect {
                break;
            }
        }
        self.ring_if_earlier(queue, waited_for);
        let lanes = self.lanes(queue);
        let next_in_ms = lanes
            .next_at_ms(now_ms)
            .map(|at_ms| at_ms.saturating_sub(now_ms));
        Ok(Found {
            messages,
            next_in_ms,
        })
    }

    /// Deletes the message of a receipt. If it no longer exists or was received again, nothing is
    /// deleted and the call succeeds, as in SQS.
    pub(super) fn delete(&mut self, queue: QueueId, receipt: Receipt) -> Result<(), Refusal> {
        if self
            .lanes(queue)
            .get(receipt.key)
            .is_some_and(|entry| entry.receives == receipt.receives)
        {
            self.ledger.delete(receipt.key)?;
            self.lanes[queue.0].remove(receipt.key);
            self.ring_if_ready(queue);
        }
        Ok(())
    }

    /// Sets when a message in flight becomes visible again.
    pub(super) fn hide(
        &mut self,
        queue: QueueId,
        receipt: Receipt,
        visibility_seconds: u32,
    ) -> Result<(), Refusal> {
        let now_ms = (self.clock)();
        self.lanes[queue.0].advance(now_ms);
        let entry = self
            .lanes(queue)
            .get(receipt.key)
            .filter(|entry| entry.receives == receipt.receives);
        let since_ms = match entry.map(|entry| entry.state) {
            None => return Err(gone(receipt, &self.queue(queue).spec.name)),
            Some(State::Ready { .. } | State::Delayed { .. }) => {
                return Err(Refusal::MessageNotInflight);
            }
            Some(State::InFlight { since_ms, .. }) => since_ms,
        };
        let until_ms = now_ms + u64::from(visibility_seconds) * 1000;
        if until_ms - since_ms > u64::from(VISIBILITY_SECONDS_MAX) * 1000 {
            return Err(Refusal::InvalidParameterValue {
                parameter: "VisibilityTimeout",
                value: visibility_seconds.to_string(),
                reason: format!(
                    "Total VisibilityTimeout for the message is beyond the limit \
                     [{VISIBILITY_SECONDS_MAX} seconds]"
                ),
            });
        }
        let waited_for = self.lanes(queue).next_visible_at_ms();
        self.ledger.mark_returned(receipt.key)?;
        self.lanes[queue.0].hide_until(receipt.key, until_ms);
        self.ring_if_earlier(queue, waited_for);
        self.ring_if_ready(queue);
        Ok(())
    }

    /// Limits how many messages of one tenant, and of one subgroup within a tenant, may be in
    /// flight.
    pub(super) fn limit_shares(&mut self, queue: QueueId, share: Share) {
        self.lanes[queue.0].limit_shares(share);
    }

    /// Returns the bodies of all messages that were in flight when a process died.
    pub(super) fn interrupted(&self) -> Result<Vec<String>, Refusal> {
        Ok(self.ledger.interrupted()?)
    }

    pub(super) fn purge(&mut self, queue: QueueId) -> Result<(), Refusal> {
        self.ledger.purge(queue)?;
        let share = self.lanes(queue).share();
        self.lanes[queue.0] = Lanes::default();
        self.lanes[queue.0].limit_shares(share);
        Ok(())
    }

    pub(super) fn counts(&mut self, queue: QueueId) -> Result<Counts, Refusal> {
        self.catch_up(queue, (self.clock)())?;
        Ok(self.lanes(queue).counts())
    }

    /// Returns the age of the oldest message that is neither deleted nor expired.
    pub(super) fn oldest_age_ms(&mut self, queue: QueueId) -> Result<Option<u64>, Refusal> {
        let now_ms = (self.clock)();
        self.catch_up(queue, now_ms)?;
        Ok(self
            .lanes(queue)
            .oldest_sent_at_ms()
            .map(|sent_at_ms| now_ms.saturating_sub(sent_at_ms)))
    }

    pub(super) fn close(self) -> Result<(), Refusal> {
        Ok(self.ledger.close()?)
    }

    fn deliver(
        &mut self,
        key: MessageKey,
        queue: QueueId,
        now_ms: u64,
        visibility_seconds: u32,
    ) -> Result<Delivered, Refusal> {
        let content = self.ledger.receive(key, now_ms)?;
        let lanes = &mut self.lanes[queue.0];
        lanes.receive(key, now_ms, now_ms + u64::from(visibility_seconds) * 1000);
        let entry = lanes.get(key).ok_or_else(|| {
            Refusal::Storage(format!(
                "message {} disappeared while it was received",
                key.0
            ))
        })?;
        let receipt = Receipt {
            key,
            receives: entry.receives,
        };
        Ok(Delivered {
            receipt,
            group: Arc::clone(&entry.group),
            sent_at_ms: entry.sent_at_ms,
            content,
        })
    }

    fn redrive(
        &mut self,
        key: MessageKey,
        from: QueueId,
        to: DeadLetters,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        self.ledger.redrive(key, from, to.queue, now_ms)?;
        if let Some(entry) = self.lanes[from.0].remove(key) {
            self.arrive(
                to.queue,
                key,
                Entry {
                    crashes: 0,
                    state: State::Ready { since_ms: now_ms },
                    ..entry
                },
            );
        }
        Ok(())
    }

    fn arrive(&mut self, queue: QueueId, key: MessageKey, entry: Entry) {
        let ready = matches!(entry.state, State::Ready { .. });
        self.lanes[queue.0].put(key, entry);
        if ready {
            self.queue(queue).bell.notify_one();
        }
    }

    /// Makes due messages visible and expires old ones.
    fn catch_up(&mut self, queue: QueueId, now_ms: u64) -> Result<(), Refusal> {
        self.lanes[queue.0].advance(now_ms);
        let retention_ms = u64::from(self.queue(queue).spec.message_retention_seconds) * 1000;
        let Some(expired_ms) = now_ms.checked_sub(retention_ms) else {
            return Ok(());
        };
        for key in self
            .lanes(queue)
            .sent_until(expired_ms, MESSAGES_PER_STEP_MAX)
        {
            self.ledger.delete(key)?;
            self.lanes[queue.0].remove(key);
        }
        Ok(())
    }

    /// Wakes long polls if the next message becomes visible earlier than they expect.
    fn ring_if_earlier(&self, queue: QueueId, waited_for: Option<u64>) {
        if let Some(now_waiting_for) = self.lanes(queue).next_visible_at_ms()
            && waited_for.is_none_or(|before| now_waiting_for < before)
        {
            self.queue(queue).bell.notify_waiters();
        }
    }

    /// Wakes long polls if a finished message made room for another of its tenant.
    fn ring_if_ready(&self, queue: QueueId) {
        let lanes = self.lanes(queue);
        if lanes.share() != Share::UNLIMITED && lanes.counts().ready > 0 {
            self.queue(queue).bell.notify_one();
        }
    }

    fn lanes(&self, queue: QueueId) -> &Lanes {
        &self.lanes[queue.0]
    }

    fn queue(&self, queue: QueueId) -> &Queue {
        self.directory.get(queue)
    }
}

fn gone(receipt: Receipt, queue: &str) -> Refusal {
    Refusal::InvalidParameterValue {
        parameter: "ReceiptHandle",
        value: receipt.handle(queue),
        reason: "Message does not exist or is not available for visibility timeout change."
            .to_owned(),
    }
}
