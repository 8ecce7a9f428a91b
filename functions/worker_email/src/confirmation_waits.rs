//! How long a mail server may take to confirm a message.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::id::DestinationId;
use tokio::time::Instant;

/// The time that a server has by default.
pub(crate) const CONFIRMATION_MAX: Duration =
    Duration::from_secs(domain::settings::CONFIRMATION_SECONDS as u64);
/// The limit for a server that recently did not confirm a message, so that it does not occupy every
/// worker.
const SHORT_MAX: Duration = Duration::from_secs(60);
/// How long the shorter limit applies.
const SHORT_FOR: Duration = Duration::from_secs(1800);

/// The time that each destination's server has to confirm a message after receiving all of it.
#[derive(Debug)]
pub(crate) struct ConfirmationWaits {
    longest: Duration,
    lost: Mutex<HashMap<DestinationId, Instant>>,
}

impl ConfirmationWaits {
    pub(crate) fn up_to(longest: Duration) -> Self {
        Self {
            longest,
            lost: Mutex::default(),
        }
    }

    /// Returns how long to wait for this destination's server.
    pub(crate) fn with(&self, destination: DestinationId) -> Duration {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.retain(|_, since| since.elapsed() < SHORT_FOR);
        if lost.contains_key(&destination) {
            self.longest.min(SHORT_MAX)
        } else {
            self.longest
        }
    }

    /// Records that the server did not confirm a message in time.
    pub(crate) fn record_unconfirmed(&self, destination: DestinationId) {
        self.lost
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(destination, Instant::now());
    }

    /// Records that the server confirmed a message.
    pub(crate) fn record_confirmed(&self, destination: DestinationId) {
        self.lost
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&destination);
    }
}
