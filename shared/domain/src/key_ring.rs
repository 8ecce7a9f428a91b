//! Signing keys of one use, in versions: one signs, several are accepted, so that keys are rotated
//! without breaking what is out.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// A key of 256 bits.
pub type SigningKey = [u8; 32];

/// The versions of one use's key. Clones share them, so that a process that runs on gets new ones
/// by [`KeyRing::replace`].
#[derive(Clone)]
pub struct KeyRing(Arc<RwLock<Versions>>);

#[derive(Clone)]
struct Versions {
    signing: SigningKey,
    /// Newest first; the one that signs is among them.
    accepted: Vec<SigningKey>,
}

impl KeyRing {
    /// A ring whose `signing` key signs and whose `accepted` keys verify, newest first.
    #[must_use]
    pub fn new(signing: SigningKey, accepted: Vec<SigningKey>) -> Self {
        Self(Arc::new(RwLock::new(Versions { signing, accepted })))
    }

    /// The key that signs.
    #[must_use]
    pub fn signing(&self) -> SigningKey {
        self.read().signing
    }

    /// The keys that verify, newest first.
    #[must_use]
    pub fn accepted(&self) -> Vec<SigningKey> {
        self.read().accepted
    }

    /// The oldest key that verifies.
    #[must_use]
    pub fn oldest(&self) -> SigningKey {
        let versions = self.read();
        versions
            .accepted
            .last()
            .copied()
            .unwrap_or(versions.signing)
    }

    /// Has this ring and its clones go on with the versions of another.
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
