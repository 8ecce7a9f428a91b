//! The caller of a request.

use domain::api_key::ApiKey;
use domain::id::{KeyId, OrganizationId, PortalLinkId};
use domain::portal_link::{Maker, PortalLink};
use domain::role::{Permission, Role};

/// The caller of a request: a program with a key, or a person in the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The credential that authenticated the caller.
    pub by: CallerCredential,
    /// The name of the key or the person.
    pub name: String,
    /// The role of the caller.
    pub role: Role,
    /// The organization of the caller; `None` for the operator.
    pub organization: Option<OrganizationId>,
    /// What the links that this caller creates depend on.
    pub makers: Vec<Maker>,
}

/// The credential of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerCredential {
    /// The id of an API key.
    Key(KeyId),
    /// The portal link of a session in the console.
    PortalLink {
        /// The id of the link.
        id: PortalLinkId,
        /// The organization's own id of the person.
        subject: Option<String>,
    },
    /// An entry of the operator's map of event sources.
    EventSource {
        /// The AWS account of the source.
        account: String,
        /// The name that the source gives itself.
        source: String,
    },
}

impl std::fmt::Display for CallerCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(id) => id.fmt(f),
            Self::PortalLink { id, .. } => id.fmt(f),
            Self::EventSource { account, source } => write!(f, "{account}/{source}"),
        }
    }
}

/// The caller's role lacks a permission: 403 `forbidden`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the role {role} may not do this")]
pub struct Forbidden {
    /// The role of the caller.
    pub role: Role,
}

/// Why the organization of a request cannot be determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeRefused {
    /// The operator named no organization: 422 `organization_required`.
    #[error("an operator's key names the organization")]
    OrganizationRequired,
    /// The caller named an organization that does not exist for it: 404 `not_found`.
    #[error("there is no such organization")]
    NotFound,
}

impl Caller {
    /// Returns the key that authenticated the caller; `None` for a person.
    #[must_use]
    pub fn key(&self) -> Option<KeyId> {
        match self.by {
            CallerCredential::Key(id) => Some(id),
            CallerCredential::PortalLink { .. } | CallerCredential::EventSource { .. } => None,
        }
    }

    /// Returns an error unless the caller's role has the permission.
    pub fn require(&self, permission: Permission) -> Result<(), Forbidden> {
        if self.role.may(permission) {
            Ok(())
        } else {
            Err(Forbidden { role: self.role })
        }
    }

    /// Returns the organization of a request, given `organization_id` from its query. For a key it
    /// is the key's own, whether or not it is named. For the operator it is the one that is named,
    /// which may not exist.
    pub fn scope(&self, named: Option<&str>) -> Result<OrganizationId, ScopeRefused> {
        let named: Option<OrganizationId> = named
            .map(str::parse)
            .transpose()
            .map_err(|_| ScopeRefused::NotFound)?;
        match (self.organization, named) {
            (None, named) => named.ok_or(ScopeRefused::OrganizationRequired),
            (Some(own), Some(named)) if own != named => Err(ScopeRefused::NotFound),
            (Some(own), _) => Ok(own),
        }
    }
}

impl From<ApiKey> for Caller {
    fn from(key: ApiKey) -> Self {
        let makers = vec![Maker::Key(key.id)];
        Self {
            by: CallerCredential::Key(key.id),
            name: key.name,
            role: key.role,
            organization: key.organization_id,
            makers,
        }
    }
}

/// Returns what ends together with a session of `link`: everything the link depends on, and the
/// session itself.
pub(crate) fn lineage_of(link: &PortalLink) -> Vec<Maker> {
    let session = Maker::Session {
        organization_id: link.organization_id,
        id: link.id,
    };
    link.made_by.iter().copied().chain([session]).collect()
}

impl From<PortalLink> for Caller {
    fn from(link: PortalLink) -> Self {
        let name = link
            .subject
            .called()
            .unwrap_or("someone with a portal link")
            .to_owned();
        let makers = lineage_of(&link);
        let by = CallerCredential::PortalLink {
            id: link.id,
            subject: link.subject.id,
        };
        Self {
            by,
            name,
            role: link.role,
            organization: link.organization_id,
            makers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;
    use domain::id::Ulid;

    fn organization(n: i64) -> OrganizationId {
        Ulid::first_at(Timestamp::from_millis(n)).into()
    }

    fn caller(role: Role, organization: Option<OrganizationId>) -> Caller {
        Caller {
            by: CallerCredential::Key(Ulid::first_at(Timestamp::from_millis(9)).into()),
            name: "ci".to_owned(),
            role,
            organization,
            makers: Vec::new(),
        }
    }

    #[test]
    fn a_key_of_an_organization_is_valid_only_for_it() {
        let (own, other) = (organization(1), organization(2));
        let caller = caller(Role::Admin, Some(own));
        assert_eq!(caller.scope(None), Ok(own));
        assert_eq!(caller.scope(Some(&own.to_string())), Ok(own));
        assert_eq!(
            caller.scope(Some(&other.to_string())),
            Err(ScopeRefused::NotFound)
        );
        assert_eq!(caller.scope(Some("")), Err(ScopeRefused::NotFound));
    }

    #[test]
    fn the_operator_names_the_organization() {
        let caller = caller(Role::Operator, None);
        assert_eq!(
            caller.scope(Some(&organization(2).to_string())),
            Ok(organization(2))
        );
        assert_eq!(caller.scope(None), Err(ScopeRefused::OrganizationRequired));
        assert_eq!(
            caller.scope(Some("org_nonsense")),
            Err(ScopeRefused::NotFound)
        );
    }

    #[test]
    fn a_role_that_lacks_the_permission_is_refused() {
        let sender = caller(Role::Sender, Some(organization(1)));
        assert_eq!(sender.require(Permission::Submit), Ok(()));
        assert_eq!(
            sender.require(Permission::Read),
            Err(Forbidden { role: Role::Sender })
        );
    }
}
