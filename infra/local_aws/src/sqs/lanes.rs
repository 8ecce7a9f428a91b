//! The order a queue is served in: one lane per message group, the quietest first.
//!
//! Each **group** has a **lane** of messages ready to be received, oldest first. A lane with ready messages holds one **turn**, sorted by how many of its
//! group's messages are in flight, then by how long its head has been ready; [`Lanes::next`] is the first turn. Messages that are delayed or in flight
//! **wait**, sorted by when they become visible, and [`Lanes::advance`] moves those whose time has come. Every step costs a logarithm of the backlog.
//!
//! This is fair queueing as SQS describes it ("Amazon SQS fair queues"): a group that keeps many messages in flight never holds up the others.
//! It holds names of messages only; their contents stay in the ledger.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::receipt::MessageKey;

/// A message group; messages without one share the empty name.
pub(super) type Group = Arc<str>;

/// What the queue knows of a message without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) group: Group,
    pub(super) sent_at_ms: u64,
    /// How often it was received.
    pub(super) receives: u32,
    pub(super) state: State,
}

/// Where a message stands. Sent, it is delayed or ready; received, it is in flight until it is deleted or its time is over, and ready again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Ready { since_ms: u64 },
    Delayed { until_ms: u64 },
    InFlight { since_ms: u64, until_ms: u64 },
}

impl State {
    /// A message that may be received from a time on.
    pub(super) fn until(visible_at_ms: u64, now_ms: u64) -> Self {
        if visible_at_ms > now_ms { Self::Delayed { until_ms: visible_at_ms } } else { Self::Ready { since_ms: visible_at_ms } }
    }
}

/// How many messages stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) ready: usize,
    pub(super) delayed: usize,
    pub(super) in_flight: usize,
}

#[derive(Debug, Default)]
struct Lane {
    ready: BTreeSet<(u64, MessageKey)>,
    in_flight: usize,
}

type Turn = (usize, u64, MessageKey, Group);

impl Lane {
    fn turn(&self, group: &Group) -> Option<Turn> {
        self.ready.first().map(|&(since_ms, key)| (self.in_flight, since_ms, key, Arc::clone(group)))
    }
}

/// All messages of one queue.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    entries: BTreeMap<MessageKey, Entry>,
    lanes: HashMap<Group, Lane>,
    turns: BTreeSet<Turn>,
    waiting: BTreeSet<(u64, MessageKey)>,
    counts: Counts,
}

impl Lanes {
    /// Adds a message, or replaces what was known of it.
    pub(super) fn put(&mut self, key: MessageKey, entry: Entry) {
        self.remove(key);
        self.enter(key, &entry);
        self.entries.insert(key, entry);
    }

    /// Takes a message out.
    pub(super) fn remove(&mut self, key: MessageKey) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        self.leave(key, &entry);
        Some(entry)
    }

    pub(super) fn get(&self, key: MessageKey) -> Option<&Entry> {
        self.entries.get(&key)
    }

    /// The message to serve next, by the lanes' turns.
    pub(super) fn next(&self) -> Option<(MessageKey, &Entry)> {
        let &(_, _, key, _) = self.turns.first()?;
        self.entries.get(&key).map(|entry| (key, entry))
    }

    /// Makes visible what is due.
    pub(super) fn advance(&mut self, now_ms: u64) {
        while let Some(&(until_ms, key)) = self.waiting.first()
            && until_ms <= now_ms
        {
            self.change(key, |entry| entry.state = State::Ready { since_ms: until_ms });
        }
    }

    /// Counts a receive and hides the message.
    pub(super) fn receive(&mut self, key: MessageKey, since_ms: u64, until_ms: u64) {
        self.change(key, |entry| {
            entry.receives += 1;
            entry.state = State::InFlight { since_ms, until_ms };
        });
    }

    /// Hides a message in flight until another time.
    pub(super) fn hide_until(&mut self, key: MessageKey, until_ms: u64) {
        self.change(key, |entry| {
            if let State::InFlight { since_ms, .. } = entry.state {
                entry.state = State::InFlight { since_ms, until_ms };
            }
        });
    }

    /// The messages sent at `sent_ms` or before, oldest first, at most `limit`.
    pub(super) fn sent_until(&self, sent_ms: u64, limit: usize) -> Vec<MessageKey> {
        self.entries.iter().take(limit).take_while(|(_, entry)| entry.sent_at_ms <= sent_ms).map(|(key, _)| *key).collect()
    }

    /// When the next waiting message becomes visible.
    pub(super) fn next_visible_at_ms(&self) -> Option<u64> {
        self.waiting.first().map(|&(until_ms, _)| until_ms)
    }

    /// When the oldest message was sent. Keys grow with time, so it is the first.
    pub(super) fn oldest_sent_at_ms(&self) -> Option<u64> {
        self.entries.first_key_value().map(|(_, entry)| entry.sent_at_ms)
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
                self.with_lane(&entry.group, |lane| {
                    lane.ready.insert((since_ms, key));
                });
            }
            State::Delayed { until_ms } => {
                self.counts.delayed += 1;
                self.waiting.insert((until_ms, key));
            }
            State::InFlight { until_ms, .. } => {
                self.counts.in_flight += 1;
                self.waiting.insert((until_ms, key));
                self.with_lane(&entry.group, |lane| lane.in_flight += 1);
            }
        }
    }

    fn leave(&mut self, key: MessageKey, entry: &Entry) {
        match entry.state {
            State::Ready { since_ms } => {
                self.counts.ready -= 1;
                self.with_lane(&entry.group, |lane| {
                    lane.ready.remove(&(since_ms, key));
                });
            }
            State::Delayed { until_ms } => {
                self.counts.delayed -= 1;
                self.waiting.remove(&(until_ms, key));
            }
            State::InFlight { until_ms, .. } => {
                self.counts.in_flight -= 1;
                self.waiting.remove(&(until_ms, key));
                self.with_lane(&entry.group, |lane| lane.in_flight -= 1);
            }
        }
    }

    /// Changes a lane and keeps its turn in step; an empty lane goes.
    fn with_lane(&mut self, group: &Group, change: impl FnOnce(&mut Lane)) {
        let lane = self.lanes.entry(Arc::clone(group)).or_default();
        let before = lane.turn(group);
        change(lane);
        let after = lane.turn(group);
        if lane.ready.is_empty() && lane.in_flight == 0 {
            self.lanes.remove(group);
        }
        if before != after {
            if let Some(turn) = before {
                self.turns.remove(&turn);
            }
            self.turns.extend(after);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn ready(group: &str, since_ms: u64) -> Entry {
        Entry { group: group.into(), sent_at_ms: since_ms, receives: 0, state: State::Ready { since_ms } }
    }

    /// Receives everything there is and gives the groups in the order served.
    fn serve(lanes: &mut Lanes, count: usize) -> Vec<String> {
        let mut served = Vec::new();
        while served.len() < count {
            let Some((key, entry)) = lanes.next() else { break };
            served.push(entry.group.to_string());
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
        assert_eq!(lanes.counts(), Counts { ready: 97, delayed: 0, in_flight: 6 });
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
        assert_eq!(lanes.next().unwrap().0, MessageKey(2));
        assert_eq!(lanes.get(MessageKey(1)).unwrap().receives, 1);
    }

    #[test]
    fn delayed_messages_are_not_in_flight() {
        let mut lanes = Lanes::default();
        lanes.put(MessageKey(1), Entry { state: State::Delayed { until_ms: 30 }, ..ready("a", 0) });
        assert!(lanes.next().is_none());
        assert_eq!(lanes.counts(), Counts { ready: 0, delayed: 1, in_flight: 0 });
        lanes.advance(30);
        assert_eq!(lanes.next().unwrap().0, MessageKey(1));
    }

    #[test]
    fn nothing_is_left_behind() {
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
        assert!(lanes.lanes.is_empty() && lanes.turns.is_empty() && lanes.waiting.is_empty());
        assert_eq!(lanes.oldest_sent_at_ms(), None);
    }
}
