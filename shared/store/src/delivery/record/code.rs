//! The numbers that stand for triggers and reasons in a record. They are part of the stored format:
//! a number never changes its meaning, and a new variant takes the next free one.

use domain::Reason;
use domain::attempt::Trigger;

/// Returns the number of a trigger.
pub(super) fn of_trigger(trigger: Trigger) -> u64 {
    match trigger {
        Trigger::First => 0,
        Trigger::Retry => 1,
        Trigger::Manual => 2,
        Trigger::Replay => 3,
        Trigger::Fallback => 4,
    }
}

/// Returns the trigger with this number.
pub(super) fn trigger(code: u64) -> Option<Trigger> {
    Trigger::ALL
        .iter()
        .copied()
        .find(|trigger| of_trigger(*trigger) == code)
}

/// Returns the number of a reason.
pub(super) fn of_reason(reason: Reason) -> u64 {
    match reason {
        Reason::Dns => 0,
        Reason::Connect => 1,
        Reason::Tls => 2,
        Reason::Timeout => 3,
        Reason::Authentication => 4,
        Reason::Authorization => 5,
        Reason::RateLimited => 6,
        Reason::Rejected => 7,
        Reason::ServerError => 8,
        Reason::Protocol => 9,
        Reason::PayloadTooLarge => 10,
        Reason::BlockedAddress => 11,
        Reason::Misconfigured => 12,
        Reason::Expired => 13,
        Reason::DeadLettered => 14,
        Reason::DestinationDisabled => 15,
        Reason::DestinationDeleted => 16,
        Reason::Cancelled => 17,
        Reason::Internal => 18,
    }
}

/// Returns the reason with this number.
pub(super) fn reason(code: u64) -> Option<Reason> {
    Reason::ALL
        .iter()
        .copied()
        .find(|reason| of_reason(*reason) == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_decoded_to_its_value() {
        assert!(
            Trigger::ALL
                .iter()
                .all(|known| trigger(of_trigger(*known)) == Some(*known))
        );
        assert!(
            Reason::ALL
                .iter()
                .all(|known| reason(of_reason(*known)) == Some(*known))
        );
        assert_eq!((trigger(99), reason(99)), (None, None));
    }
}
