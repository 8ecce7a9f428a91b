//! Limits how many refusals of one caller are recorded. A caller can be refused any number of
//! times, and each record costs a write.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);
/// The maximum number of pairs of caller and action that are counted at a time.
const COUNTED_MAX: usize = 10_000;

/// The number of refusals of each caller and action that this instance of the function recorded in
/// the current minute.
///
/// Every refusal is logged and counted in the metrics, whether it is recorded or not.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordedRefusals(Arc<Mutex<HashMap<(&'static str, String), Minute>>>);

#[derive(Debug)]
struct Minute {
    began: Timestamp,
    recorded: u32,
}

impl RecordedRefusals {
    /// Counts a refusal. Returns whether it is one of the first `most` in its minute, which are
    /// recorded.
    pub(crate) fn count(
        &self,
        action: &'static str,
        caller: &str,
        most: u32,
        now: Timestamp,
    ) -> bool {
        let mut minutes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (action, caller.to_owned());
        if minutes.len() >= COUNTED_MAX {
            minutes.retain(|_, minute| now.since(minute.began) < MINUTE);
        }
        if minutes.len() >= COUNTED_MAX && !minutes.contains_key(&key) {
            return false;
        }
        let minute = minutes.entry(key).or_insert(Minute {
            began: now,
            recorded: 0,
        });
        if now.since(minute.began) >= MINUTE {
            *minute = Minute {
                began: now,
                recorded: 0,
            };
        }
        minute.recorded = minute.recorded.saturating_add(1);
        minute.recorded <= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        Timestamp::from_millis(1_764_000_000_000)
    }

    #[test]
    fn refusals_of_one_caller_are_recorded_up_to_a_limit_each_minute() {
        let refusals = RecordedRefusals::default();
        let recorded = |action, caller: &str, at| {
            (0..100)
                .filter(|_| refusals.count(action, caller, 10, at))
                .count()
        };
        assert_eq!(recorded("forbidden", "key_1", start()), 10);
        assert_eq!(
            recorded("forbidden", "key_2", start()),
            10,
            "each caller has its own"
        );
        assert_eq!(
            recorded("blocked_address", "key_1", start()),
            10,
            "and each action"
        );
        assert_eq!(
            recorded(
                "forbidden",
                "key_1",
                start().plus(MINUTE - Duration::from_millis(1))
            ),
            0
        );
        assert_eq!(recorded("forbidden", "key_1", start().plus(MINUTE)), 10);
    }

    #[test]
    fn the_callers_that_are_counted_are_bounded() {
        let refusals = RecordedRefusals::default();
        for n in 0..COUNTED_MAX + 100 {
            refusals.count("forbidden", &n.to_string(), 10, start());
        }
        assert_eq!(refusals.0.lock().unwrap().len(), COUNTED_MAX);
    }
}
