//! The views of portal links, as lists show them.

use domain::Timestamp;
use domain::id::{KeyId, PortalLinkId};
use domain::portal_link::{Maker, PortalLink, Subject};
use domain::role::Role;
use serde::Serialize;
use utoipa::ToSchema;

use crate::words::RoleName;

/// A portal link that can still be opened, or whose session is open. People who signed in with an
/// API key or with the identity provider have an open one, too.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PortalLink)]
pub struct PortalLinkView {
    /// Unique identifier of the object.
    #[schema(value_type = String, example = "pln_01kavd83802s63efghp3q1cpj4")]
    pub id: PortalLinkId,
    /// Whether the link can still be opened or has been opened.
    pub status: PortalLinkStatus,
    /// The role of the person in the console.
    #[schema(value_type = RoleName)]
    pub role: Role,
    /// The person the link is for.
    pub subject: SubjectView,
    /// The console page that the link opens; null for the overview.
    pub path: Option<String>,
    /// The key that created it, or in whose session it was created. Revoking that key ends the link
    /// and its session.
    #[schema(value_type = Option<String>)]
    pub created_by: Option<KeyId>,
    /// When the object was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the link expires.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// How long the session lasts, in seconds.
    pub session_seconds: u32,
    /// When the session that the link opened ends; null while the link has not been opened.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub session_expires_at: Option<Timestamp>,
}

/// The status of a portal link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PortalLinkStatus {
    /// It was not opened yet.
    Outstanding,
    /// Its session is open.
    Open,
}

/// The person that a link is for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PortalLinkSubject)]
pub struct SubjectView {
    /// Your own identifier of the person.
    pub id: Option<String>,
    /// The name of the person.
    pub name: Option<String>,
    /// The e-mail address of the person.
    pub email: Option<String>,
}

impl PortalLinkView {
    /// Returns what to call the person; the link's id if nothing is known about the person.
    #[must_use]
    pub fn person(&self) -> String {
        let SubjectView { id, name, email } = &self.subject;
        name.as_ref()
            .or(email.as_ref())
            .or(id.as_ref())
            .cloned()
            .unwrap_or_else(|| self.id.to_string())
    }

    /// Returns what is shown of a link; `None` if it can no longer be opened and its session is
    /// over.
    #[must_use]
    pub fn of(link: &PortalLink, now: Timestamp) -> Option<Self> {
        let status = match link.session_until {
            None if now < link.expires_at => PortalLinkStatus::Outstanding,
            Some(until) if now < until => PortalLinkStatus::Open,
            _ => return None,
        };
        let created_by = link.made_by.iter().find_map(|maker| match maker {
            Maker::Key(id) => Some(*id),
            Maker::Session { .. } => None,
        });
        let Subject { id, name, email } = link.subject.clone();
        Some(Self {
            id: link.id,
            status,
            role: link.role,
            subject: SubjectView { id, name, email },
            path: link.path.clone(),
            created_by,
            created_at: link.created_at,
            expires_at: link.expires_at,
            session_seconds: link.session_seconds,
            session_expires_at: link.session_until,
        })
    }
}
