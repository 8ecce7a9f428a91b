//! The states of a delivery. Each variant carries what only that state has.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::receipt::Receipt;
use crate::{Reason, Timestamp};

/// The state of a delivery, with the data that only this state has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Accepted, no attempt recorded. Entered on acceptance; left by the first attempt, a skip or a
    /// cancel.
    Queued,
    /// Will be tried (again). Entered by a failed attempt or a redeliver; left by the next attempt,
    /// a skip or a cancel.
    Retrying {
        /// The time of the next attempt.
        next_attempt_at: Timestamp,
        /// Why the last attempt failed; `None` after a redeliver.
        reason: Option<Reason>,
    },
    /// A worker has leased it and makes an attempt. Entered by [`start`](super::Delivery::start);
    /// left by what the attempt led to, by a skip or a cancel, and by whatever makes the attempt's
    /// task stale. People see the status of `pending`.
    Attempting {
        /// What the attempt started from, and what stands if the worker dies.
        pending: Pending,
        /// No other worker starts an attempt before this time.
        lease_until: Timestamp,
    },
    /// The destination took it. Left only by a forced redeliver.
    Succeeded {
        /// When it was settled.
        finished_at: Timestamp,
        /// What identifies it at the destination; `None` if the attempt that succeeded left no
        /// receipt.
        receipt: Option<Receipt>,
    },
    /// It gave up. Left by a redeliver, or by a success that was still on its way.
    Failed {
        /// When it was given up.
        finished_at: Timestamp,
        /// The failure category.
        reason: Reason,
        /// Whether retries ran out.
        exhausted: bool,
        /// The end of the lease of an attempt that was running when the delivery was given up
        /// without it.
        attempt_until: Option<Timestamp>,
    },
    /// Its destination was disabled or deleted. Left as `Failed` is.
    Skipped {
        /// When it was skipped.
        finished_at: Timestamp,
        /// Which of the two happened to the destination.
        reason: SkipReason,
        /// The end of the lease of an attempt that was running when the delivery was skipped.
        attempt_until: Option<Timestamp>,
    },
    /// A user cancelled it. Left as `Failed` is.
    Cancelled {
        /// When it was cancelled.
        finished_at: Timestamp,
        /// The end of the lease of an attempt that was running when the delivery was cancelled.
        attempt_until: Option<Timestamp>,
    },
}

/// The states in which a delivery waits for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// See [`State::Queued`].
    Queued,
    /// See [`State::Retrying`].
    Retrying {
        /// The time of the next attempt.
        next_attempt_at: Timestamp,
        /// Why the last attempt failed; `None` after a redeliver.
        reason: Option<Reason>,
    },
}

/// Why a delivery is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// The destination is disabled.
    DestinationDisabled,
    /// The destination is deleted, or gone with its organization.
    DestinationDeleted,
}

/// The statuses by name, as in JSON and filters. A delivery under attempt has the status of what
/// the attempt started from.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryStatus {
    /// See [`State::Queued`].
    Queued,
    /// See [`State::Retrying`].
    Retrying,
    /// See [`State::Succeeded`].
    Succeeded,
    /// See [`State::Failed`].
    Failed,
    /// See [`State::Skipped`].
    Skipped,
    /// See [`State::Cancelled`].
    Cancelled,
}

impl DeliveryStatus {
    /// Every status, by its name.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("queued", Self::Queued),
        ("retrying", Self::Retrying),
        ("succeeded", Self::Succeeded),
        ("failed", Self::Failed),
        ("skipped", Self::Skipped),
        ("cancelled", Self::Cancelled),
    ];

    /// As written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Is there nothing left to do?
    #[must_use]
    pub fn is_finished(self) -> bool {
        !matches!(self, Self::Queued | Self::Retrying)
    }
}

impl SkipReason {
    /// The same as a failure category, as people see it and as it is stored.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Self::DestinationDisabled => Reason::DestinationDisabled,
            Self::DestinationDeleted => Reason::DestinationDeleted,
        }
    }

    /// The reverse of [`Self::reason`]; `None` for the other categories.
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

    /// The time of the next attempt, where one is set.
    #[must_use]
    pub fn next_attempt_at(self) -> Option<Timestamp> {
        match self {
            Self::Queued => None,
            Self::Retrying {
                next_attempt_at, ..
            } => Some(next_attempt_at),
        }
    }

    /// This state under a lease, if there is one.
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
    /// The status that people see.
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

    /// What the delivery waits for an attempt in; `None` once it is finished.
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

    /// The end of the lease under which an attempt may be running: also one that the delivery's end
    /// did not wait for.
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

    /// The time of the next attempt, where one is set.
    #[must_use]
    pub fn next_attempt_at(&self) -> Option<Timestamp> {
        self.pending().and_then(Pending::next_attempt_at)
    }

    /// The failure category people see.
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

    /// When it finished, if it has.
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

    /// The receipt of a success.
    #[must_use]
    pub fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Succeeded { receipt, .. } => receipt.as_ref(),
            _ => None,
        }
    }

    /// Did it fail because its retries ran out?
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
