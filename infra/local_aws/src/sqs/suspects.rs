//! Suspects: messages that were in flight when a process died, one of which may have killed it.
//!
//! Suspects are served some time after the start, when other messages have been. Those that saw the
//! fewest crashes come first, and among them those that had been in flight longest, because a
//! message that kills its process does so soon. At first one is served. While the process survives,
//! more are served at once, twice as many each time. From [`ALONE_CRASHES`] crashes on, a suspect
//! is alone: no other suspect is served until it is finished. The ledger then attributes a crash to
//! it alone, so that the others are not affected.

use std::collections::{BTreeMap, BTreeSet};

use super::receipt::MessageKey;

/// The number of crashes from which a message is served alone.
pub(super) const ALONE_CRASHES: u32 = 3;
/// A suspect that has been processed for this long did not kill the process as the last one did.
const SURVIVED_MS: u64 = 500;
/// The same for a suspect that is served alone.
const SURVIVED_ALONE_MS: u64 = 10_000;
/// How long after the start a suspect waits for each crash that it saw, so that work that it may
/// interrupt is done first.
const WAIT_MS_PER_CRASH: u64 = 1_000;
const WAIT_MS_MAX: u64 = 5_000;
/// How soon to check again when suspects wait for one another.
const RECHECK_MS: u64 = 50;

/// The suspects of one queue.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// When the queue was first read.
    since_ms: Option<u64>,
    /// The ready suspects, by crashes and by when they were last received.
    ready: BTreeSet<(u32, u64, MessageKey)>,
    at_work: BTreeMap<MessageKey, (u32, u64)>,
    begun: usize,
}

impl Suspects {
    /// Starts the wait when the queue is first read.
    pub(super) fn look(&mut self, now_ms: u64) {
        self.since_ms.get_or_insert(now_ms);
    }

    pub(super) fn add_ready(&mut self, key: MessageKey, crashes: u32, since_ms: u64) {
        self.ready.insert((crashes, since_ms, key));
    }

    pub(super) fn remove_ready(&mut self, key: MessageKey, crashes: u32, since_ms: u64) {
        self.ready.remove(&(crashes, since_ms, key));
    }

    /// Records that a receiver processes the suspect.
    pub(super) fn begin(&mut self, key: MessageKey, crashes: u32, now_ms: u64) {
        self.at_work.insert(key, (crashes, now_ms));
        self.begun += 1;
    }

    /// Records that the receiver has finished with the suspect, whatever the result.
    pub(super) fn end(&mut self, key: MessageKey) {
        self.at_work.remove(&key);
    }

    /// Returns the suspect to serve next, if one may be served now.
    pub(super) fn next(&self, now_ms: u64) -> Option<MessageKey> {
        let &(crashes, _, key) = self.ready.first()?;
        let wait_ms = (u64::from(crashes) * WAIT_MS_PER_CRASH).min(WAIT_MS_MAX);
        if self
            .since_ms
            .is_none_or(|since_ms| now_ms < since_ms + wait_ms)
        {
            return None;
        }
        let unproven = self
            .at_work
            .values()
            .filter(|(crashes, since_ms)| !has_survived(*crashes, *since_ms, now_ms));
        let (mut count, mut is_alone) = (0, false);
        for (crashes, _) in unproven {
            count += 1;
            is_alone |= *crashes >= ALONE_CRASHES;
        }
        let may_be_served = match crashes {
            _ if is_alone => false,
            ALONE_CRASHES.. => count == 0,
            // The last suspect that was received before the crash is the likeliest to have caused
            // it, so it is served alone after the others.
            _ if self.ready.len() == 1 => count == 0,
            _ => count <= self.begun - count,
        };
        may_be_served.then_some(key)
    }

    /// Returns when to try again, while suspects are ready.
    pub(super) fn next_look_at_ms(&self, now_ms: u64) -> Option<u64> {
        (!self.ready.is_empty()).then_some(now_ms + RECHECK_MS)
    }
}

fn has_survived(crashes: u32, since_ms: u64, now_ms: u64) -> bool {
    let survived_ms = if crashes >= ALONE_CRASHES {
        SURVIVED_ALONE_MS
    } else {
        SURVIVED_MS
    };
    now_ms >= since_ms + survived_ms
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn suspects(crashes: u32, count: i64) -> Suspects {
        let mut suspects = Suspects::default();
        suspects.look(0);
        (0..count).for_each(|key| suspects.add_ready(MessageKey(key), crashes, 0));
        suspects
    }

    /// Serves everything that may be served, step by step, and returns how many were served in each
    /// step.
    fn serve(suspects: &mut Suspects, crashes: u32, now_ms: u64) -> usize {
        let mut served = 0;
        while let Some(key) = suspects.next(now_ms) {
            suspects.remove_ready(key, crashes, 0);
            suspects.begin(key, crashes, now_ms);
            served += 1;
        }
        served
    }

    #[test]
    fn twice_as_many_are_served_each_time_as_long_as_all_survive() {
        let mut suspects = suspects(1, 100);
        let times = (0..6).map(|round| WAIT_MS_PER_CRASH + round * SURVIVED_MS);
        let served: Vec<usize> = times
            .map(|now_ms| serve(&mut suspects, 1, now_ms))
            .collect();
        assert_eq!(served, [1, 2, 4, 8, 16, 32]);
    }

    #[test]
    fn the_last_one_is_served_once_all_others_have_survived() {
        let mut suspects = suspects(1, 4);
        let served: Vec<usize> = (0..4)
            .map(|round| serve(&mut suspects, 1, WAIT_MS_PER_CRASH + round * SURVIVED_MS))
            .collect();
        assert_eq!(served, [1, 2, 1, 0]);
        let mut suspects = self::suspects(1, 3);
        let served: Vec<usize> = (0..3)
            .map(|round| serve(&mut suspects, 1, WAIT_MS_PER_CRASH + round * SURVIVED_MS))
            .collect();
        assert_eq!(served, [1, 1, 1], "alone, although two would be allowed");
    }

    #[test]
    fn after_the_third_crash_each_suspect_is_served_alone() {
        let mut suspects = suspects(ALONE_CRASHES, 3);
        let start_ms = WAIT_MS_MAX;
        assert_eq!(serve(&mut suspects, ALONE_CRASHES, start_ms), 1);
        assert_eq!(
            serve(
                &mut suspects,
                ALONE_CRASHES,
                start_ms + SURVIVED_ALONE_MS - 1
            ),
            0
        );
        suspects.end(MessageKey(0));
        assert_eq!(
            serve(
                &mut suspects,
                ALONE_CRASHES,
                start_ms + SURVIVED_ALONE_MS - 1
            ),
            1
        );
        suspects.add_ready(MessageKey(9), 1, 0);
        assert!(
            suspects.next(start_ms + SURVIVED_ALONE_MS).is_none(),
            "one that saw fewer crashes waits, too"
        );
        assert_eq!(
            suspects.next(start_ms + 2 * SURVIVED_ALONE_MS),
            Some(MessageKey(9)),
            "but not for a slow one forever"
        );
    }

    #[test]
    fn those_that_saw_fewer_crashes_and_were_in_flight_longer_come_first_once_they_have_waited() {
        let mut suspects = Suspects::default();
        suspects.add_ready(MessageKey(1), 2, 10);
        suspects.add_ready(MessageKey(2), 1, 30);
        suspects.add_ready(MessageKey(3), 1, 20);
        assert_eq!(suspects.next(u64::MAX), None, "nobody has looked");
        suspects.look(100);
        assert_eq!(suspects.next(100 + WAIT_MS_PER_CRASH - 1), None);
        assert_eq!(suspects.next(100 + WAIT_MS_PER_CRASH), Some(MessageKey(3)));
    }
}
