//! The audit trail: every change and every refusal; who, what, from where; never a secret (R6.5).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Timestamp;
use crate::id::{AuditId, OrganizationId};

/// One line of the audit trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Its id.
    pub id: AuditId,
    /// In whose trail it stands.
    pub organization_id: OrganizationId,
    /// When.
    pub at: Timestamp,
    /// `<noun>.<verb>`, or the name of a refusal.
    pub action: String,
    /// Whether it was done.
    pub outcome: AuditOutcome,
    /// By whom.
    pub actor: Actor,
    /// From which address.
    pub ip: Option<String>,
    /// On what: an id, or what was asked for.
    pub target: Option<String>,
    /// What changed.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// In which request.
    pub request_id: Option<String>,
}

impl AuditEvent {
    /// Records something that was done: from no address, outside of a request, and without a list
    /// of changes.
    #[must_use]
    pub fn new(
        id: AuditId,
        organization_id: OrganizationId,
        at: Timestamp,
        actor: Actor,
        action: impl Into<String>,
        target: impl ToString,
    ) -> Self {
        Self {
            id,
            organization_id,
            at,
            action: action.into(),
            outcome: AuditOutcome::Succeeded,
            actor,
            ip: None,
            target: Some(target.to_string()),
            changes: Vec::new(),
            request_id: None,
        }
    }

    /// Records something that Waybill itself did.
    #[must_use]
    pub fn by_system(
        id: AuditId,
        organization_id: OrganizationId,
        at: Timestamp,
        action: impl Into<String>,
        target: impl ToString,
    ) -> Self {
        Self::new(id, organization_id, at, Actor::system(), action, target)
    }

    /// The same event as a refusal.
    #[must_use]
    pub fn denied(self) -> Self {
        Self {
            outcome: AuditOutcome::Denied,
            ..self
        }
    }
}

/// Whether what was asked was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditOutcome {
    /// It was.
    Succeeded,
    /// It was refused.
    Denied,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// What kind of actor.
    pub kind: ActorKind,
    /// Its id, when it has one.
    pub id: Option<String>,
    /// Its name, when it has one.
    pub name: Option<String>,
}

impl Actor {
    /// Waybill itself.
    #[must_use]
    pub fn system() -> Self {
        Self {
            kind: ActorKind::System,
            id: None,
            name: None,
        }
    }
}

/// What kind of actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    /// A program with an API key.
    Key,
    /// A person in the console.
    Person,
    /// Waybill itself.
    System,
}

/// One value that changed; secrets appear as the word `secret`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// JSON pointer of what changed.
    pub path: String,
    /// What it was.
    pub before: Value,
    /// What it is.
    pub after: Value,
}
