//! The pages of operators: the list of organizations, worst health first, and the page of each.

use askama::Template;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::routing::{get, post};
use domain::organization::OrganizationStatus;
use front::Front;
use http::StatusCode;
use operations::organization::OrganizationChange;
use operations::view::organization::OrganizationView;
use operations::{Input, Query, Refusal};
use serde_json::{Map, Value};

use crate::action_form::ActionForm;
use crate::answer::{Answer, page, page_as, see_other};
use crate::filter::{Filter, pairs};
use crate::form::Form;
use crate::notice::{self, Notice};
use crate::schema_form::Field;
use crate::show::{self, Page};
use crate::sign_in::local;
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/organizations", get(list).post(create))
        .route("/organizations/new", get(show_new))
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
    filter: &'a Filter,
    organizations: &'a [OrganizationView],
    /// The sum over the organizations that are shown.
    shown: Shown,
    problem: Option<String>,
    /// The path to continue with after an organization is chosen.
    next: &'a str,
    more: Option<String>,
}

/// The numbers of failing destinations, disabled destinations and pending deliveries of several
/// organizations.
#[derive(Default)]
struct Shown {
    failing: u64,
    disabled: u64,
    pending: u64,
}

impl Shown {
    fn of(organizations: &[OrganizationView]) -> Self {
        let health = organizations
            .iter()
            .filter_map(|organization| organization.health.as_ref());
        health.fold(Self::default(), |sum, one| Self {
            failing: sum.failing + one.failing,
            disabled: sum.disabled + one.disabled,
            pending: sum.pending + one.pending,
        })
    }
}

impl OrganizationsPage<'_> {
    /// Returns the address to continue with if this organization is chosen.
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
    /// Returns the address of the pages of this organization.
    fn pages(&self) -> String {
        format!("/?organization_id={}", self.o.id)
    }
}

async fn list(State(front): State<Front>, v: Visitor, RawQuery(query): RawQuery) -> Answer {
    let filter = Filter::of(query.as_deref());
    let mut parameters = filter.for_operation(&["name", "cursor"], v.now);
    parameters.push(("sort".to_owned(), "health".to_owned()));
    let asked = Query::of(pairs(&parameters));
    let found = front.operations().await?.organizations(&v.ctx, asked).await;
    let (found, problem) = crate::answer::list_or_problem(found)?;
    let more = found.next_cursor.map(|cursor| filter.next(&v, &cursor));
    let next = local(filter.get("next"));
    let status = if problem.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let page = OrganizationsPage {
        page: Page::of(Some(&v), "organizations"),
        v: &v,
        filter: &filter,
        organizations: &found.data,
        shown: Shown::of(&found.data),
        problem,
        next,
        more,
    };
    page_as(status, &page)
}

fn form(v: &Visitor) -> ActionForm<'_> {
    ActionForm {
        fields: vec![
            Field::line(&["name"], "Name", false),
            Field {
                help: "Your own identifier for it.".to_owned(),
                ..Field::optional_line("external_id", "External ID")
            },
        ],
        action: "/organizations".to_owned(),
        submit: "Create organization".to_owned(),
        ..ActionForm::new(
            v,
            "organizations",
            ("/organizations".to_owned(), "Organizations".to_owned()),
            "New organization",
        )
    }
}

async fn show_new(v: Visitor) -> Answer {
    if !v.is_operator() {
        return Err(Refusal::forbidden().into());
    }
    form(&v).shown()
}

async fn create(State(front): State<Front>, v: Visitor, sent: Form) -> Answer {
    let mut fields = sent.filled_fields(&["external_id"]);
    fields.insert("name".to_owned(), sent.text("name").into());
    match front
        .operations()
        .await?
        .create_organization(&v.ctx, Input::form(Query::default(), fields))
        .await
    {
        Ok(made) => {
            notice::to(
                &front,
                &v,
                &format!("/organizations/{}", made.id),
                Notice::done("The organization is created."),
            )
            .await
        }
        Err(refusal) => form(&v).show_again(&sent, refusal),
    }
}

/// Shows the operator's settings of an organization. Redirects other visitors to the overview of
/// their organization.
async fn read(State(front): State<Front>, v: Visitor, Path(id): Path<String>) -> Answer {
    if !v.is_operator() {
        let own = front
            .operations()
            .await?
            .own_organization(&v.ctx, Query::of([("organization_id", &*id)]))
            .await?;
        return Ok(see_other(&format!("/?organization_id={}", own.id)));
    }
    let o = front
        .operations()
        .await?
        .organization(&v.ctx, &id, Query::default())
        .await?;
    let status = if o.status.is_suspended() {
        "suspended"
    } else {
        "active"
    };
    page(&AdminPage {
        page: Page::of(Some(&v), "organizations"),
        v: &v,
        o: &o,
        status,
    })
}

async fn grant(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let lists = ["buckets", "ses_identities", "databases", "secret_arns"];
    let lists = lists.map(|name| (name.to_owned(), Value::from(form.lines(name))));
    let fields = Map::from_iter([("grants".to_owned(), Map::from_iter(lists).into())]);
    let saved = front
        .operations()
        .await?
        .patch_organization(&v.ctx, &id, Input::form(Query::default(), fields))
        .await;
    redirect_with_notice(&front, &v, &id, saved, "The grants are saved.").await
}

async fn suspend(state: State<Front>, v: Visitor, Path(id): Path<String>, _: Form) -> Answer {
    set_status(&state.0, &v, &id, OrganizationStatus::Suspended).await
}

async fn activate(state: State<Front>, v: Visitor, Path(id): Path<String>, _: Form) -> Answer {
    set_status(&state.0, &v, &id, OrganizationStatus::Active).await
}

async fn set_status(front: &Front, v: &Visitor, id: &str, status: OrganizationStatus) -> Answer {
    let change = Input::command(Query::default(), OrganizationChange::Status(status));
    let saved = front
        .operations()
        .await?
        .patch_organization(&v.ctx, id, change)
        .await;
    redirect_with_notice(front, v, id, saved, "Saved.").await
}

/// Redirects to the page of the organization, which shows the outcome.
async fn redirect_with_notice(
    front: &Front,
    v: &Visitor,
    id: &str,
    outcome: Result<OrganizationView, Refusal>,
    done: &str,
) -> Answer {
    let notice = match outcome {
        Ok(_) => Notice::done(done),
        Err(refusal) if refusal.is_correctable() => {
            let mistakes: Vec<String> = refusal
                .errors
                .iter()
                .map(|error| show::sentence(&error.detail))
                .collect();
            Notice::problem(format!(
                "{} {}",
                show::sentence(&refusal.detail),
                mistakes.join(" ")
            ))
        }
        Err(refusal) => return Err(refusal.into()),
    };
    notice::to(front, v, &format!("/organizations/{id}"), notice).await
}

async fn erase(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let operations = front.operations().await?;
    let o = operations
        .organization(&v.ctx, &id, Query::default())
        .await?;
    // The operator must type the name, which prevents erasing by mistake.
    if form.filled("name") != Some(o.name.trim()) {
        let notice =
            Notice::problem("The name does not match the organization's; nothing was erased.");
        return notice::to(&front, &v, &format!("/organizations/{id}"), notice).await;
    }
    let job = operations
        .erase_organization(&v.ctx, &id, Input::command(Query::default(), ()))
        .await?;
    Ok(see_other(&format!("/jobs/{}?organization_id={id}", job.id)))
}
