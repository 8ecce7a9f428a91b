//! The first page: what needs a person.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::routing::get;
use front::Front;
use operations::Attention;
use operations::view::delivery::DeliverySummary;

use crate::answer::{Answer, page, see};
use crate::chart::{self, Drawing};
use crate::names::Names;
use crate::show::{self, Page};
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new().route("/", get(overview)).route("/activity", get(activity))
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    attention: &'a Attention,
    failures: &'a [DeliverySummary],
    names: &'a Names,
}

#[derive(Template)]
#[template(path = "activity.html")]
struct Activity {
    attempts: Drawing,
    latencies: Drawing,
    succeeded: u64,
    failed: u64,
    rate: Option<f64>,
}

async fn overview(State(front): State<Front>, v: Visitor) -> Answer {
    if !v.has_organization() {
        return Ok(see(&v.href("/organizations")));
    }
    if !v.may_read() {
        return Ok(see(&v.href("/deliveries")));
    }
    let operations = front.operations().await?;
    let attention = operations.attention(&v.ctx, v.query(&[])).await?;
    let failures = operations.deliveries(&v.ctx, v.query(&[("status", "failed"), ("limit", "8")])).await?;
    let names = Names::read(operations, &v).await?;
    page(&OverviewPage { page: Page::of(Some(&v), "overview"), v: &v, attention: &attention, failures: &failures.data, names: &names })
}

/// The charts, which the page asks for once it is there: they add up every destination.
async fn activity(State(front): State<Front>, v: Visitor) -> Answer {
    let buckets = front.operations().await?.activity(&v.ctx, v.query(&[])).await?.data;
    let succeeded: u64 = buckets.iter().map(|bucket| bucket.succeeded).sum();
    let failed: u64 = buckets.iter().flat_map(|bucket| bucket.failed_attempts.values()).sum();
    let rate = domain::statistics::success_rate(succeeded, failed);
    let drawn = Activity { attempts: chart::attempts(&buckets), latencies: chart::latencies(&buckets), succeeded, failed, rate };
    page(&drawn).map(|response| response.into_response())
}
