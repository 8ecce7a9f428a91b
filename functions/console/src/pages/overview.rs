//! The overview, which is the first page: undelivered deliveries and their reasons.

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

use crate::answer::{Answer, page, see_other};
use crate::chart::{self, Drawing};
use crate::names::Names;
use crate::show::{self, Page};
use crate::visitor::Visitor;

/// The age up to which the overview counts undelivered deliveries, in milliseconds. It is a week,
/// so that the failures of a weekend are still shown on Monday.
const UNDELIVERED_MILLIS: i64 = 7 * 86_400_000;
/// The number of failed deliveries that are read and grouped.
const READ: &str = "60";
/// The maximum number of groups that are shown.
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
    /// The number of deliveries that failed or were skipped in the last week.
    undelivered: Counted,
    failures: &'a [Failure],
    names: &'a Names,
    /// Whether alerts have any recipient.
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

/// A group of failed deliveries of one destination with the same reason and detail.
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

/// Groups failed deliveries by destination, reason and detail. The group with the newest comes
/// first.
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
        return Ok(see_other(&v.href("/organizations")));
    }
    if !v.may_read() {
        return Ok(see_other(&v.href("/deliveries")));
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

/// Renders the charts, which add up every destination. The page requests them after it has loaded.
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
    let activity = Activity {
        attempts: chart::attempts(&buckets),
        latencies: chart::latencies(&buckets),
        succeeded,
        failed,
        rate,
    };
    page(&activity).map(|response| response.into_response())
}
