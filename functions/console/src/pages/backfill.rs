//! Starts a backfill: a job that sends a destination the messages that were never sent to it. The
//! page shows their number before the job starts.

use askama::Template;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::routing::get;
use domain::Timestamp;
use front::Front;
use operations::view::destination::DestinationView;
use operations::{CreateJobOutcome, NewJob, Refusal};

use crate::answer::{Answer, page_as, see_other};
use crate::filter::{Filter, pairs};
use crate::form::Form;
use crate::pages::pause::managed;
use crate::show::{self, Page};
use crate::visitor::Visitor;
use http::StatusCode;

const FILTERS: &[&str] = &["event_type", "reference", "since", "until"];

pub(crate) fn router() -> Router<Front> {
    Router::new().route("/destinations/{id}/backfill", get(show_form).post(start))
}

#[derive(Template)]
#[template(path = "backfill.html")]
struct BackfillPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    d: &'a DestinationView,
    filter: &'a Filter,
    /// The number of messages. `None` if the filter has a mistake.
    total: Option<u64>,
    not_kept_before: Option<Timestamp>,
    parameters: &'a [(String, String)],
    problem: Option<String>,
}

/// Creates the job, or with `dry_run` only counts the messages.
async fn backfill(
    front: &Front,
    v: &Visitor,
    id: &str,
    parameters: &[(String, String)],
    dry_run: bool,
) -> Result<CreateJobOutcome, Refusal> {
    let job = NewJob::backfill(id, pairs(parameters), dry_run)?;
    let operations = front.operations().await?;
    operations.create_job(&v.ctx, v.command(job)).await
}

async fn show_form(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    let d = managed(&front, &v, &id).await?;
    let filter = Filter::of(query.as_deref());
    let parameters = filter.for_operation(FILTERS, v.now);
    counted(&front, &v, &d, &filter, &parameters, None).await
}

/// Shows the form with the number of messages, or with the mistakes in the filter.
async fn counted(
    front: &Front,
    v: &Visitor,
    d: &DestinationView,
    filter: &Filter,
    parameters: &[(String, String)],
    problem: Option<String>,
) -> Answer {
    let counted = backfill(front, v, &d.id.to_string(), parameters, true).await;
    let (total, not_kept_before, problem) = match counted {
        Ok(CreateJobOutcome::Counted(counted)) => {
            (Some(counted.total), counted.not_kept_before, problem)
        }
        Ok(CreateJobOutcome::Accepted(_)) => {
            return Err(Refusal::internal("a dry run started a job").into());
        }
        Err(refusal) if refusal.is_correctable() => {
            let details = refusal.errors.iter().map(|error| {
                let pointer = error.pointer.as_deref().unwrap_or_default();
                let name = pointer.rsplit('/').next().unwrap_or_default();
                show::sentence(&format!("{}: {}", show::plain(name), error.detail))
            });
            let details: Vec<String> = details.collect();
            let general = || show::sentence(&refusal.detail);
            let detail = if details.is_empty() {
                general()
            } else {
                details.join(" ")
            };
            (None, None, Some(detail))
        }
        Err(refusal) => return Err(refusal.into()),
    };
    let status = if problem.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let page = Page::of(Some(v), "destinations");
    page_as(
        status,
        &BackfillPage {
            page,
            v,
            d,
            filter,
            total,
            not_kept_before,
            parameters,
            problem,
        },
    )
}

async fn start(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let given = FILTERS
        .iter()
        .filter_map(|name| Some((*name, form.filled(name)?)));
    let parameters: Vec<(String, String)> = given
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    match backfill(&front, &v, &id, &parameters, false).await {
        Ok(CreateJobOutcome::Accepted(job)) => Ok(see_other(&v.at("/jobs", &job.id))),
        Ok(CreateJobOutcome::Counted(_)) => Err(Refusal::internal("a job was only counted").into()),
        Err(refusal) if refusal.is_correctable() => {
            let d = managed(&front, &v, &id).await?;
            let filter = Filter::of(Some(&show::query(&pairs(&parameters))));
            let problem = Some(show::sentence(&refusal.detail));
            counted(&front, &v, &d, &filter, &parameters, problem).await
        }
        Err(refusal) => Err(refusal.into()),
    }
}
