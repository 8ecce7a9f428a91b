//! How long a mail server is given to confirm a message.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::id::DestinationId;
use tokio::time::Instant;

/// RFC 5321 §4.5.3.2.6: a client that gives up earlier sends messages twice that the server has taken.
pub(crate) const CONFIRMATION_MAX: Duration = Duration::from_secs(600);
/// A server that did not confirm a message in all that time gets this long for others, so that it does not occupy every worker.
const SHORT_MAX: Duration = Duration::from_secs(60);
/// For this long.
const SHORT_FOR: Duration = Duration::from_secs(1800);

/// How long each destination's server is given to confirm a message, once it has all of it.
#[derive(Debug)]
pub(crate) struct Patience {
    longest: Duration,
    lost: Mutex<HashMap<DestinationId, Instant>>,
}

impl Patience {
    pub(crate) fn up_to(longest: Duration) -> Self {
        Self { longest, lost: Mutex::default() }
    }

    /// How long to wait for this destination's server.
    pub(crate) fn with(&self, destination: DestinationId) -> Duration {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.retain(|_, since| since.elapsed() < SHORT_FOR);
        if lost.contains_key(&destination) { self.longest.min(SHORT_MAX) } else { self.longest }
    }

    /// The server did not confirm a message in time.
    pub(crate) fn lose(&self, destination: DestinationId) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(destination, Instant::now());
    }

    /// The server confirmed a message.
    pub(crate) fn regain(&self, destination: DestinationId) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).remove(&destination);
    }
}
