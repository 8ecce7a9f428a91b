//! Tokens kept while they live, and pauses while they last; bounded in number.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

/// Tokens kept at a time.
const TOKENS_MAX: usize = 2000;

/// Tokens by the digest of what they were asked for with.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<HashMap<[u8; 32], (SecretString, Timestamp)>>);

impl Kept {
    pub(crate) fn get(&self, digest: &[u8; 32], now: Timestamp) -> Option<SecretString> {
        self.lock().get(digest).filter(|(_, until)| *until > now).map(|(token, _)| token.clone())
    }

    pub(crate) fn put(&self, digest: [u8; 32], token: SecretString, until: Timestamp, now: Timestamp) {
        let mut kept = self.lock();
        if kept.len() >= TOKENS_MAX {
            kept.retain(|_, (_, until)| *until > now);
        }
        if kept.len() < TOKENS_MAX {
            kept.insert(digest, (token, until));
        }
    }

    /// Removes this token; one that took its place stays.
    pub(crate) fn remove(&self, digest: &[u8; 32], token: &SecretString) {
        let mut kept = self.lock();
        if kept.get(digest).is_some_and(|(kept, _)| kept.expose_secret() == token.expose_secret()) {
            kept.remove(digest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], (SecretString, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Servers that asked for a pause, by the digest of what they were asked with.
#[derive(Debug, Default)]
pub(crate) struct Paused(Mutex<HashMap<[u8; 32], Timestamp>>);

impl Paused {
    /// How long the pause still lasts.
    pub(crate) fn left(&self, digest: &[u8; 32], now: Timestamp) -> Option<Duration> {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest)?;
        (until > now).then(|| until.since(now))
    }

    pub(crate) fn put(&self, digest: [u8; 32], until: Timestamp, now: Timestamp) {
        let mut paused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if paused.len() >= TOKENS_MAX {
            paused.retain(|_, until| *until > now);
        }
        if paused.len() < TOKENS_MAX {
            paused.insert(digest, until);
        }
    }
}
