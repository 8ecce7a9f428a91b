//! The states of a delivery. Each variant contains the data that only this state has.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::receipt::Receipt;
use crate::{Reason, Timestamp};

/// The state of a delivery, with the data that only this state has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The delivery was accepted, and no attempt is recorded. Left by the first attempt, a skip, an
    /// expiry, a dead letter or a cancellation.
    Queued,
    /// The delivery waits for another attempt. Entered by a failed attempt or a redelivery; left by
    /// the next attempt, a skip, an expiry, a dead letter or a cancellation.
    Retrying {
        /// The time of the next attempt.
        next_attempt_at: Timestamp,
        /// Why the last attempt failed; `None` after a redeliver.
        reason: Option<Reason>,
    },
    /// A worker holds a lease on the delivery and makes an attempt. Entered by
    /// [`start`](super::Delivery::start). Left when the attempt is settled, by a skip, an expiry, a
    /// dead letter or a cancellation, and by each change that makes the attempt's task stale. Users
    /// see the status of `pending`.
    Attempting {
        /// The state in which the attempt started. It applies again if the worker dies.
        pending: Pending,
        /// The end of the lease. No other worker starts an attempt before this time.
        lease_until: Timestamp,
    },
    /// The destination accepted the delivery. Left only by a forced redelivery.
    Succeeded {
        /// When the attempt was settled.
        finished_at: Timestamp,
        /// The receipt that identifies the delivery at the destination; `None` if the successful
        /// attempt left none.
        receipt: Option<Receipt>,
    },
    /// Waybill stopped trying. Left by a redelivery, or by the success of an attempt that was still
    /// running.
    Failed {
        /// When Waybill stopped trying.
        finished_at: Timestamp,
        /// The category of the failure.
        reason: Reason,
        /// Whether the delivery used up its retries.
        exhausted: bool,
        /// The end of the lease of an attempt that was running when the delivery failed for another
        /// reason.
        attempt_until: Option<Timestamp>,
    },
    /// The destination was disabled or deleted. Left in the same ways as `Failed`.
    Skipped {
        /// When the delivery was skipped.
        finished_at: Timestamp,
        /// Whether the destination was disabled or deleted.
        reason: SkipReason,
        /// The end of the lease of an attempt that was running when the delivery was skipped.
        attempt_until: Option<Timestamp>,
    },
    /// A user cancelled the delivery. Left in the same ways as `Failed`.
    Cancelled {
        /// When the delivery was cancelled.
        finished_at: Timestamp,
        /// The end of the lease of an attempt that was running when the delivery was cancelled.
        attempt_until: Option<Timestamp>,
    },
}

/// The states in which a delivery waits for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// The first attempt is still to be made; see [`State::Queued`].
    Queued,
    /// Another attempt is to be made; see [`State::Retrying`].
    Retrying {
        /// The time of the next attempt.
        next_attempt_at: Timestamp,
        /// Why the last attempt failed; `None` after a redeliver.
        reason: Option<Reason>,
    },
}

/// The reason why a delivery is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// The destination is disabled.
    DestinationDisabled,
    /// The destination was deleted, or its organization was.
    DestinationDeleted,
}

/// The statuses of deliveries, as in JSON and filters. While an attempt is running, a delivery has
/// the status in which the attempt started.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryStatus {
    /// The status of [`State::Queued`].
    Queued,
    /// The status of [`State::Retrying`].
    Retrying,
    /// The status of [`State::Succeeded`].
    Succeeded,
    /// The status of [`State::Failed`].
    Failed,
    /// The status of [`State::Skipped`].
    Skipped,
    /// The status of [`State::Cancelled`].
    Cancelled,
}

impl DeliveryStatus {
    /// Every status, with its name.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("queued", Self::Queued),
        ("retrying", Self::Retrying),
        ("succeeded", Self::Succeeded),
        ("failed", Self::Failed),
        ("skipped", Self::Skipped),
        ("cancelled", Self::Cancelled),
    ];

    /// Returns the name used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns whether the delivery is finished.
    #[must_use]
    pub fn is_finished(self) -> bool {
        !matches!(self, Self::Queued | Self::Retrying)
    }
}

impl SkipReason {
    /// Returns the failure category that is shown to users and stored.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Self::DestinationDisabled => Reason::DestinationDisabled,
            Self::DestinationDeleted => Reason::DestinationDeleted,
        }
    }

    /// Returns the reason for a failure category, the reverse of [`Self::reason`]; `None` for the
    /// other categories.
    #[must_use]
    pub fn of(reason: Reason) -> Option<Self> {
        [Self::DestinationDisabled, Self::DestinationDeleted]
            .into_iter()
            .find(|known| known.reason() == reason)
    }
}

impl Pending {
    fn status(self) -> DeliveryStatus {
        match self {
            Self::Queued => DeliveryStatus::Queued,
            Self::Retrying { .. } => DeliveryStatus::Retrying,
        }
    }

    fn reason(self) -> Option<Reason> {
        match self {
            Self::Queued => None,
            Self::Retrying { reason, .. } => reason,
        }
    }

    /// Returns the time of the next attempt, if one is set.
    #[must_use]
    pub fn next_attempt_at(self) -> Option<Timestamp> {
        match self {
            Self::Queued => None,
            Self::Retrying {
                next_attempt_at, ..
            } => Some(next_attempt_at),
        }
    }

    /// Returns this state under a lease until `lease_until`, or without a lease if that is `None`.
    #[must_use]
    pub fn leased(self, lease_until: Option<Timestamp>) -> State {
        match lease_until {
            Some(lease_until) => State::Attempting {
                pending: self,
                lease_until,
            },
            None => self.into(),
        }
    }
}

impl From<Pending> for State {
    fn from(pending: Pending) -> Self {
        match pending {
            Pending::Queued => Self::Queued,
            Pending::Retrying {
                next_attempt_at,
                reason,
            } => Self::Retrying {
                next_attempt_at,
                reason,
            },
        }
    }
}

impl State {
    /// Returns the status shown to users.
    #[must_use]
    pub fn status(&self) -> DeliveryStatus {
        match self {
            Self::Queued => DeliveryStatus::Queued,
            Self::Retrying { .. } => DeliveryStatus::Retrying,
            Self::Attempting { pending, .. } => pending.status(),
            Self::Succeeded { .. } => DeliveryStatus::Succeeded,
            Self::Failed { .. } => DeliveryStatus::Failed,
            Self::Skipped { .. } => DeliveryStatus::Skipped,
            Self::Cancelled { .. } => DeliveryStatus::Cancelled,
        }
    }

    /// Returns the state in which the delivery waits for an attempt; `None` if it is finished.
    #[must_use]
    pub fn pending(&self) -> Option<Pending> {
        match self {
            Self::Queued => Some(Pending::Queued),
            Self::Retrying {
                next_attempt_at,
                reason,
            } => Some(Pending::Retrying {
                next_attempt_at: *next_attempt_at,
                reason: *reason,
            }),
            Self::Attempting { pending, .. } => Some(*pending),
            Self::Succeeded { .. }
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::Cancelled { .. } => None,
        }
    }

    /// Returns the end of the lease under which an attempt may be running. A delivery that finished
    /// during an attempt still has it.
    #[must_use]
    pub fn attempt_until(&self) -> Option<Timestamp> {
        match self {
            Self::Queued | Self::Retrying { .. } | Self::Succeeded { .. } => None,
            Self::Attempting { lease_until, .. } => Some(*lease_until),
            Self::Failed { attempt_until, .. }
            | Self::Skipped { attempt_until, .. }
            | Self::Cancelled { attempt_until, .. } => *attempt_until,
        }
    }

    /// Returns the time of the next attempt, if one is set.
    #[must_use]
    pub fn next_attempt_at(&self) -> Option<Timestamp> {
        self.pending().and_then(Pending::next_attempt_at)
    }

    /// Returns the failure category shown to users.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Queued | Self::Succeeded { .. } => None,
            Self::Retrying { reason, .. } => *reason,
            Self::Attempting { pending, .. } => pending.reason(),
            Self::Failed { reason, .. } => Some(*reason),
            Self::Skipped { reason, .. } => Some(reason.reason()),
            Self::Cancelled { .. } => Some(Reason::Cancelled),
        }
    }

    /// Returns when the delivery finished, if it has.
    #[must_use]
    pub fn finished_at(&self) -> Option<Timestamp> {
        match self {
            Self::Queued | Self::Retrying { .. } | Self::Attempting { .. } => None,
            Self::Succeeded { finished_at, .. }
            | Self::Failed { finished_at, .. }
            | Self::Skipped { finished_at, .. }
            | Self::Cancelled { finished_at, .. } => Some(*finished_at),
        }
    }

    /// Returns the receipt of a successful delivery.
    #[must_use]
    pub fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Succeeded { receipt, .. } => receipt.as_ref(),
            _ => None,
        }
    }

    /// Returns whether the delivery failed because it used up its retries.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        matches!(
            self,
            Self::Failed {
                exhausted: true,
                ..
            }
        )
    }
}
