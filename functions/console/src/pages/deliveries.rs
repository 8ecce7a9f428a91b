//! The list of deliveries: narrowed by its address, followed live, and retried as a whole.

use askama::Template;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::{get, post};
use front::Front;
use operations::view::delivery::DeliverySummary;
use operations::{JobAsked, Refusal};
use serde_json::{Map, Value, json};

use crate::answer::{Answer, page, see};
use crate::filter::{Filter, SPANS, pairs};
use crate::form::{Form, json as body};
use crate::names::Names;
use crate::show::{self, Page};
use crate::visitor::Visitor;

const FILTERS: &[&str] = &["destination_id", "status", "event_type", "message_id", "reference", "since", "until"];
const STATUSES: &[&str] = &["queued", "retrying", "succeeded", "failed", "skipped", "cancelled"];

pub(crate) fn router() -> Router<Front> {
    Router::new().route("/deliveries", get(list)).route("/deliveries/retry", get(ask_retry)).route("/deliveries/retry-all", post(retry_all))
}

/// Deliveries of one day.
struct Day<'a> {
    day: String,
    deliveries: &'a [DeliverySummary],
}

#[derive(Template)]
#[template(path = "deliveries.html")]
struct DeliveriesPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    filter: &'a Filter,
    names: &'a Names,
    days: &'a [Day<'a>],
    next: Option<String>,
    live: bool,
    again: String,
}

#[derive(Template)]
#[template(path = "retry_all.html")]
struct RetryAllPage<'a> {
    page: Page<'a>,
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
    let found = operations.deliveries(&v.ctx, v.query(&pairs(&parameters))).await?;
    let names = Names::read(operations, &v).await?;
    let days = by_day(&found.data);
    let next = found.next_cursor.map(|cursor| filter.with(&v, "cursor", &cursor));
    let (live, again) = (filter.has("live", "true"), v.href(&v.address));
    page(&DeliveriesPage { page: Page::of(Some(&v), "deliveries"), v: &v, filter: &filter, names: &names, days: &days, next, live, again })
}

fn by_day(deliveries: &[DeliverySummary]) -> Vec<Day<'_>> {
    let groups = deliveries.chunk_by(|one, other| show::day(&one.delivery.created_at) == show::day(&other.delivery.created_at));
    groups.map(|deliveries| Day { day: show::day(&deliveries[0].delivery.created_at), deliveries }).collect()
}

/// The filter of a job, from the parameters of a list.
fn job_filter(parameters: &[(String, String)]) -> Value {
    let mut filter = Map::new();
    for (name, value) in parameters {
        if name == "status" {
            filter.entry("status").or_insert_with(|| json!([])).as_array_mut().into_iter().for_each(|all| all.push(value.clone().into()));
        } else {
            filter.insert(name.clone(), value.clone().into());
        }
    }
    filter.into()
}

/// How many there are comes before doing it.
async fn ask_retry(State(front): State<Front>, v: Visitor, RawQuery(query): RawQuery) -> Answer {
    let filter = Filter::of(query.as_deref());
    let parameters = filter.for_operation(FILTERS, v.now);
    let asked = json!({"kind": "retry", "filter": job_filter(&parameters), "dry_run": true});
    let total = match front.operations().await?.create_job(&v.ctx, v.query(&[]), body(&asked)).await? {
        JobAsked::Counted(counted) => counted.total,
        JobAsked::Accepted(_) => return Err(Refusal::internal("a dry run began a job").into()),
    };
    let back = filter.at(&v, "/deliveries");
    page(&RetryAllPage { page: Page::of(Some(&v), "deliveries"), v: &v, total, parameters: &parameters, back })
}

async fn retry_all(State(front): State<Front>, v: Visitor, form: Form) -> Answer {
    let parameters: Vec<(String, String)> =
        FILTERS.iter().flat_map(|name| form.all(name).into_iter().map(|value| ((*name).to_owned(), value.to_owned()))).collect();
    let asked = json!({"kind": "retry", "filter": job_filter(&parameters)});
    match front.operations().await?.create_job(&v.ctx, v.query(&[]), body(&asked)).await? {
        JobAsked::Accepted(job) => Ok(see(&v.href(&format!("/jobs/{}", job.id)))),
        JobAsked::Counted(_) => Err(Refusal::internal("a job was only counted").into()),
    }
}
