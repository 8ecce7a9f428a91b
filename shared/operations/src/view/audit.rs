//! The views of audit events.

use domain::Timestamp;
use domain::audit::AuditEvent;
use domain::id::{AuditId, OrganizationId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// An entry of the audit log: a change that was made, or a request that was refused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub struct AuditEventView {
    /// Unique identifier of the object.
    #[schema(value_type = String, example = "aud_01kavd83802s63efghp3q1cpj4")]
    pub id: AuditId,
    /// The organization that the event concerns.
    #[schema(value_type = String, example = "org_01kavd83802s63efghp3q1cpj4")]
    pub organization_id: OrganizationId,
    /// When the event occurred.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What was done, as `<noun>.<verb>`, or the name of the refusal.
    #[schema(example = "destination.updated")]
    pub action: String,
    /// The outcome of the request: `succeeded` or `denied`.
    #[schema(value_type = String, example = "succeeded")]
    pub outcome: domain::audit::AuditOutcome,
    /// Who made the change or was refused: a key, a person or the system.
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
    /// The kind of actor: `key`, `person` or `system`.
    pub kind: String,
    /// The actor's identifier, if it has one.
    pub id: Option<String>,
    /// The actor's name, if it has one.
    pub name: Option<String>,
}

/// One value that was changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
pub struct ChangeView {
    /// The JSON Pointer of the value that changed.
    pub path: String,
    /// The value before the change.
    pub before: Value,
    /// The value after the change.
    pub after: Value,
}

impl From<AuditEvent> for AuditEventView {
    fn from(event: AuditEvent) -> Self {
        let AuditEvent {
            id,
            organization_id,
            at,
            action,
            outcome,
            actor,
            ip,
            target,
            changes,
            request_id,
        } = event;
        Self {
            id,
            organization_id,
            at,
            action,
            outcome,
            actor,
            ip,
            target,
            changes,
            request_id,
        }
    }
}
