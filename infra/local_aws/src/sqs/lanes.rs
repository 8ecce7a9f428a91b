//! The order in which a queue is served: by tenant, the one with the fewest messages in flight
//! first, and within a tenant by subgroup in the same way.
//!
//! A message has a tenant (its message group, up to a `/`) and, if its sender names one, a subgroup
//! within it. The ready messages of a subgroup form a lane, oldest first. A tenant's next message
//! comes from the lane with the fewest messages in flight; the queue's next message comes from the
//! tenant with the fewest. [`Share`] limits both. Delayed messages and those in flight wait, sorted
//! by when they become visible, and [`Lanes::advance`] moves those that are due. Every step is
//! logarithmic in the backlog.
//!
//! Messages that were in flight when a process died are suspects and are served separately
//! ([`super::suspects`]).
//!
//! By tenant this is fair queueing as SQS describes it ("Amazon SQS fair queues"). Subgroups and
//! limits are additions; on AWS, Lambda's concurrency has that role. Lanes contain only keys of
//! messages; their content is in the ledger.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::receipt::MessageKey;
use super::suspects::Suspects;

/// A message group or a part of one. Messages without a group share the empty name.
pub(super) type Group = Arc<str>;

/// What the queue knows about a message without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The message group that the message was sent in.
    pub(super) group: Group,
    /// The subgroup within the tenant; empty if the sender named none.
    pub(super) subgroup: Group,
    pub(super) sent_at_ms: u64,
    /// How often the message was received.
    pub(super) receives: u32,
    /// How often a process died while the message was in flight.
    pub(super) crashes: u32,
    pub(super) state: State,
}

impl Entry {
    /// Returns the part of the message group that names the tenant.
    fn tenant(&self) -> Group {
        match self.group.split_once('/') {
            Some((tenant, _)) => tenant.into(),
            None => Arc::clone(&self.group),
        }
    }
}

/// The state of a message. After sending it is delayed or ready. After a receive it is in flight
/// until it is deleted or becomes ready again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Ready {
        since_ms: u64,
    },
    Delayed {
        until_ms: u64,
    },
    InFlight {
        since_ms: u64,
        until_ms: u64,
        /// Whether the receiver returned the message until then and no longer works on it.
        was_returned: bool,
    },
}

impl State {
    /// Returns the state of a message that can be received from a time on.
    pub(super) fn until(visible_at_ms: u64, now_ms: u64) -> Self {
        if visible_at_ms > now_ms {
            Self::Delayed {
                until_ms: visible_at_ms,
            }
        } else {
            Self::Ready {
                since_ms: visible_at_ms,
            }
        }
    }

    fn is_at_work(self) -> bool {
        matches!(
            self,
            Self::InFlight {
                was_returned: false,
                ..
            }
        )
    }
}

/// The most messages that may be processed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The limit for one tenant.
    pub tenant: usize,
    /// The limit for one subgroup within a tenant.
    pub subgroup: usize,
}

impl Share {
    /// No limits, as in SQS.
    pub const UNLIMITED: Self = Self {
        tenant: usize::MAX,
        subgroup: usize::MAX,
    };

    fn tenant_max(self, tenant: &str) -> usize {
        if tenant.is_empty() {
            usize::MAX
        } else {
            self.tenant
        }
    }

    fn subgroup_max(self, subgroup: &str) -> usize {
        if subgroup.is_empty() {
            usize::MAX
        } else {
            self.subgroup
        }
    }
}

impl Default for Share {
    fn default() -> Self {
        Self::UNLIMITED
    }
}

/// How many messages are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) ready: usize,
    pub(super) delayed: usize,
    pub(super) in_flight: usize,
}

/// How many messages are being processed, since when the first one has been ready, its key, and its
/// group.
type Turn = (usize, u64, MessageKey, Group);

#[derive(Debug, Default)]
struct Lane {
    ready: BTreeSet<(u64, MessageKey)>,
    at_work: usize,
}

impl Lane {
    fn turn(&self, subgroup: &Group, share: Share) -> Option<Turn> {
        let &(since_ms, key) = self
            .ready
            .first()
            .filter(|_| self.at_work < share.subgroup_max(subgroup))?;
        Some((self.at_work, since_ms, key, Arc::clone(subgroup)))
    }
}

#[derive(Debug, Default)]
struct Tenant {
    lanes: HashMap<Group, Lane>,
    turns: BTreeSet<Turn>,
    at_work: usize,
}

impl Tenant {
    fn turn(&self, name: &Group, share: Share) -> Option<Turn> {
        let (_, since_ms, key, _) = self
            .turns
            .first()
            .filter(|_| self.at_work < share.tenant_max(name))?;
        Some((self.at_work, *since_ms, *key, Arc::clone(name)))
    }

    /// Changes a lane and updates its turn. An empty lane is removed.
    fn with_lane(&mut self, subgroup: &Group, share: Share, change: impl FnOnce(&mut Lane)) {
        let lane = self.lanes.entry(Arc::clone(subgroup)).or_default();
        let before = lane.turn(subgroup, share);
        let at_work = lane.at_work;
        change(lane);
        let after = lane.turn(subgroup, share);
        self.at_work = self.at_work - at_work + lane.at_work;
        if lane.ready.is_empty() && lane.at_work == 0 {
            self.lanes.remove(subgroup);
        }
        replace(&mut self.turns, before, after);
    }
}

fn replace(turns: &mut BTreeSet<Turn>, before: Option<Turn>, after: Option<Turn>) {
    if before != after {
        if let Some(turn) = before {
            turns.remove(&turn);
        }
        turns.extend(after);
    }
}

/// The next message to serve.
pub(super) struct Next<'l> {
    pub(super) key: MessageKey,
    pub(super) entry: &'l Entry,
}

impl Next<'_> {
    /// Whether the message may have killed a process and must be served alone.
    pub(super) fn is_suspect(&self) -> bool {
        self.entry.crashes > 0
    }
}

/// All messages of one queue.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    entries: BTreeMap<MessageKey, Entry>,
    tenants: HashMap<Group, Tenant>,
    turns: BTreeSet<Turn>,
    suspects: Suspects,
    waiting: BTreeSet<(u64, MessageKey)>,
    counts: Counts,
    share: Share,
}

impl Lanes {
    /// Sets the limits for one tenant and for one subgroup.
    pub(super) fn limit_shares(&mut self, share: Share) {
        let entries = std::mem::take(&mut self.entries);
        for (key, entry) in &entries {
            self.leave(*key, entry);
        }
        self.share = share;
        for (key, entry) in &entries {
            self.enter(*key, entry);
        }
        self.entries = entries;
    }

    pub(super) fn share(&self) -> Share {
        self.share
    }

    /// Adds a message, or replaces what is known about it.
    pub(super) fn put(&mut self, key: MessageKey, entry: Entry) {
        self.remove(key);
        self.enter(key, &entry);
        self.entries.insert(key, entry);
    }

    /// Removes a message and returns its entry.
    pub(super) fn remove(&mut self, key: MessageKey) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        self.leave(key, &entry);
        Some(entry)
    }

    pub(super) fn get(&self, key: MessageKey) -> Option<&Entry> {
        self.entries.get(&key)
    }

    /// Returns the message to serve next: a suspect that is due, or else the first by the tenants'
    /// turns.
    pub(super) fn next(&self, now_ms: u64) -> Option<Next<'_>> {
        let key = self
            .suspects
            .next(now_ms)
            .or_else(|| self.turns.first().map(|turn| turn.2))?;
        self.entries.get(&key).map(|entry| Next { key, entry })
    }

    /// Makes due messages visible.
    pub(super) fn advance(&mut self, now_ms: u64) {
        self.suspects.look(now_ms);
        while let Some(&(until_ms, key)) = self.waiting.first()
            && until_ms <= now_ms
        {
            self.change(key, |entry| {
                entry.state = State::Ready { since_ms: until_ms }
            });
        }
    }

    /// Counts a receive and hides the message.
    pub(super) fn receive(&mut self, key: MessageKey, since_ms: u64, until_ms: u64) {
        self.change(key, |entry| {
            entry.receives += 1;
            entry.state = State::InFlight {
                since_ms,
                until_ms,
                was_returned: false,
            };
        });
    }

    /// Hides a message in flight until another time. A message that is returned has not killed its
    /// process.
    pub(super) fn hide_until(&mut self, key: MessageKey, until_ms: u64) {
        self.change(key, |entry| {
            if let State::InFlight { since_ms, .. } = entry.state {
                entry.state = State::InFlight {
                    since_ms,
                    until_ms,
                    was_returned: true,
                };
                entry.crashes = 0;
            }
        });
    }

    /// Returns at most `limit` messages that were sent at `sent_ms` or before, oldest first.
    pub(super) fn sent_until(&self, sent_ms: u64, limit: usize) -> Vec<MessageKey> {
        self.entries
            .iter()
            .take(limit)
            .take_while(|(_, entry)| entry.sent_at_ms <= sent_ms)
            .map(|(key, _)| *key)
            .collect()
    }

    /// Returns when the next waiting message becomes visible.
    pub(super) fn next_visible_at_ms(&self) -> Option<u64> {
        self.waiting.first().map(|&(until_ms, _)| until_ms)
    }

    /// Returns when there may be a message to serve; `None` if none is ready or waiting.
    pub(super) fn next_at_ms(&self, now_ms: u64) -> Option<u64> {
        if self.next(now_ms).is_some() {
            return Some(now_ms);
        }
        [
            self.next_visible_at_ms(),
            self.suspects.next_look_at_ms(now_ms),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Returns when the oldest message was sent. Keys grow with time, so it is the first.
    pub(super) fn oldest_sent_at_ms(&self) -> Option<u64> {
        self.entries
            .first_key_value()
            .map(|(_, entry)| entry.sent_at_ms)
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    fn change(&mut self, key: MessageKey, change: impl FnOnce(&mut Entry)) {
        if let Some(mut entry) = self.entries.remove(&key) {
            self.leave(key, &entry);
            change(&mut entry);
            self.enter(key, &entry);
            self.entries.insert(key, entry);
        }
    }

    fn enter(&mut self, key: MessageKey, entry: &Entry) {
        match entry.state {
            State::Ready { since_ms } => {
                self.counts.ready += 1;
                match entry.crashes {
                    0 => self.with_lane(entry, |lane| {
                        lane.ready.insert((since_ms, key));
                    }),
                    crashes => self.suspects.add_ready(key, crashes, since_ms),
                }
            }
            State::Delayed { until_ms } => {
                self.counts.delayed += 1;
                self.waiting.insert((until_ms, key));
            }
            State::InFlight {
                since_ms, until_ms, ..
            } => {
                self.counts.in_flight += 1;
                self.waiting.insert((until_ms, key));
                if entry.state.is_at_work() {
                    self.with_lane(entry, |lane| lane.at_work += 1);
                    if entry.crashes > 0 {
                        self.suspects.begin(key, entry.crashes, since_ms);
                    }
                }
            }
        }
    }

    fn leave(&mut self, key: MessageKey, entry: &Entry) {
        match entry.state {
            State::Ready { since_ms } => {
                self.counts.ready -= 1;
                match entry.crashes {
                    0 => self.with_lane(entry, |lane| {
                        lane.ready.remove(&(since_ms, key));
                    }),
                    crashes => self.suspects.remove_ready(key, crashes, since_ms),
                }
            }
            State::Delayed { until_ms } => {
                self.counts.delayed -= 1;
                self.waiting.remove(&(until_ms, key));
            }
            State::InFlight { until_ms, .. } => {
                self.counts.in_flight -= 1;
                self.waiting.remove(&(until_ms, key));
                if entry.state.is_at_work() {
                    self.with_lane(entry, |lane| lane.at_work -= 1);
                    self.suspects.end(key);
                }
            }
        }
    }

    /// Changes the lane of a message and updates its tenant's turn. A tenant without messages is
    /// removed.
    fn with_lane(&mut self, entry: &Entry, change: impl FnOnce(&mut Lane)) {
        let (name, share) = (entry.tenant(), self.share);
        let tenant = self.tenants.entry(Arc::clone(&name)).or_default();
        let before = tenant.turn(&name, share);
        tenant.with_lane(&entry.subgroup, share, change);
        let after = tenant.turn(&name, share);
        if tenant.lanes.is_empty() {
            self.tenants.remove(&name);
        }
        replace(&mut self.turns, before, after);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn ready(group: &str, since_ms: u64) -> Entry {
        at(group, "", since_ms)
    }

    fn at(group: &str, subgroup: &str, since_ms: u64) -> Entry {
        let state = State::Ready { since_ms };
        Entry {
            group: group.into(),
            subgroup: subgroup.into(),
            sent_at_ms: since_ms,
            receives: 0,
            crashes: 0,
            state,
        }
    }

    /// Receives all messages and returns their groups in the order served.
    fn serve(lanes: &mut Lanes, count: usize) -> Vec<String> {
        let mut served = Vec::new();
        while served.len() < count {
            let Some(Next { key, entry }) = lanes.next(0) else {
                break;
            };
            served.push(if entry.subgroup.is_empty() {
                entry.group.to_string()
            } else {
                entry.subgroup.to_string()
            });
            lanes.receive(key, 0, 1_000);
        }
        served
    }

    #[test]
    fn serves_the_group_with_the_fewest_in_flight() {
        let mut lanes = Lanes::default();
        for key in 0..100 {
            lanes.put(MessageKey(key), ready("loud", 0));
        }
        lanes.put(MessageKey(100), ready("quiet", 5));
        lanes.put(MessageKey(101), ready("calm", 6));
        assert_eq!(serve(&mut lanes, 4), ["loud", "quiet", "calm", "loud"]);
        lanes.put(MessageKey(102), ready("quiet", 7));
        assert_eq!(serve(&mut lanes, 2), ["quiet", "loud"]);
        assert_eq!(
            lanes.counts(),
            Counts {
                ready: 97,
                delayed: 0,
                in_flight: 6
            }
        );
    }

    #[test]
    fn a_message_that_comes_back_queues_behind_those_that_waited() {
        let mut lanes = Lanes::default();
        lanes.put(MessageKey(1), ready("a", 0));
        lanes.put(MessageKey(2), ready("a", 1));
        lanes.receive(MessageKey(1), 10, 50);
        lanes.hide_until(MessageKey(1), 20);
        assert_eq!(lanes.next_visible_at_ms(), Some(20));
        lanes.advance(19);
        assert_eq!(lanes.counts().in_flight, 1);
        lanes.advance(20);
        assert_eq!(lanes.next(30).unwrap().key, MessageKey(2));
        assert_eq!(lanes.get(MessageKey(1)).unwrap().receives, 1);
    }

    #[test]
    fn delayed_messages_are_not_in_flight() {
        let mut lanes = Lanes::default();
        lanes.put(
            MessageKey(1),
            Entry {
                state: State::Delayed { until_ms: 30 },
                ..ready("a", 0)
            },
        );
        assert!(lanes.next(0).is_none());
        assert_eq!(
            lanes.counts(),
            Counts {
                ready: 0,
                delayed: 1,
                in_flight: 0
            }
        );
        lanes.advance(30);
        assert_eq!(lanes.next(30).unwrap().key, MessageKey(1));
    }

    #[test]
    fn deleted_messages_leave_no_entries() {
        let mut lanes = Lanes::default();
        for key in 0..10 {
            lanes.put(MessageKey(key), ready(&format!("group {}", key % 3), 0));
        }
        serve(&mut lanes, 5);
        assert_eq!(lanes.sent_until(0, 100).len(), 10);
        for key in 0..10 {
            lanes.remove(MessageKey(key)).unwrap();
        }
        assert_eq!(lanes.counts(), Counts::default());
        assert!(lanes.tenants.is_empty() && lanes.turns.is_empty() && lanes.waiting.is_empty());
        assert_eq!(lanes.oldest_sent_at_ms(), None);
    }

    #[test]
    fn serves_by_tenant_first_and_then_by_subgroup_however_many_groups_a_tenant_has() {
        let mut lanes = Lanes::default();
        for key in 0..40 {
            lanes.put(
                MessageKey(key),
                at(
                    &format!("acme/{}", key % 4),
                    &format!("acme's {}", key % 2),
                    0,
                ),
            );
        }
        for key in 40..44 {
            lanes.put(MessageKey(key), at("globex/0", "globex's", 9));
        }
        assert_eq!(
            serve(&mut lanes, 6),
            [
                "acme's 0", "globex's", "acme's 1", "globex's", "acme's 0", "globex's"
            ]
        );
    }

    #[test]
    fn no_tenant_and_no_subgroup_has_more_at_work_than_its_share() {
        let mut lanes = Lanes::default();
        for key in 0..40 {
            lanes.put(
                MessageKey(key),
                at("acme", if key < 38 { "silent" } else { "quick" }, 0),
            );
        }
        lanes.limit_shares(Share {
            tenant: 5,
            subgroup: 3,
        });
        assert_eq!(
            serve(&mut lanes, 40),
            ["silent", "quick", "silent", "quick", "silent"]
        );
        lanes.put(MessageKey(40), at("globex", "globex's", 9));
        assert_eq!(serve(&mut lanes, 40), ["globex's"]);
        lanes.hide_until(MessageKey(0), 500);
        assert_eq!(
            serve(&mut lanes, 40),
            ["silent"],
            "what was put back is no longer at work"
        );
        lanes.limit_shares(Share::UNLIMITED);
        assert_eq!(serve(&mut lanes, 40).len(), 34);
    }

    #[test]
    fn a_suspect_that_is_returned_to_the_queue_is_no_longer_suspect() {
        let mut lanes = Lanes::default();
        lanes.advance(0);
        lanes.put(
            MessageKey(1),
            Entry {
                crashes: 2,
                ..at("acme", "poison", 0)
            },
        );
        lanes.put(
            MessageKey(2),
            Entry {
                crashes: 1,
                ..at("acme", "bystander", 0)
            },
        );
        lanes.put(MessageKey(3), at("acme", "fresh", 5));
        assert_eq!(serve(&mut lanes, 3), ["fresh"]);
        let next = lanes.next(9_000).unwrap();
        assert!(next.is_suspect() && next.key == MessageKey(2));
        lanes.receive(MessageKey(2), 9_000, 99_000);
        assert!(lanes.next(9_000).is_none(), "one at a time");
        lanes.remove(MessageKey(2));
        lanes.receive(lanes.next(9_000).unwrap().key, 9_000, 99_000);
        lanes.hide_until(MessageKey(1), 9_010);
        lanes.advance(9_010);
        assert!(!lanes.next(9_010).unwrap().is_suspect());
    }
}
