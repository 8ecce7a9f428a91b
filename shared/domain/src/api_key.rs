//! API keys: `wbk_<26 of its id>_<43 of secret>`; only a hash is stored.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::{KeyId, OrganizationId};
use crate::role::Role;

/// A key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its public half.
    pub id: KeyId,
    /// Whose it is; `None` is the operator's.
    pub organization_id: Option<OrganizationId>,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of the secret half, lower-case hexadecimal. The secret has 256 random bits, so a
    /// fast hash is enough.
    pub secret_sha256: String,
    /// The last four characters of the key.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// By which key; `None` for the first one.
    pub created_by: Option<KeyId>,
    /// Refused from then on.
    pub expires_at: Option<Timestamp>,
    /// When it was last seen, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether its time is over.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}
