//! `/v1/messages`.

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use domain::role::Permission;
use operations::message::{
    PayloadAnswer, ResendMessage, SubmitBatch, SubmitMessage, Submitted, SubmittedBatch,
};
use operations::view::message::{BatchView, MessageView};
use operations::{CreateUpload, UploadView};
use operations::{Input, Page, Refusal};

use super::post_once;
use crate::Api;
use crate::answer::{Answer, accepted, created, download, no_content, ok, see_other};
use crate::extract::{Call, Content};

/// Submissions have their own idempotency protocol, which costs one write.
pub(crate) fn router(api: &Api) -> Router<Api> {
    Router::new()
        .route(
            "/v1/messages",
            get(list_messages).merge(post(submit_message)),
        )
        .route("/v1/messages/batch", post(submit_batch))
        .route("/v1/messages/{id}", get(get_message))
        .route(
            "/v1/messages/{id}/deliveries",
            post_once(api, Permission::ManageDestinations, resend_message),
        )
        .route(
            "/v1/messages/{id}/payload",
            get(get_payload).delete(erase_payload),
        )
        .route(
            "/v1/uploads",
            post_once(api, Permission::Submit, create_upload),
        )
        .route("/d/{token}", get(follow_link))
}

/// Submit a message.
///
/// After the response 202, the message is delivered or fails visibly. The payload is delivered byte
/// for byte. Without `destination_ids` it is sent to the organization's defaults and to every
/// enabled destination that subscribes to its event type; the response is 422 `no_destinations` if
/// there is none. If a destination does not exist, the response is 404 and nothing is sent.
#[utoipa::path(post, path = "/v1/messages", tag = "Messages", request_body = SubmitMessage,
    responses((status = 202, description = "The message was accepted.", body = MessageView)))]
pub(crate) async fn submit_message(call: Call, Content(body): Content) -> Answer {
    let Submitted { message, replayed } = call
        .operations
        .submit_message(&call.ctx, Input::request(call.query, body))
        .await?;
    accepted(
        Some(format!("/v1/messages/{}", message.id)),
        message,
        replayed,
    )
}

/// Submit up to 100 messages, each accepted or refused on its own.
///
/// All of them together make at most 1,000 deliveries; otherwise the response is 422
/// `batch_too_large` and nothing is accepted. A message that could not be handled in the time of
/// the request has the status 503 in the results and can be submitted again.
#[utoipa::path(post, path = "/v1/messages/batch", tag = "Messages", request_body = SubmitBatch,
    responses((status = 202, description = "A result for each message, in their order.",
        body = BatchView)))]
pub(crate) async fn submit_batch(call: Call, Content(body): Content) -> Answer {
    let SubmittedBatch { results, replayed } = call
        .operations
        .submit_batch(&call.ctx, Input::request(call.query, body))
        .await?;
    accepted(None, results, replayed)
}

/// List messages, newest first.
#[utoipa::path(get, path = "/v1/messages", tag = "Messages",
    params(
        ("event_type" = Option<String>, Query, description = "Only messages with this event type."),
        ("reference" = Option<String>, Query, description = "Only messages with this reference."),
        ("since" = Option<String>, Query, description = "Only messages that were accepted at or \
             after this time.", format = DateTime),
        ("until" = Option<String>, Query, description = "Only messages that were accepted before \
             this time.", format = DateTime),
        ("system" = Option<bool>, Query, description = "`true` adds Waybill's own messages, \
             `waybill.*`."),
    ),
    responses((status = 200, description = "A page of the list.", body = Page<MessageView>)))]
pub(crate) async fn list_messages(call: Call) -> Answer {
    ok(call.operations.messages(&call.ctx, call.query).await?)
}

/// Read a message with the status of its deliveries.
#[utoipa::path(get, path = "/v1/messages/{id}", tag = "Messages", params(("id" = String, Path)),
    responses((status = 200, description = "The message.", body = MessageView)))]
pub(crate) async fn get_message(call: Call<String>) -> Answer {
    ok(call
        .operations
        .message(&call.ctx, &call.path, call.query)
        .await?)
}

/// Send a message to more destinations.
///
/// Adds a delivery for each destination that does not have one of this message yet; to send the
/// message to a destination again, retry its delivery. New deliveries continue the numbering. For
/// one message and destination, the receiver always sees the same id.
#[utoipa::path(post, path = "/v1/messages/{id}/deliveries", tag = "Messages",
    params(("id" = String, Path)), request_body = ResendMessage,
    responses((status = 202, description = "The message, with the added deliveries.",
        body = MessageView),
        (status = 409, description = "`payload_expired`: the payload is no longer kept.")))]
pub(crate) async fn resend_message(call: Call<String>, Content(body): Content) -> Answer {
    accepted(
        None,
        call.operations
            .resend_message(&call.ctx, &call.path, Input::request(call.query, body))
            .await?,
        false,
    )
}

/// Download a message's payload, or receive a redirect to it if it is larger than 1 MiB.
#[utoipa::path(get, path = "/v1/messages/{id}/payload", tag = "Messages",
    params(("id" = String, Path), ("link" = Option<bool>, Query, description = "`true` returns a \
         link to the payload instead of the payload.")),
    responses((status = 200, description = "The content, as it was sent.", content_type = "*/*",
        body = Vec<u8>),
        (status = 303, description = "A redirect to the content, valid for one minute."),
        (status = 410, description = "`payload_expired`: the payload is no longer kept.")))]
pub(crate) async fn get_payload(call: Call<String>) -> Answer {
    payload(
        call.operations
            .message_payload(&call.ctx, &call.path, call.query)
            .await?,
    )
}

/// Erase a message's payload and what stored responses quoted of it. Cancels unfinished deliveries.
#[utoipa::path(delete, path = "/v1/messages/{id}/payload", tag = "Messages",
    params(("id" = String, Path)),
    responses((status = 204, description = "The object was deleted.")))]
pub(crate) async fn erase_payload(call: Call<String>) -> Answer {
    call.operations
        .erase_message_payload(&call.ctx, &call.path, call.query)
        .await?;
    no_content()
}

/// Announce an upload of up to 5 GiB, which is then put to `url` with `headers`.
#[utoipa::path(post, path = "/v1/uploads", tag = "Messages", request_body = CreateUpload,
    responses((status = 201, description = "Where to send the content.", body = UploadView)))]
pub(crate) async fn create_upload(call: Call, Content(body): Content) -> Answer {
    let upload = call
        .operations
        .create_upload(&call.ctx, Input::request(call.query, body))
        .await?;
    created(format!("/v1/uploads/{}", upload.id), upload)
}

/// Follow a signed link to a payload.
#[utoipa::path(get, path = "/d/{token}", tag = "Messages", params(("token" = String, Path)),
    security(()),
    responses((status = 200, description = "The content, as it was sent.", content_type = "*/*",
        body = Vec<u8>),
        (status = 303, description = "A redirect to the content, valid for one minute."),
        (status = 404, description = "`not_found`: the link is invalid or has expired."),
        (status = 410, description = "`payload_expired`: the payload is no longer kept.")))]
pub(crate) async fn follow_link(
    State(api): State<Api>,
    token: Result<Path<String>, PathRejection>,
) -> Answer {
    // A token that is not text is not valid.
    let Path(token) = token.map_err(|_| Refusal::not_found())?;
    payload(api.operations().await?.linked_payload(&token).await?)
}

pub(super) fn payload(answer: PayloadAnswer) -> Answer {
    match answer {
        PayloadAnswer::Bytes(bytes) => download(bytes),
        PayloadAnswer::Redirect(url) => see_other(&url),
        PayloadAnswer::Link(link) => ok(link),
    }
}
