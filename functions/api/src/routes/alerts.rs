//! `/v1/alerts`.

use axum::Router;
use axum::routing::get;
use operations::Page;
use operations::view::alert::AlertView;

use crate::Api;
use crate::answer::{Answer, ok};
use crate::extract::Call;

pub(crate) fn router() -> Router<Api> {
    Router::new().route("/v1/alerts", get(list_alerts))
}

/// List alerts, newest first, with their recipients and deliveries.
#[utoipa::path(get, path = "/v1/alerts", tag = "Alerts",
    responses((status = 200, description = "A page of the list.", body = Page<AlertView>)))]
pub(crate) async fn list_alerts(call: Call) -> Answer {
    ok(call.operations.alerts(&call.ctx, call.query).await?)
}
