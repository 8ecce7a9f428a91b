//! The audit log: changes and refused requests.

use askama::Template;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::get;
use domain::id::OrganizationId;
use front::Front;
use http::StatusCode;
use operations::view::audit::AuditEventView;
use serde_json::Value;

use crate::answer::{Answer, page_as};
use crate::filter::{Filter, SPANS, pairs};
use crate::names::{Choices, Names};
use crate::show::{self, Page};
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new().route("/audit", get(list))
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    filter: &'a Filter,
    events: &'a [AuditEventView],
    names: &'a Names,
    choices: Option<Choices>,
    next: Option<String>,
    problem: Option<String>,
}

async fn list(State(front): State<Front>, v: Visitor, RawQuery(query): RawQuery) -> Answer {
    let filter = Filter::of(query.as_deref());
    let mut parameters = filter.for_operation(&["action", "since", "until", "cursor"], v.now);
    parameters.push(("limit".to_owned(), "50".to_owned()));
    let operations = front.operations().await?;
    let found = operations
        .audit_events(&v.ctx, v.query(&pairs(&parameters)))
        .await;
    let (found, problem) = crate::answer::list_or_problem(found)?;
    let next = found.next_cursor.map(|cursor| filter.next(&v, &cursor));
    let status = if problem.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let organizations = found
        .data
        .iter()
        .map(|event| event.organization_id)
        .collect();
    let names = Names::of_organizations(operations, &v, organizations).await?;
    let choices = Choices::read(operations, &v).await?;
    let page = AuditPage {
        page: Page::of(Some(&v), "audit"),
        v: &v,
        filter: &filter,
        events: &found.data,
        names: &names,
        choices,
        next,
        problem,
    };
    page_as(status, &page)
}

/// Returns the address of the page of the record that an event is about, if there is one.
fn link_of(v: &Visitor, organization: &OrganizationId, target: &str) -> Option<String> {
    let noun = match target.split('_').next()? {
        "dst" => "/destinations",
        "dlv" => "/deliveries",
        "msg" => "/messages",
        "job" => "/jobs",
        _ => return None,
    };
    target
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        .then(|| v.at_in(organization, noun, &target))
}

/// Formats a changed value, cut to 120 characters.
fn value(value: &Value) -> String {
    let text = match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() > 120 {
        text.chars().take(119).chain(['…']).collect()
    } else {
        text
    }
}
