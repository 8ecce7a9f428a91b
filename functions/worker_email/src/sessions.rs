//! Caches idle conversations for the next message to the same destination.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::destination::Destination;
use domain::id::DestinationId;
use tokio::time::Instant;

use crate::session::Session;

/// How long an idle conversation is reused. Servers close idle connections, and so does a Lambda
/// function that was frozen.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// How many idle conversations one destination keeps.
const IDLE_SESSIONS_MAX: usize = 4;

/// The idle conversations of one destination, with the time since when each is idle.
type Idle = Vec<(Session, Instant)>;

/// Idle conversations by destination and revision.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<(DestinationId, u64), Idle>>);

impl Sessions {
    /// Removes and returns an idle conversation with a destination.
    pub(crate) fn take(&self, destination: &Destination) -> Option<Session> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sessions = idle.get_mut(&(destination.id, destination.revision()))?;
        sessions.retain(|(_, since)| since.elapsed() < IDLE_MAX);
        sessions.pop().map(|(session, _)| session)
    }

    /// Keeps a conversation for the next message.
    pub(crate) fn put(&self, destination: &Destination, session: Session) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, sessions| {
            sessions.retain(|(_, since)| since.elapsed() < IDLE_MAX);
            !sessions.is_empty()
        });
        let sessions = idle
            .entry((destination.id, destination.revision()))
            .or_default();
        if sessions.len() < IDLE_SESSIONS_MAX {
            sessions.push((session, Instant::now()));
        }
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}
