//! Audit events.

use domain::Timestamp;
use domain::audit::AuditEvent;
use domain::id::{AuditId, OrganizationId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// One line of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub struct AuditEventView {
    /// Its id.
    #[schema(value_type = String, example = "aud_01kavd83802s63efghp3q1cpj4")]
    pub id: AuditId,
    /// The organization it is about.
    #[schema(value_type = String, example = "org_01kavd83802s63efghp3q1cpj4")]
    pub organization_id: OrganizationId,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `<noun>.<verb>`, or the name of a refusal.
    #[schema(example = "destination.updated")]
    pub action: String,
    /// `succeeded` or `denied`.
    #[schema(value_type = String, example = "succeeded")]
    pub outcome: domain::audit::AuditOutcome,
    /// By whom.
    #[schema(value_type = ActorView)]
    pub actor: domain::audit::Actor,
    /// From which address.
    pub ip: Option<String>,
    /// On what.
    pub target: Option<String>,
    /// What changed; secrets appear as the word `secret`.
    #[schema(value_type = Vec<ChangeView>)]
    pub changes: Vec<domain::audit::Change>,
    /// In which request.
    pub request_id: Option<String>,
}

/// Who did something.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Actor)]
pub struct ActorView {
    /// `key`, `person` or `system`.
    pub kind: String,
    /// Its id, when it has one.
    pub id: Option<String>,
    /// Its name, when it has one.
    pub name: Option<String>,
}

/// One value that changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
pub struct ChangeView {
    /// JSON pointer of what changed.
    pub path: String,
    /// What it was.
    pub before: Value,
    /// What it is.
    pub after: Value,
}

impl From<AuditEvent> for AuditEventView {
    fn from(event: AuditEvent) -> Self {
        let AuditEvent { id, organization_id, at, action, outcome, actor, ip, target, changes, request_id } = event;
        Self { id, organization_id, at, action, outcome, actor, ip, target, changes, request_id }
    }
}
