//! Resends a message to destinations that do not have it. The page shows what will be sent before
//! it is sent.

use askama::Template;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::routing::get;
use front::Front;
use operations::view::message::MessageView;
use operations::{Operations, Refusal};
use serde_json::Map;

use crate::answer::{Answer, page};
use crate::filter::Filter;
use crate::form::Form;
use crate::names::Names;
use crate::notice::{self, Notice};
use crate::show::{self, Page};
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new().route("/messages/{id}/resend", get(show_form).post(send))
}

#[derive(Template)]
#[template(path = "resend.html")]
struct ResendPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    m: &'a MessageView,
    /// Id and name of each destination that does not have the message.
    others: &'a [(String, String)],
    /// The destinations that were chosen.
    chosen: &'a [(String, String)],
}

impl ResendPage<'_> {
    fn is_chosen(&self, id: &str) -> bool {
        self.chosen.iter().any(|(chosen, _)| chosen == id)
    }
}

/// Returns the destinations that have no delivery of the message.
async fn others(
    operations: &Operations,
    v: &Visitor,
    m: &MessageView,
) -> Result<Vec<(String, String)>, Refusal> {
    let has = |id: &str| {
        m.deliveries
            .iter()
            .any(|item| item.delivery.destination_id.to_string() == id)
    };
    let names = Names::read(operations, v).await?.destinations;
    Ok(names.into_iter().filter(|(id, _)| !has(id)).collect())
}

async fn show_form(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    v.must_manage()?;
    let operations = front.operations().await?;
    let m = operations.message(&v.ctx, &id, v.query(&[])).await?;
    let others = others(operations, &v, &m).await?;
    let wanted = Filter::of(query.as_deref());
    let is_chosen = |(id, _): &&(String, String)| wanted.has("destination_id", id);
    let chosen: Vec<(String, String)> = others.iter().filter(is_chosen).cloned().collect();
    let frame = Page::of(Some(&v), "messages");
    page(&ResendPage {
        page: frame,
        v: &v,
        m: &m,
        others: &others,
        chosen: &chosen,
    })
}

async fn send(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let ids = form.all("destination_id");
    let fields = Map::from_iter([("destination_ids".to_owned(), ids.clone().into())]);
    let sent = front
        .operations()
        .await?
        .resend_message(&v.ctx, &id, v.filled_in(fields))
        .await;
    let notice = match sent {
        Ok(_) if ids.len() == 1 => Notice::done("The message is being sent to 1 more destination."),
        Ok(_) => {
            let text = format!(
                "The message is being sent to {} more destinations.",
                ids.len()
            );
            Notice::done(text)
        }
        Err(refusal) if refusal.is_correctable() => Notice::refused(&refusal),
        Err(refusal) => return Err(refusal.into()),
    };
    notice::to(&front, &v, &v.at("/messages", &id), notice).await
}
