//! The host keys that a customer trusts.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::HostKey;

/// A list of one to five pinned host keys, so that a server's key can be replaced without
/// interruption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct HostKeys(Vec<HostKey>);

impl HostKeys {
    /// The maximum number of keys.
    pub const MAX: usize = 5;

    /// Creates the list; returns `None` if there are no keys or too many.
    #[must_use]
    pub fn new(keys: Vec<HostKey>) -> Option<Self> {
        (1..=Self::MAX).contains(&keys.len()).then_some(Self(keys))
    }

    /// Creates a list with a single key.
    #[must_use]
    pub fn one(key: HostKey) -> Self {
        Self(vec![key])
    }

    /// Returns the keys in the customer's order.
    pub fn iter(&self) -> impl Iterator<Item = &HostKey> {
        self.0.iter()
    }

    /// Returns whether the list contains the key `wire`, which is in its wire format.
    #[must_use]
    pub fn contains(&self, wire: &[u8]) -> bool {
        self.0.iter().any(|key| key.is(wire))
    }

    /// Returns the fingerprints, sorted and separated by spaces. The text is the same for the same
    /// set of keys, independent of their notation and order.
    #[must_use]
    pub fn identity(&self) -> String {
        let mut fingerprints: Vec<String> = self.0.iter().map(HostKey::fingerprint).collect();
        fingerprints.sort_unstable();
        fingerprints.dedup();
        fingerprints.join(" ")
    }
}

impl<'de> Deserialize<'de> for HostKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Stored {
            Several(Vec<HostKey>),
            /// The form that was stored before several keys were allowed.
            One(HostKey),
        }
        match Stored::deserialize(deserializer)? {
            Stored::Several(keys) => {
                Self::new(keys).ok_or_else(|| D::Error::custom("between 1 and 5 host keys"))
            }
            Stored::One(key) => Ok(Self::one(key)),
        }
    }
}
