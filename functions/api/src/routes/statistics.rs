//! `/v1/stats` and `/v1/destinations/{id}/health`.

use axum::Router;
use axum::routing::get;
use operations::view::statistics::{HealthBuckets, StatisticsView};

use crate::Api;
use crate::answer::{Answer, ok};
use crate::extract::Call;

pub(crate) fn router() -> Router<Api> {
    Router::new()
        .route("/v1/stats", get(read_statistics))
        .route("/v1/destinations/{id}/health", get(read_health))
}

/// Read an organization's attempts by destination type, event type or destination.
#[utoipa::path(get, path = "/v1/stats", tag = "Statistics",
    params(
        ("group_by" = Option<String>, Query, description = "How attempts are grouped: by \
             `destination_type`, `event_type` or `destination`."),
        ("since" = Option<String>, Query, description = "The start of the period, rounded down to \
             the hour. Default: 24 hours ago.", format = DateTime),
        ("until" = Option<String>, Query, description = "The end of the period, exclusive. \
             Default: now.", format = DateTime),
    ),
    responses((status = 200, description = "The attempts of each group within the period.",
        body = StatisticsView)))]
pub(crate) async fn read_statistics(call: Call) -> Answer {
    ok(call.operations.statistics(&call.ctx, call.query).await?)
}

/// Read a destination's attempts by the hour or the day.
#[utoipa::path(get, path = "/v1/destinations/{id}/health", tag = "Statistics",
    params(
        ("id" = String, Path),
        ("since" = Option<String>, Query, description = "The start of the period, rounded down to \
             the hour or day. Default: 24 hours or 30 days ago.", format = DateTime),
        ("until" = Option<String>, Query, description = "The end of the period, exclusive. \
             Default: now.", format = DateTime),
        ("granularity" = Option<String>, Query, description = "The length of each period: an \
             `hour` or a `day`, in UTC."),
    ),
    responses((status = 200, description = "Every hour or day that the period touches, at most 744.", body = HealthBuckets)))]
pub(crate) async fn read_health(call: Call<String>) -> Answer {
    ok(call
        .operations
        .destination_health(&call.ctx, &call.path, call.query)
        .await?)
}
