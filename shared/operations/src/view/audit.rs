//! Audit events.

use domain::Timestamp;
use domain::audit::AuditEvent;
use domain::id::{AuditId, OrganizationId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// An event of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub struct AuditEventView {
    /// The identifier.
    #[schema(value_type = String, example = "aud_01kavd83802s63efghp3q1cpj4")]
    pub id: AuditId,
    /// The organization it is about.
    #[schema(value_type = String, example = "org_01kavd83802s63efghp3q1cpj4")]
    pub organization_id: OrganizationId,
    /// When the event occurred.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `<noun>.<verb>`, or the name of a refusal.
    #[schema(example = "destination.updated")]
    pub action: String,
    /// `succeeded` or `denied`.
    #[schema(value_type = String, example = "succeeded")]
    pub outcome: domain::audit::AuditOutcome,
    /// The actor.
    #[schema(value_type = ActorView)]
    pub actor: domain::audit::Actor,
    /// The IP address of the caller.
    pub ip: Option<String>,
    /// The identifier of the object that was acted on.
    pub target: Option<String>,
    /// The changed values. Secrets appear as the word `secret`.
    #[schema(value_type = Vec<ChangeView>)]
    pub changes: Vec<domain::audit::Change>,
    /// The identifier of the request.
    pub request_id: Option<String>,
}

/// The actor of an audit event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Actor)]
pub struct ActorView {
    /// `key`, `person` or `system`.
    pub kind: String,
    /// The actor's identifier, if it has one.
    pub id: Option<String>,
    /// The actor's name, if it has one.
    pub name: Option<String>,
}

/// One value that changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
pub struct ChangeView {
    /// JSON pointer of what changed.
    pub path: String,
    /// The previous value.
    pub before: Value,
    /// The new value.
    pub after: Value,
}

impl From<AuditEvent> for AuditEventView {
    fn from(event: AuditEvent) -> Self {
        let AuditEvent { id, organization_id, at, action, outcome, actor, ip, target, changes, request_id } = event;
        Self { id, organization_id, at, action, outcome, actor, ip, target, changes, request_id }
    }
}
