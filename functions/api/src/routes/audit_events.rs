//! `/v1/audit-events`.

use axum::Router;
use axum::routing::get;
use operations::Page;
use operations::view::audit::AuditEventView;

use crate::Api;
use crate::answer::{Answer, ok};
use crate::extract::Call;

pub(crate) fn router() -> Router<Api> {
    Router::new().route("/v1/audit-events", get(list_audit_events))
}

/// List the audit log, newest first: every change and every refusal, without secrets.
#[utoipa::path(get, path = "/v1/audit-events", tag = "Audit",
    params(
        ("action" = Option<String>, Query, description = "Only events with this action.",
            example = "destination.updated"),
        ("since" = Option<String>, Query, description = "Only events at or after this time.",
            format = DateTime),
        ("until" = Option<String>, Query, description = "Only events before this time.",
            format = DateTime),
    ),
    responses((status = 200, description = "A page of the list.", body = Page<AuditEventView>)))]
pub(crate) async fn list_audit_events(call: Call) -> Answer {
    ok(call.operations.audit_events(&call.ctx, call.query).await?)
}
