//! `/v1/destinations`.

use axum::Router;
use axum::routing::{delete, get};
use domain::role::Permission;
use operations::destination::{
    AskHostKeys, CreateDestination, DisableDestination, EnableDestination, EnabledDestination,
    HostKeysView, PatchDestination, PauseDestination, PreviewDestination, RotateSecret,
    TestDestination,
};
use operations::view::destination::{Checked, DestinationView, NewDestination, RotatedSecret};
use operations::view::message::MessageView;
use operations::view::meta::DestinationTypes;
use operations::{Input, Page};

use super::post_once;
use crate::Api;
use crate::answer::{Answer, accepted, created_tagged, no_content, ok, ok_tagged};
use crate::extract::{Call, Content};

pub(crate) fn router(api: &Api) -> Router<Api> {
    let manage = Permission::ManageDestinations;
    Router::new()
        .route("/v1/destination-types", get(list_destination_types))
        .route(
            "/v1/destinations",
            get(list_destinations).merge(post_once(api, manage, create_destination)),
        )
        .route(
            "/v1/destinations/check",
            post_once(api, manage, check_new_destination),
        )
        .route(
            "/v1/destinations/preview",
            post_once(api, manage, preview_destination),
        )
        .route("/v1/host-keys", post_once(api, manage, ask_host_keys))
        .route(
            "/v1/destinations/{id}",
            get(get_destination)
                .patch(patch_destination)
                .delete(delete_destination),
        )
        .route(
            "/v1/destinations/{id}/check",
            post_once(api, manage, check_destination),
        )
        .route(
            "/v1/destinations/{id}/enable",
            post_once(api, manage, enable_destination),
        )
        .route(
            "/v1/destinations/{id}/disable",
            post_once(api, manage, disable_destination),
        )
        .route(
            "/v1/destinations/{id}/pause",
            post_once(api, manage, pause_destination),
        )
        .route(
            "/v1/destinations/{id}/resume",
            post_once(api, manage, resume_destination),
        )
        .route(
            "/v1/destinations/{id}/rotate-secret",
            post_once(api, manage, rotate_secret),
        )
        .route(
            "/v1/destinations/{id}/test",
            post_once(api, manage, test_destination),
        )
        .route(
            "/v1/destinations/{id}/signing-secrets/{secret_id}",
            delete(end_signing_secret),
        )
}

/// List the destination types, with the JSON Schemas of their settings and credentials.
#[utoipa::path(get, path = "/v1/destination-types", tag = "Destinations",
    responses((status = 200, description = "Every destination type, with the schemas of its \
         settings and credentials.", body = DestinationTypes)))]
pub(crate) async fn list_destination_types(call: Call) -> Answer {
    ok(call
        .operations
        .destination_types(&call.ctx, call.query)
        .await?)
}

/// List destinations, oldest first.
#[utoipa::path(get, path = "/v1/destinations", tag = "Destinations",
    params(
        ("type" = Option<String>, Query, description = "Only destinations of this type.",
            example = "webhook"),
        ("status" = Option<String>, Query, description = "Only destinations in this state: \
             `enabled`, `paused` or `disabled`."),
        ("include" = Option<String>, Query, description = "`health` adds the health of each \
             destination."),
    ),
    responses((status = 200, description = "A page of the list.", body = Page<DestinationView>)))]
pub(crate) async fn list_destinations(call: Call) -> Answer {
    ok(call.operations.destinations(&call.ctx, call.query).await?)
}

/// Create a destination.
///
/// Connection and credentials are checked from where deliveries will run, within 20 s. If the check
/// fails, the response is 422 `connection_check_failed` with its steps, and nothing is saved.
#[utoipa::path(post, path = "/v1/destinations", tag = "Destinations",
    request_body = CreateDestination,
    params(("skip_check" = Option<bool>, Query, description = "`true` saves without checking the \
         connection.")),
    responses((status = 201, description = "The destination was created. A generated signing \
         secret is shown once.", body = NewDestination,
            headers(("ETag" = String, description = "The revision of the destination."))),
        (status = 409, description = "`limit_reached`: the organization already has 1,000 \
             destinations.")))]
pub(crate) async fn create_destination(call: Call, Content(body): Content) -> Answer {
    let new = call
        .operations
        .create_destination(&call.ctx, Input::request(call.query, body))
        .await?;
    let revision = new.view.revision;
    created_tagged(format!("/v1/destinations/{}", new.view.id), new, revision)
}

/// Check a destination that is not saved.
#[utoipa::path(post, path = "/v1/destinations/check", tag = "Destinations",
    request_body = CreateDestination,
    responses((status = 200, description = "The result of the check.", body = Checked)))]
pub(crate) async fn check_new_destination(call: Call, Content(body): Content) -> Answer {
    ok(call
        .operations
        .check_new_destination(&call.ctx, Input::request(call.query, body))
        .await?)
}

/// Preview what a destination would receive for a sample. Nothing is sent or saved.
#[utoipa::path(post, path = "/v1/destinations/preview", tag = "Destinations",
    request_body = PreviewDestination,
    responses((status = 200, description = "What the destination would receive, by type: body and \
         headers, subject and texts, object key, or directory and file name.", body = Object)))]
pub(crate) async fn preview_destination(call: Call, Content(body): Content) -> Answer {
    ok(call
        .operations
        .preview_destination(&call.ctx, Input::request(call.query, body))
        .await?)
}

/// Read the host keys of an SFTP server, to compare them before one is pinned as `host_key`.
#[utoipa::path(post, path = "/v1/host-keys", tag = "Destinations", request_body = AskHostKeys,
    responses((status = 200, description = "The host keys that the server presents, the preferred \
         one first.", body = HostKeysView)))]
pub(crate) async fn ask_host_keys(call: Call, Content(body): Content) -> Answer {
    ok(call
        .operations
        .host_keys(&call.ctx, Input::request(call.query, body))
        .await?)
}

/// Read a destination.
#[utoipa::path(get, path = "/v1/destinations/{id}", tag = "Destinations",
    params(("id" = String, Path)),
    responses((status = 200, description = "The destination, in its current state.",
        body = DestinationView, headers(("ETag" = String,
            description = "The revision of the destination.")))))]
pub(crate) async fn get_destination(call: Call<String>) -> Answer {
    let view = call
        .operations
        .destination(&call.ctx, &call.path, call.query)
        .await?;
    let revision = view.revision;
    ok_tagged(view, revision)
}

/// Change a destination by a merge patch.
///
/// A change of settings or credentials is checked as on creation. The response is 412
/// `revision_conflict` if `If-Match` names another revision, and 422 `credentials_required` if
/// secrets would be sent to another scheme, host or port and are not sent again.
#[utoipa::path(patch, path = "/v1/destinations/{id}", tag = "Destinations",
    request_body = PatchDestination,
    params(
        ("id" = String, Path),
        ("skip_check" = Option<bool>, Query, description = "`true` saves without checking the \
             connection."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that the \
             change was made for. Another version is not changed."),
    ),
    responses((status = 200, description = "The object in its current state.",
        body = DestinationView, headers(("ETag" = String,
            description = "The revision of the destination."))),
        (status = 412, description = "`revision_conflict`: the destination has changed since it \
             was read.")))]
pub(crate) async fn patch_destination(call: Call<String>, Content(body): Content) -> Answer {
    let view = call
        .operations
        .patch_destination(
            &call.ctx,
            &call.path,
            call.if_match.as_deref(),
            Input::request(call.query, body),
        )
        .await?;
    let revision = view.revision;
    ok_tagged(view, revision)
}

/// Delete a destination with its secrets. History stays readable; pending deliveries are skipped.
#[utoipa::path(delete, path = "/v1/destinations/{id}", tag = "Destinations",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "The `ETag` \
         of the version to delete. Another version is not deleted.")),
    responses((status = 204, description = "The object was deleted."),
        (status = 412, description = "`revision_conflict`: the destination has changed since it \
             was read.")))]
pub(crate) async fn delete_destination(call: Call<String>) -> Answer {
    call.operations
        .delete_destination(&call.ctx, &call.path, call.if_match.as_deref(), call.query)
        .await?;
    no_content()
}

/// Check a destination. The result does not count as a failure.
#[utoipa::path(post, path = "/v1/destinations/{id}/check", tag = "Destinations",
    params(("id" = String, Path)),
    responses((status = 200, description = "The result of the check.", body = Checked)))]
pub(crate) async fn check_destination(call: Call<String>, Content(body): Content) -> Answer {
    ok(call
        .operations
        .check_destination(&call.ctx, &call.path, Input::request(call.query, body))
        .await?)
}

/// Enable a destination and reset its failure counter, without a check.
///
/// With `replay_since`, a job redelivers what failed or was skipped since then.
#[utoipa::path(post, path = "/v1/destinations/{id}/enable", tag = "Destinations",
    params(("id" = String, Path)),
    request_body(content = Option<EnableDestination>),
    responses((status = 200, description = "The object in its current state.",
        body = EnabledDestination)))]
pub(crate) async fn enable_destination(call: Call<String>, Content(body): Content) -> Answer {
    let view = call
        .operations
        .enable_destination(&call.ctx, &call.path, Input::request(call.query, body))
        .await?;
    let revision = view.destination.revision;
    ok_tagged(view, revision)
}

/// Pause a destination.
///
/// Deliveries wait until the destination is resumed: none is skipped, sent or counted as a
/// failure. A delivery that waits has `waiting_for: "pause"` and keeps its `expires_at`. Tests are
/// still sent. Pausing again replaces the reason and the end.
#[utoipa::path(post, path = "/v1/destinations/{id}/pause", tag = "Destinations",
    params(("id" = String, Path)),
    request_body(content = Option<PauseDestination>, content_type = "application/json"),
    responses((status = 200, description = "The destination, in its current state.",
        body = DestinationView),
        (status = 409, description = "`destination_disabled`: the destination is disabled; enable \
             it first.")))]
pub(crate) async fn pause_destination(call: Call<String>, Content(body): Content) -> Answer {
    ok(call
        .operations
        .pause_destination(&call.ctx, &call.path, Input::request(call.query, body))
        .await?)
}

/// Resume a destination.
///
/// Deliveries that wait are sent, oldest first, within the destination's limits.
#[utoipa::path(post, path = "/v1/destinations/{id}/resume", tag = "Destinations",
    params(("id" = String, Path)),
    responses((status = 200, description = "The destination, in its current state.",
        body = DestinationView),
        (status = 409, description = "`destination_disabled`: the destination is disabled; enable \
             it first.")))]
pub(crate) async fn resume_destination(call: Call<String>, Content(body): Content) -> Answer {
    ok(call
        .operations
        .resume_destination(&call.ctx, &call.path, Input::request(call.query, body))
        .await?)
}

/// Disable a destination. Its queued and retrying deliveries become `skipped`.
#[utoipa::path(post, path = "/v1/destinations/{id}/disable", tag = "Destinations",
    params(("id" = String, Path)),
    request_body(content = Option<DisableDestination>),
    responses((status = 200, description = "The object in its current state.",
        body = DestinationView)))]
pub(crate) async fn disable_destination(call: Call<String>, Content(body): Content) -> Answer {
    let view = call
        .operations
        .disable_destination(&call.ctx, &call.path, Input::request(call.query, body))
        .await?;
    let revision = view.revision;
    ok_tagged(view, revision)
}

/// Rotate the signing secret. Until the overlap ends, all valid secrets sign, newest first.
#[utoipa::path(post, path = "/v1/destinations/{id}/rotate-secret", tag = "Destinations",
    params(("id" = String, Path)),
    request_body(content = Option<RotateSecret>),
    responses((status = 200, description = "The secret was rotated. A generated secret is shown \
         once.", body = RotatedSecret),
        (status = 409, description = "`too_many_secrets`: five secrets are live already.")))]
pub(crate) async fn rotate_secret(call: Call<String>, Content(body): Content) -> Answer {
    ok(call
        .operations
        .rotate_secret(&call.ctx, &call.path, Input::request(call.query, body))
        .await?)
}

/// Send a test to this destination: one attempt, which no counter or statistic includes.
#[utoipa::path(post, path = "/v1/destinations/{id}/test", tag = "Destinations",
    params(("id" = String, Path)),
    request_body(content = Option<TestDestination>),
    responses((status = 202, description = "The test message.", body = MessageView)))]
pub(crate) async fn test_destination(call: Call<String>, Content(body): Content) -> Answer {
    let view = call
        .operations
        .test_destination(&call.ctx, &call.path, Input::request(call.query, body))
        .await?;
    accepted(Some(format!("/v1/messages/{}", view.id)), view, false)
}

/// End a signing secret early.
#[utoipa::path(delete, path = "/v1/destinations/{id}/signing-secrets/{secret_id}",
    tag = "Destinations",
    params(("id" = String, Path), ("secret_id" = String, Path)),
    responses((status = 204, description = "The secret no longer signs."),
        (status = 409, description = "`last_secret`: the last signing secret cannot be ended.")))]
pub(crate) async fn end_signing_secret(call: Call<(String, String)>) -> Answer {
    call.operations
        .end_secret(&call.ctx, &call.path.0, &call.path.1, call.query)
        .await?;
    no_content()
}
