//! All organizations, worst first: for operators.

use askama::Template;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::routing::{get, post};
use domain::organization::OrganizationStatus;
use front::Front;
use operations::view::organization::OrganizationView;
use operations::{Query, RefusalCode};
use serde_json::json;

use crate::answer::{Answer, page, see};
use crate::filter::{Filter, pairs};
use crate::form::{Form, json as body};
use crate::show::{self, Page};
use crate::sign_in::local;
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/organizations", get(list).post(create))
        .route("/organizations/{id}", get(read))
        .route("/organizations/{id}/grants", post(grant))
        .route("/organizations/{id}/suspend", post(suspend))
        .route("/organizations/{id}/activate", post(activate))
        .route("/organizations/{id}/erase", post(erase))
}

#[derive(Template)]
#[template(path = "organizations.html")]
struct OrganizationsPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    organizations: &'a [OrganizationView],
    /// The page that an organization is chosen for.
    next: &'a str,
    more: Option<String>,
}

impl OrganizationsPage<'_> {
    /// The page that was asked for, of this organization.
    fn of(&self, id: &domain::id::OrganizationId) -> String {
        let joint = if self.next.contains('?') { '&' } else { '?' };
        format!("{}{joint}organization_id={id}", self.next)
    }
}

#[derive(Template)]
#[template(path = "organization_admin.html")]
struct AdminPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    o: &'a OrganizationView,
    status: &'static str,
}

impl AdminPage<'_> {
    /// The name that erasing asks for, so that nobody does it by a slip.
    fn pages(&self) -> String {
        format!("/?organization_id={}", self.o.id)
    }
}

async fn list(State(front): State<Front>, v: Visitor, RawQuery(query): RawQuery) -> Answer {
    let filter = Filter::of(query.as_deref());
    let mut parameters = filter.for_operation(&["cursor"], v.now);
    parameters.push(("sort".to_owned(), "health".to_owned()));
    let found = front.operations().await?.organizations(&v.ctx, Query::parse(Some(&show::query(&pairs(&parameters))))).await?;
    let more = found.next_cursor.map(|cursor| filter.with(&v, "cursor", &cursor));
    let next = local(filter.get("next"));
    page(&OrganizationsPage { page: Page::of(Some(&v), "organizations"), v: &v, organizations: &found.data, next, more })
}

async fn create(State(front): State<Front>, v: Visitor, form: Form) -> Answer {
    let asked = match form.filled("external_id") {
        Some(external_id) => json!({"name": form.text("name"), "external_id": external_id}),
        None => json!({"name": form.text("name")}),
    };
    let made = front.operations().await?.create_organization(&v.ctx, Query::default(), body(&asked)).await?;
    Ok(see(&format!("/organizations/{}", made.id)))
}

/// An organization's own address: its overview for its own people, what an operator decides of it for operators.
async fn read(State(front): State<Front>, v: Visitor, Path(id): Path<String>) -> Answer {
    if !v.is_operator() {
        let own = front.operations().await?.own_organization(&v.ctx, Query::parse(Some(&show::query(&[("organization_id", &id)])))).await?;
        return Ok(see(&format!("/?organization_id={}", own.id)));
    }
    let o = front.operations().await?.organization(&v.ctx, &id, Query::default()).await?;
    let status = if o.status == OrganizationStatus::Active { "active" } else { "suspended" };
    page(&AdminPage { page: Page::of(Some(&v), "organizations"), v: &v, o: &o, status })
}

async fn grant(State(front): State<Front>, v: Visitor, Path(id): Path<String>, form: Form) -> Answer {
    let lines = |name: &str| form.lines(name);
    let grants = json!({"grants": {
        "buckets": lines("buckets"), "ses_identities": lines("ses_identities"), "databases": lines("databases"), "secret_arns": lines("secret_arns"),
    }});
    front.operations().await?.patch_organization(&v.ctx, &id, Query::default(), body(&grants)).await?;
    Ok(see(&format!("/organizations/{id}")))
}

async fn suspend(state: State<Front>, v: Visitor, Path(id): Path<String>, _: Form) -> Answer {
    set_status(&state.0, &v, &id, "suspended").await
}

async fn activate(state: State<Front>, v: Visitor, Path(id): Path<String>, _: Form) -> Answer {
    set_status(&state.0, &v, &id, "active").await
}

async fn set_status(front: &Front, v: &Visitor, id: &str, status: &str) -> Answer {
    front.operations().await?.patch_organization(&v.ctx, id, Query::default(), body(&json!({"status": status}))).await?;
    Ok(see(&format!("/organizations/{id}")))
}

async fn erase(State(front): State<Front>, v: Visitor, Path(id): Path<String>, form: Form) -> Answer {
    let operations = front.operations().await?;
    let o = operations.organization(&v.ctx, &id, Query::default()).await?;
    // Its name is typed, so that nobody erases by a slip.
    if form.filled("name") != Some(o.name.trim()) {
        return Err(operations::Refusal::new(
            RefusalCode::NameDiffers,
            "what was typed is not the organization's name; nothing was erased",
        )
        .into());
    }
    let job = operations.erase_organization(&v.ctx, &id, Query::default(), operations::Body::new("".into())).await?;
    Ok(see(&format!("/jobs/{}?organization_id={id}", job.id)))
}
