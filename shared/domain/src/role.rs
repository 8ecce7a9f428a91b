//! The five roles of keys and the permissions that they grant.

use std::fmt;
use strum::IntoStaticStr;

use serde::{Deserialize, Serialize};

/// What a key may do, from everything to reading only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Everything in every organization, including what the platform grants to organizations.
    Operator,
    /// Everything in one organization.
    Admin,
    /// Managing and testing destinations, submitting messages, retrying deliveries, and reading.
    Manager,
    /// Submitting messages, and reading messages and deliveries.
    Sender,
    /// Reading everything except secrets.
    Viewer,
}

/// A permission that a role may grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Create, list, suspend and delete organizations, and grant them resources of the platform.
    ManageOrganizations,
    /// Change the settings, keys and portal links of the organization.
    ManageOrganization,
    /// Create, change and test destinations, and retry and cancel deliveries.
    ManageDestinations,
    /// Submit messages to the organization.
    Submit,
    /// Read messages and deliveries of the organization.
    ReadDeliveries,
    /// Read everything else of the organization.
    Read,
}

impl Role {
    /// Every role, from the most to the fewest permissions.
    pub const ALL: &'static [Role] = &[
        Self::Operator,
        Self::Admin,
        Self::Manager,
        Self::Sender,
        Self::Viewer,
    ];

    /// Returns whether this role grants the permission.
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

    /// Returns whether this role grants every permission that `other` grants. A key can only create
    /// keys whose roles its own role covers.
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

    /// Returns the name used in JSON.
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
