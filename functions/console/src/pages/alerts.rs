//! The list of alerts about destinations, and of their recipients.

use askama::Template;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::get;
use front::Front;
use operations::view::alert::AlertView;

use crate::answer::{Answer, page};
use crate::filter::{Filter, pairs};
use crate::names::{Choices, Names};
use crate::show::{self, Page};
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new().route("/alerts", get(list))
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct AlertsPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    alerts: &'a [AlertView],
    names: &'a Names,
    choices: Option<Choices>,
    next: Option<String>,
}

async fn list(State(front): State<Front>, v: Visitor, RawQuery(query): RawQuery) -> Answer {
    let filter = Filter::of(query.as_deref());
    let parameters = filter.for_operation(&["cursor"], v.now);
    let operations = front.operations().await?;
    let found = operations
        .alerts(&v.ctx, v.query(&pairs(&parameters)))
        .await?;
    let next = found.next_cursor.map(|cursor| filter.next(&v, &cursor));
    let organizations = found
        .data
        .iter()
        .map(|alert| alert.organization_id)
        .collect();
    let names = Names::of_organizations(operations, &v, organizations).await?;
    let choices = Choices::read(operations, &v).await?;
    page(&AlertsPage {
        page: Page::of(Some(&v), "alerts"),
        v: &v,
        alerts: &found.data,
        names: &names,
        choices,
        next,
    })
}

/// Returns the last segment of an event type: `failing` of `waybill.destination.failing`.
fn word(kind: &str) -> &str {
    kind.rsplit('.').next().unwrap_or(kind)
}
