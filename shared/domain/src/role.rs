//! Who may do what: five roles and the permissions they hold (api.md, Conventions).

use std::fmt;
use strum::IntoStaticStr;

use serde::{Deserialize, Serialize};

/// What a key may do, from everything to reading only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// The platform: every organization, and what organizations may use of the platform's own.
    Operator,
    /// All of one organization.
    Admin,
    /// Destinations, retries, tests and reads.
    Manager,
    /// Submits; reads messages and deliveries.
    Sender,
    /// Reads all but secrets.
    Viewer,
}

/// One thing a caller may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Create, list, suspend and delete organizations; grant.
    ManageOrganizations,
    /// Change the organization's settings; keys; portal links.
    ManageOrganization,
    /// Create and change destinations, test, retry, cancel.
    ManageDestinations,
    /// Submit messages.
    Submit,
    /// Read messages and deliveries.
    ReadDeliveries,
    /// Read everything else of the organization.
    Read,
}

impl Role {
    /// Every role, most rights first.
    pub const ALL: &'static [Role] = &[
        Self::Operator,
        Self::Admin,
        Self::Manager,
        Self::Sender,
        Self::Viewer,
    ];

    /// Does this role hold the permission?
    #[must_use]
    pub fn may(self, permission: Permission) -> bool {
        use Permission::{ManageDestinations, ManageOrganizations, Read, ReadDeliveries, Submit};
        match self {
            Self::Operator => true,
            Self::Admin => permission != ManageOrganizations,
            Self::Manager => matches!(
                permission,
                ManageDestinations | Submit | ReadDeliveries | Read
            ),
            Self::Sender => matches!(permission, Submit | ReadDeliveries),
            Self::Viewer => matches!(permission, ReadDeliveries | Read),
        }
    }

    /// Nobody creates a key with more rights than its own: does this role hold every right of
    /// `other`?
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        use Permission::{
            ManageDestinations, ManageOrganization, ManageOrganizations, Read, ReadDeliveries,
            Submit,
        };
        [
            ManageOrganizations,
            ManageOrganization,
            ManageDestinations,
            Submit,
            ReadDeliveries,
            Read,
        ]
        .into_iter()
        .all(|permission| self.may(permission) || !other.may(permission))
    }

    /// As written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
