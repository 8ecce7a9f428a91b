//! Tokens kept while they live, bounded in number.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::Timestamp;
use secrecy::SecretString;

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

    pub(crate) fn remove(&self, digest: &[u8; 32]) {
        self.lock().remove(digest);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], (SecretString, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
