//! Versioned signing keys for one use. One version signs and several versions verify, so that keys
//! can be rotated without invalidating existing signatures.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// A signing key of 256 bits.
pub type SigningKey = [u8; 32];

/// The versions of the key for one use. Clones share the versions, so that [`KeyRing::replace`]
/// updates all of them in a running process.
#[derive(Clone)]
pub struct KeyRing(Arc<RwLock<Versions>>);

#[derive(Clone)]
struct Versions {
    signing: SigningKey,
    /// The keys that verify, newest first. The signing key is one of them.
    accepted: Vec<SigningKey>,
}

impl KeyRing {
    /// Creates a ring whose `signing` key signs and whose `accepted` keys, newest first, verify.
    #[must_use]
    pub fn new(signing: SigningKey, accepted: Vec<SigningKey>) -> Self {
        Self(Arc::new(RwLock::new(Versions { signing, accepted })))
    }

    /// Returns the key that signs.
    #[must_use]
    pub fn signing(&self) -> SigningKey {
        self.read().signing
    }

    /// Returns the keys that verify, newest first.
    #[must_use]
    pub fn accepted(&self) -> Vec<SigningKey> {
        self.read().accepted
    }

    /// Returns the oldest key that verifies.
    #[must_use]
    pub fn oldest(&self) -> SigningKey {
        let versions = self.read();
        versions
            .accepted
            .last()
            .copied()
            .unwrap_or(versions.signing)
    }

    /// Replaces the versions of this ring and of its clones with those of another ring.
    pub fn replace(&self, other: &Self) {
        let versions = other.read();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = versions;
    }

    fn read(&self) -> Versions {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl From<SigningKey> for KeyRing {
    fn from(key: SigningKey) -> Self {
        Self::new(key, vec![key])
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing")
    }
}
