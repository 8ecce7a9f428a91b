//! Portal links: an organization's own way to let a person into the console, once, in a role and
//! for a while. A person whom the identity provider vouches for comes by one, too, which is made
//! and opened as they sign in.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::bounds::Bounds;
use crate::id::{KeyId, OrganizationId, PortalLinkId};
use crate::role::Role;

/// How long a link can be opened, and how long the session lasts that it opens, in seconds.
pub const LINK_SECONDS: Bounds<u32> = Bounds::new(1, 86_400).or(3600);
/// The length of the path of the page that a link opens.
pub const PAGE_PATH: RangeInclusive<usize> = 1..=2048;

/// A link as it is stored: of its secret only a hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortalLink {
    /// Its id.
    pub id: PortalLinkId,
    /// Whose console it opens; `None` is the operator's.
    pub organization_id: Option<OrganizationId>,
    /// What the person may do there.
    pub role: Role,
    /// Who the person is, as the organization says.
    pub subject: Subject,
    /// The page it opens.
    pub path: Option<String>,
    /// SHA-256 of the secret, lower-case hexadecimal.
    pub secret_sha256: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it can be opened.
    pub expires_at: Timestamp,
    /// How long the session lasts that it opens.
    pub session_seconds: u32,
    /// Until when the session lasts; `None`: it was not opened yet.
    #[serde(default)]
    pub session_until: Option<Timestamp>,
    /// What the link and its session end with, outermost first.
    #[serde(default)]
    pub made_by: Vec<Maker>,
    /// The key that a person signed in with: the session acts as that key.
    #[serde(default)]
    pub signed_in_with: Option<KeyId>,
}

/// Something that gave access to the console. Revoking it ends what it gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Maker {
    /// An API key. Once it is revoked or has expired, so have its links and sessions.
    Key(KeyId),
    /// A session. Deleting its link ends the links that were made in it; signing out of it, or its
    /// end in time, does not.
    Session {
        /// Whose console it is a session of; `None` is the operator's.
        organization_id: Option<OrganizationId>,
        /// The link that opened it.
        id: PortalLinkId,
    },
}

/// A person, in the words of the organization that lets them in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The organization's own id of them.
    pub id: Option<String>,
    /// Their name.
    pub name: Option<String>,
    /// Their e-mail address.
    pub email: Option<String>,
}

impl Subject {
    /// What to call them.
    #[must_use]
    pub fn called(&self) -> Option<&str> {
        self.name
            .as_deref()
            .or(self.email.as_deref())
            .or(self.id.as_deref())
    }
}
