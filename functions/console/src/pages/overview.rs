//! The first page: is anything undelivered, and why?

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::routing::get;
use domain::Timestamp;
use domain::delivery::DeliveryStatus;
use domain::id::DestinationId;
use front::Front;
use operations::view::delivery::DeliverySummary;
use operations::{Attention, Counted};

use crate::answer::{Answer, page, see};
use crate::chart::{self, Drawing};
use crate::names::Names;
use crate::show::{self, Page};
use crate::visitor::Visitor;

/// How far back the overview looks for what was not delivered: a week, so that a weekend is seen on
/// Monday.
const UNDELIVERED_MILLIS: i64 = 7 * 86_400_000;
/// Failures that are read to be grouped, and groups that are shown.
const READ: &str = "60";
const GROUPS_MAX: usize = 8;

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/", get(overview))
        .route("/activity", get(activity))
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    attention: &'a Attention,
    /// What failed or was skipped in the last days.
    undelivered: Counted,
    failures: &'a [Failure],
    names: &'a Names,
    /// Somebody is notified of failing destinations.
    gets_alerts: bool,
}

impl OverviewPage<'_> {
    fn tone(&self) -> &'static str {
        if self.undelivered.count > 0 {
            "bad"
        } else {
            "good"
        }
    }
}

/// Deliveries of one destination that failed alike.
struct Failure {
    destination: DestinationId,
    reason: String,
    detail: String,
    count: usize,
    last: Timestamp,
}

impl Failure {
    fn list(&self) -> String {
        format!(
            "/deliveries?status=failed&destination_id={}",
            self.destination
        )
    }

    fn retry(&self) -> String {
        format!(
            "/deliveries/retry?status=failed&destination_id={}",
            self.destination
        )
    }
}

/// One line for failures that are alike, the newest first.
fn grouped(failures: &[DeliverySummary]) -> Vec<Failure> {
    let mut groups: Vec<Failure> = Vec::new();
    for failure in failures {
        let reason = failure
            .delivery
            .reason
            .map(|reason| reason.as_str().to_owned())
            .unwrap_or_default();
        let detail = failure
            .last_attempt
            .as_ref()
            .and_then(|last| last.detail.clone())
            .unwrap_or_default();
        let destination = failure.delivery.destination_id;
        match groups.iter_mut().find(|group| {
            group.destination == destination && group.reason == reason && group.detail == detail
        }) {
            Some(group) => group.count += 1,
            None => groups.push(Failure {
                destination,
                reason,
                detail,
                count: 1,
                last: failure.delivery.updated_at,
            }),
        }
    }
    groups.truncate(GROUPS_MAX);
    groups
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
    let since = Timestamp::from_millis(v.now.as_millis() - UNDELIVERED_MILLIS).to_string();
    let recent = [("since", &*since)];
    let failed = [("status", "failed"), ("limit", READ), ("since", &*since)];
    let (counts, failures, own, names) = tokio::try_join!(
        operations.delivery_counts(&v.ctx, v.query(&recent)),
        operations.deliveries(&v.ctx, v.query(&failed)),
        operations.own_organization(&v.ctx, v.query(&[])),
        Names::read(operations, &v)
    )?;
    let missed = counts
        .iter()
        .filter(|(status, _)| matches!(status, DeliveryStatus::Failed | DeliveryStatus::Skipped));
    let undelivered = missed.fold(Counted::default(), |sum, (_, one)| Counted {
        count: sum.count + one.count,
        more: sum.more || one.more,
    });
    page(&OverviewPage {
        page: Page::of(Some(&v), "overview"),
        v: &v,
        attention: &attention,
        undelivered,
        failures: &grouped(&failures.data),
        names: &names,
        gets_alerts: !own.settings.alert_emails.is_empty()
            || !own.settings.alert_destination_ids.is_empty(),
    })
}

/// The charts, which the page asks for once it is there: they add up every destination.
async fn activity(State(front): State<Front>, v: Visitor) -> Answer {
    let buckets = front
        .operations()
        .await?
        .activity(&v.ctx, v.query(&[]))
        .await?
        .data;
    let succeeded: u64 = buckets.iter().map(|bucket| bucket.succeeded).sum();
    let failed: u64 = buckets
        .iter()
        .flat_map(|bucket| bucket.failed_attempts.values())
        .sum();
    let rate = domain::statistics::success_rate(succeeded, failed);
    let drawn = Activity {
        attempts: chart::attempts(&buckets),
        latencies: chart::latencies(&buckets),
        succeeded,
        failed,
        rate,
    };
    page(&drawn).map(|response| response.into_response())
}
