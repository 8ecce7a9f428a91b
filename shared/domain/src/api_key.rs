//! API keys, in the form `wbk_<26 characters of the id>_<43 characters of the secret>`. Only a hash
//! of the secret is stored.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::{KeyId, OrganizationId};
use crate::role::Role;

/// An API key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The identifier of the key, which is its public half.
    pub id: KeyId,
    /// The organization that owns the key; `None` for a key of the operator.
    pub organization_id: Option<OrganizationId>,
    /// The display name of the key.
    pub name: String,
    /// The role, which determines what the key permits.
    pub role: Role,
    /// The SHA-256 digest of the secret half, in lower-case hexadecimal. A fast hash is sufficient,
    /// because the secret has 256 random bits.
    pub secret_sha256: String,
    /// The last four characters of the key.
    pub hint: String,
    /// When the key was created.
    pub created_at: Timestamp,
    /// The key that created this one; `None` for the first key.
    pub created_by: Option<KeyId>,
    /// When the key expires; it is rejected from then on.
    pub expires_at: Option<Timestamp>,
    /// When the key was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl ApiKey {
    /// Returns whether the key has expired at `now`.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}
