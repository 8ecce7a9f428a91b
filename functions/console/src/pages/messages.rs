//! The list of messages, and the page of a message with its payload and deliveries.

use askama::Template;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use axum::routing::{get, post};
use front::{Front, Refused};
use http::StatusCode;
use operations::Refusal;
use operations::message::PayloadAnswer;
use operations::view::message::{MessageStatus, MessageView};

use crate::answer::{Answer, page, page_as, see_other};
use crate::filter::{Filter, SPANS, pairs};
use crate::form::Form;
use crate::names::Names;
use crate::notice::{self, Notice};
use crate::pages::delivery::{Payload, payload, viewed};
use crate::show::{self, Page};
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/messages", get(list))
        .route("/messages/{id}", get(read))
        .route("/messages/{id}/payload", get(download))
        .route("/messages/{id}/payload/view", get(view))
        .route("/messages/{id}/erase", post(erase))
}

#[derive(Template)]
#[template(path = "messages.html")]
struct MessagesPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    filter: &'a Filter,
    messages: &'a [MessageView],
    next: Option<String>,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    m: &'a MessageView,
    status: &'static str,
    payload: Option<Payload>,
    names: &'a Names,
}

/// Returns the state of a message as the API spells it.
pub(crate) fn word(status: &MessageStatus) -> &'static str {
    match status {
        MessageStatus::Pending => "pending",
        MessageStatus::Succeeded => "succeeded",
        MessageStatus::Failed => "failed",
        MessageStatus::PartiallyFailed => "partially_failed",
    }
}

async fn list(State(front): State<Front>, v: Visitor, RawQuery(query): RawQuery) -> Answer {
    let filter = Filter::of(query.as_deref());
    let parameters = filter.for_operation(
        &[
            "event_type",
            "reference",
            "since",
            "until",
            "system",
            "cursor",
        ],
        v.now,
    );
    let found = front
        .operations()
        .await?
        .messages(&v.ctx, v.query(&pairs(&parameters)))
        .await;
    let (found, problem) = crate::answer::list_or_problem(found)?;
    let next = found.next_cursor.map(|cursor| filter.next(&v, &cursor));
    let status = if problem.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    page_as(
        status,
        &MessagesPage {
            page: Page::of(Some(&v), "messages"),
            v: &v,
            filter: &filter,
            messages: &found.data,
            next,
            problem,
        },
    )
}

async fn read(State(front): State<Front>, v: Visitor, Path(id): Path<String>) -> Answer {
    let operations = front.operations().await?;
    let m = operations.message(&v.ctx, &id, v.query(&[])).await?;
    let payload = payload(operations, &v, &id).await?;
    let names = Names::read(operations, &v).await?;
    page(&MessagePage {
        page: Page::of(Some(&v), "messages"),
        v: &v,
        status: word(&m.status),
        m: &m,
        payload,
        names: &names,
    })
}

async fn download(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    match front
        .operations()
        .await?
        .message_payload(&v.ctx, &id, v.query(&[]))
        .await?
    {
        PayloadAnswer::Bytes(download) => Ok(front::download(download)),
        PayloadAnswer::Redirect(url) => Ok(see_other(&url)),
        PayloadAnswer::Link(_) => {
            Err(Refusal::internal("a link was answered where bytes were requested").into())
        }
    }
}

async fn view(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    viewed(
        front
            .operations()
            .await?
            .message_payload(&v.ctx, &id, v.query(&[]))
            .await?,
    )
}

async fn erase(State(front): State<Front>, v: Visitor, Path(id): Path<String>, _: Form) -> Answer {
    front
        .operations()
        .await?
        .erase_message_payload(&v.ctx, &id, v.query(&[]))
        .await?;
    notice::to(
        &front,
        &v,
        &v.at("/messages", &id),
        Notice::done("The payload is erased."),
    )
    .await
}
