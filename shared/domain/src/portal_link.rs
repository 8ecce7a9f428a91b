//! Portal links, with which an organization lets a user into the console once, with a role and for
//! a limited time. When a user signs in through the identity provider, a link is also created and
//! opened at once.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::bounds::Bounds;
use crate::id::{KeyId, OrganizationId, PortalLinkId};
use crate::role::Role;

/// How long a link can be opened and how long its session lasts, in seconds.
pub const LINK_SECONDS: Bounds<u32> = Bounds::new(1, 86_400).with_default(3600);
/// The allowed length of the path of the page that a link opens.
pub const PAGE_PATH: RangeInclusive<usize> = 1..=2048;

/// A portal link as it is stored. Only a hash of its secret is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortalLink {
    /// The identifier of the link.
    pub id: PortalLinkId,
    /// The organization whose console the link opens; `None` for the operator's console.
    pub organization_id: Option<OrganizationId>,
    /// The role of the user in the console.
    pub role: Role,
    /// The user, as described by the organization.
    pub subject: Subject,
    /// The path of the page that the link opens.
    pub path: Option<String>,
    /// The SHA-256 digest of the secret, in lower-case hexadecimal.
    pub secret_sha256: String,
    /// When the link was created.
    pub created_at: Timestamp,
    /// The time until which the link can be opened.
    pub expires_at: Timestamp,
    /// How long the session of the link lasts, in seconds.
    pub session_seconds: u32,
    /// When the session ends; `None` if the link has not been opened.
    #[serde(default)]
    pub session_until: Option<Timestamp>,
    /// The keys and sessions that created the link, outermost first. The link and its session end
    /// when one of them is revoked.
    #[serde(default)]
    pub made_by: Vec<Maker>,
    /// The key that the user signed in with. The session has the identity of that key.
    #[serde(default)]
    pub signed_in_with: Option<KeyId>,
}

/// A key or session that created a portal link. Revoking it ends the link and the link's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Maker {
    /// An API key. Once it is revoked or has expired, its links and sessions are no longer valid.
    Key(KeyId),
    /// A session. Deleting its link ends the links that were created in the session. Signing out of
    /// the session, or its expiry, does not.
    Session {
        /// The organization whose console the session is for; `None` for the operator's console.
        organization_id: Option<OrganizationId>,
        /// The link that opened the session.
        id: PortalLinkId,
    },
}

/// A user, as described by the organization that creates the link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The organization's own identifier of the user.
    pub id: Option<String>,
    /// The name of the user.
    pub name: Option<String>,
    /// The e-mail address of the user.
    pub email: Option<String>,
}

impl Subject {
    /// Returns the name, or else the e-mail address, or else the id of the user.
    #[must_use]
    pub fn called(&self) -> Option<&str> {
        self.name
            .as_deref()
            .or(self.email.as_deref())
            .or(self.id.as_deref())
    }
}
