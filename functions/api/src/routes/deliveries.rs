//! `/v1/deliveries`.

use axum::Router;
use axum::routing::get;
use domain::role::Permission;
use operations::view::delivery::{DeliverySummary, DeliveryView};
use operations::{Input, Page, RetryDelivery};

use super::messages::payload;
use super::post_once;
use crate::Api;
use crate::answer::{Answer, accepted, ok};
use crate::extract::{Call, Content};

pub(crate) fn router(api: &Api) -> Router<Api> {
    let manage = Permission::ManageDestinations;
    Router::new()
        .route("/v1/deliveries", get(list_deliveries))
        .route("/v1/deliveries/{id}", get(get_delivery))
        .route("/v1/deliveries/{id}/body", get(get_delivery_body))
        .route(
            "/v1/deliveries/{id}/retry",
            post_once(api, manage, retry_delivery),
        )
        .route(
            "/v1/deliveries/{id}/cancel",
            post_once(api, manage, cancel_delivery),
        )
}

/// List deliveries, newest first.
///
/// Filters combine. A filter that nothing matches returns an empty page.
#[utoipa::path(get, path = "/v1/deliveries", tag = "Deliveries",
    params(
        ("destination_id" = Option<String>, Query, description = "Only deliveries to this \
             destination."),
        ("status" = Option<Vec<String>>, Query, description = "Only deliveries in one of these \
             statuses. The parameter can be repeated."),
        ("event_type" = Option<String>, Query, description = "Only deliveries of messages with \
             this event type."),
        ("message_id" = Option<String>, Query, description = "Only deliveries of this message."),
        ("reference" = Option<String>, Query, description = "Only deliveries of messages with \
             this reference."),
        ("since" = Option<String>, Query, description = "Only messages that were accepted at or \
             after this time.", format = DateTime),
        ("until" = Option<String>, Query, description = "Only messages that were accepted before \
             this time.", format = DateTime),
    ),
    responses((status = 200, description = "A page of the list.", body = Page<DeliverySummary>)))]
pub(crate) async fn list_deliveries(call: Call) -> Answer {
    ok(call.operations.deliveries(&call.ctx, call.query).await?)
}

/// Read a delivery with its attempts.
#[utoipa::path(get, path = "/v1/deliveries/{id}", tag = "Deliveries", params(("id" = String, Path)),
    responses((status = 200, description = "The delivery, with its attempts.",
        body = DeliveryView)))]
pub(crate) async fn get_delivery(call: Call<String>) -> Answer {
    ok(call
        .operations
        .delivery(&call.ctx, &call.path, call.query)
        .await?)
}

/// Download the body as it was last sent, after templates and presets.
///
/// Returns the body of the last attempt that sent one. Its SHA-256 is the `body_sha256` of that
/// attempt. A mail is returned as its MIME message.
/// Credentials that a body carries (the integration key of PagerDuty) are shown as `[redacted]`,
/// and the hash is that of the redacted body.
#[utoipa::path(get, path = "/v1/deliveries/{id}/body", tag = "Deliveries",
    params(("id" = String, Path)),
    responses((status = 200, description = "The content, as it was sent.", content_type = "*/*",
        body = Vec<u8>),
        (status = 303, description = "A redirect to a body of more than 1 MiB, valid for one \
             minute."),
        (status = 404, description = "`not_found`: nothing has been sent for this delivery yet, \
             or it does not exist for this caller."),
        (status = 410, description = "`payload_expired`: the payload is no longer kept.")))]
pub(crate) async fn get_delivery_body(call: Call<String>) -> Answer {
    payload(
        call.operations
            .delivery_body(&call.ctx, &call.path, call.query)
            .await?,
    )
}

/// Retry a delivery now, with a fresh budget.
///
/// Reopens a failed, skipped or cancelled delivery, and with `force` a succeeded one; a delivery
/// that waits for its next attempt is tried now. Ids stay the same, and attempt numbers continue.
#[utoipa::path(post, path = "/v1/deliveries/{id}/retry", tag = "Deliveries",
    params(("id" = String, Path)),
    request_body(content = Option<RetryDelivery>),
    responses((status = 202, description = "The object in its current state.", body = DeliveryView),
        (status = 409, description = "`already_succeeded`, `destination_disabled`, \
             `destination_deleted` or `payload_expired`.")))]
pub(crate) async fn retry_delivery(call: Call<String>, Content(body): Content) -> Answer {
    let view = call
        .operations
        .retry_delivery(&call.ctx, &call.path, Input::request(call.query, body))
        .await?;
    accepted(None, view, false)
}

/// Cancel a delivery, so that no further attempt starts.
///
/// If an attempt that is running succeeds, the delivery still becomes `succeeded`.
#[utoipa::path(post, path = "/v1/deliveries/{id}/cancel", tag = "Deliveries",
    params(("id" = String, Path)),
    responses((status = 200, description = "The object in its current state.", body = DeliveryView),
        (status = 409, description = "`already_finished`: it has finished and cannot be cancelled.")))]
pub(crate) async fn cancel_delivery(call: Call<String>, Content(body): Content) -> Answer {
    ok(call
        .operations
        .cancel_delivery(&call.ctx, &call.path, Input::request(call.query, body))
        .await?)
}
