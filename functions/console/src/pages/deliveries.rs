//! The list of deliveries, which can be filtered, updated live, and retried as a whole.

use askama::Template;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::{get, post};
use domain::delivery::DeliveryStatus;
use front::Front;
use http::StatusCode;
use operations::view::delivery::DeliverySummary;
use operations::{Counted, CreateJobOutcome, NewJob, Page, Refusal, RefusalCode};

use crate::answer::{Answer, log_unread, page, page_as, see_other};
use crate::filter::{Filter, SPANS, pairs};
use crate::form::Form;
use crate::names::{Choices, Names};
use crate::show;
use crate::visitor::Visitor;

const FILTERS: &[&str] = &[
    "destination_id",
    "status",
    "event_type",
    "message_id",
    "reference",
    "since",
    "until",
];
const STATUSES: &[&str] = &[
    "queued",
    "retrying",
    "succeeded",
    "failed",
    "skipped",
    "cancelled",
];
/// The states that are listed across organizations.
const UNDELIVERED: &[&str] = &["retrying", "failed", "skipped"];

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/deliveries", get(list))
        .route("/deliveries/retry", get(show_retry))
        .route("/deliveries/retry-all", post(retry_all))
}

/// The deliveries of one day.
struct Day<'a> {
    day: String,
    deliveries: &'a [DeliverySummary],
}

#[derive(Template)]
#[template(path = "deliveries.html")]
struct DeliveriesPage<'a> {
    page: show::Page<'a>,
    v: &'a Visitor,
    filter: &'a Filter,
    names: &'a Names,
    choices: Option<Choices>,
    days: &'a [Day<'a>],
    next: Option<String>,
    live: bool,
    again: String,
    counts: Vec<(DeliveryStatus, Counted)>,
    /// A description of the mistakes in the filter.
    problem: Option<String>,
    /// The parameters with mistakes.
    mistaken: Vec<String>,
}

impl DeliveriesPage<'_> {
    fn counted(&self, status: &str) -> Option<&Counted> {
        self.counts
            .iter()
            .find(|(own, _)| own.as_str() == status)
            .map(|(_, counted)| counted)
    }

    /// Returns the states to choose from.
    fn statuses(&self) -> &'static [&'static str] {
        if self.v.views_all_organizations() {
            UNDELIVERED
        } else {
            STATUSES
        }
    }

    fn mistake(&self, parameter: &str) -> Option<&String> {
        self.mistaken.iter().find(|own| *own == parameter)
    }
}

#[derive(Template)]
#[template(path = "retry_all.html")]
struct RetryAllPage<'a> {
    page: show::Page<'a>,
    v: &'a Visitor,
    total: u64,
    /// The filter, as hidden fields.
    parameters: &'a [(String, String)],
    back: String,
}

async fn list(State(front): State<Front>, v: Visitor, RawQuery(query): RawQuery) -> Answer {
    let filter = Filter::of(query.as_deref());
    let operations = front.operations().await?;
    let known: Vec<&str> = FILTERS.iter().copied().chain(["cursor"]).collect();
    let mut parameters = filter.for_operation(&known, v.now);
    parameters.push(("limit".to_owned(), "50".to_owned()));
    let filtered: Vec<(String, String)> = parameters
        .iter()
        .filter(|(name, _)| !matches!(&**name, "cursor" | "status" | "limit"))
        .cloned()
        .collect();
    if v.views_all_organizations() && filter.get("status").is_empty() {
        parameters.extend(
            UNDELIVERED
                .iter()
                .map(|status| ("status".to_owned(), (*status).to_owned())),
        );
    }
    let counts = async {
        // Counts across organizations would read every failed delivery.
        if v.views_all_organizations() {
            Ok(Vec::new())
        } else {
            operations
                .delivery_counts(&v.ctx, v.query(&pairs(&filtered)))
                .await
        }
    };
    let (found, counts) = tokio::join!(
        operations.deliveries(&v.ctx, v.query(&pairs(&parameters))),
        counts
    );
    // The states are offered without counts if counting fails.
    let counts = counts.unwrap_or_else(|refusal| {
        if refusal.is_failure() {
            log_unread("the counts of deliveries", &refusal);
        }
        Vec::new()
    });
    let (found, problem, mistaken) = match found {
        Ok(found) => (found, None, Vec::new()),
        Err(refusal)
            if refusal.is_invalid() && refusal.code != RefusalCode::OrganizationRequired =>
        {
            let (problem, mistaken) = describe_mistakes(&refusal);
            (Page::empty(), Some(problem), mistaken)
        }
        Err(refusal) => return Err(refusal.into()),
    };
    let names = match v.views_all_organizations() {
        true => Names::of_deliveries(operations, &v, &found.data).await?,
        false => Names::read(operations, &v).await?,
    };
    let choices = Choices::read(operations, &v).await?;
    let days = by_day(&found.data);
    let next = found.next_cursor.map(|cursor| filter.next(&v, &cursor));
    let (live, again) = (filter.has("live", "true"), v.href(&v.address));
    let status = if problem.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let page = DeliveriesPage {
        page: show::Page::of(Some(&v), "deliveries"),
        v: &v,
        filter: &filter,
        names: &names,
        choices,
        days: &days,
        next,
        live,
        again,
        counts,
        problem,
        mistaken,
    };
    page_as(status, &page)
}

/// Returns a description of the mistakes in a filter, and the parameters that have them.
fn describe_mistakes(refusal: &Refusal) -> (String, Vec<String>) {
    let mistaken: Vec<String> = refusal
        .errors
        .iter()
        .filter_map(|error| error.parameter.clone())
        .collect();
    let mut text = String::from("The filter cannot be used.");
    for error in &refusal.errors {
        let name = error
            .parameter
            .as_deref()
            .unwrap_or_default()
            .replace('_', " ");
        text.push_str(&format!(
            " {}",
            show::sentence(&format!("{name}: {}", error.detail))
        ));
        if error.parameter.as_deref() == Some("event_type") {
            text.push_str(
                " Enter one whole event type, such as invoice.paid: patterns are for \
                 subscriptions.",
            );
        }
    }
    (text, mistaken)
}

/// Groups deliveries by the day on which they were created, in UTC.
fn by_day(deliveries: &[DeliverySummary]) -> Vec<Day<'_>> {
    let groups = deliveries.chunk_by(|one, other| {
        show::day(&one.delivery.created_at) == show::day(&other.delivery.created_at)
    });
    groups
        .map(|deliveries| Day {
            day: show::day(&deliveries[0].delivery.created_at),
            deliveries,
        })
        .collect()
}

/// Shows how many deliveries would be retried, before they are.
async fn show_retry(State(front): State<Front>, v: Visitor, RawQuery(query): RawQuery) -> Answer {
    let filter = Filter::of(query.as_deref());
    let parameters = filter.for_operation(FILTERS, v.now);
    let count = NewJob::retry(pairs(&parameters), true)?;
    let total = match front
        .operations()
        .await?
        .create_job(&v.ctx, v.command(count))
        .await?
    {
        CreateJobOutcome::Counted(counted) => counted.total,
        CreateJobOutcome::Accepted(_) => {
            return Err(Refusal::internal("a dry run started a job").into());
        }
    };
    let back = filter.at(&v, "/deliveries");
    page(&RetryAllPage {
        page: show::Page::of(Some(&v), "deliveries"),
        v: &v,
        total,
        parameters: &parameters,
        back,
    })
}

async fn retry_all(State(front): State<Front>, v: Visitor, form: Form) -> Answer {
    let parameters: Vec<(String, String)> = FILTERS
        .iter()
        .flat_map(|name| {
            form.all(name)
                .into_iter()
                .map(|value| ((*name).to_owned(), value.to_owned()))
        })
        .collect();
    let retry = NewJob::retry(pairs(&parameters), false)?;
    match front
        .operations()
        .await?
        .create_job(&v.ctx, v.command(retry))
        .await?
    {
        CreateJobOutcome::Accepted(job) => Ok(see_other(&v.href(&format!("/jobs/{}", job.id)))),
        CreateJobOutcome::Counted(_) => Err(Refusal::internal("a job was only counted").into()),
    }
}
