//! The audit log, which records every change and every refusal: who did what, and from where. It
//! never contains secrets.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Timestamp;
use crate::id::{AuditId, OrganizationId};

/// One event of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// The identifier of the event.
    pub id: AuditId,
    /// The organization whose audit log contains the event.
    pub organization_id: OrganizationId,
    /// When the event happened.
    pub at: Timestamp,
    /// The action as `<noun>.<verb>`, or the name of a refusal.
    pub action: String,
    /// Whether the action was performed.
    pub outcome: AuditOutcome,
    /// Who performed or attempted the action.
    pub actor: Actor,
    /// The IP address of the caller.
    pub ip: Option<String>,
    /// The target of the action: an id, or the text that was requested.
    pub target: Option<String>,
    /// The values that changed.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// The id of the request that caused the event.
    pub request_id: Option<String>,
}

impl AuditEvent {
    /// Creates an event for an action that was performed. It has no IP address, no request and no
    /// list of changes.
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

    /// Creates an event for an action that Waybill itself performed.
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

    /// Returns the same event as a refusal.
    #[must_use]
    pub fn denied(self) -> Self {
        Self {
            outcome: AuditOutcome::Denied,
            ..self
        }
    }
}

/// Whether an action was performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditOutcome {
    /// The action was performed.
    Succeeded,
    /// The action was refused.
    Denied,
}

/// Who performed or attempted an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The kind of the actor.
    pub kind: ActorKind,
    /// The id of the actor, if it has one.
    pub id: Option<String>,
    /// The name of the actor, if it has one.
    pub name: Option<String>,
}

impl Actor {
    /// Returns the actor for actions of Waybill itself.
    #[must_use]
    pub fn system() -> Self {
        Self {
            kind: ActorKind::System,
            id: None,
            name: None,
        }
    }
}

/// The kind of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    /// A program that uses an API key.
    Key,
    /// A user of the console.
    Person,
    /// Waybill itself, without a user.
    System,
}

/// One value that changed. Secrets are replaced by the word `secret`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The JSON pointer to the value.
    pub path: String,
    /// The value before the change.
    pub before: Value,
    /// The value after the change.
    pub after: Value,
}
