//! The page of a destination: its health, the deliveries that did not arrive and why, its settings
//! and its secrets.

use askama::Template;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::routing::{get, post};
use domain::Timestamp;
use domain::failure_rate::FailureRate;
use domain::id::DestinationId;
use domain::waiting::DeliveryLimits;
use front::Front;
use operations::view::delivery::DeliverySummary;
use operations::view::destination::DestinationView;
use operations::view::statistics::HealthBucket;
use operations::{Counted, Operations, Refusal};
use serde_json::Value;

use crate::answer::{Answer, page};
use crate::captions;
use crate::chart::{self, Drawing};
use crate::filter::Filter;
use crate::form::Form;
use crate::labels;
use crate::names::Names;
use crate::notice::{self, Notice};
use crate::pages::destinations::{target, type_name};
use crate::show::{self, Page};
use crate::visitor::Visitor;

/// The number of deliveries on the overview of a destination.
const RECENT: &str = "10";
/// The number of missed deliveries at which the page stops to count.
const MISSED_MAX: u64 = 200;

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/destinations/{id}", get(read))
        .route("/destinations/{id}/check", post(check))
        .route(
            "/destinations/{id}/signing-secrets/{secret}/end",
            post(end_secret),
        )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tab {
    Overview,
    Deliveries,
    Settings,
    Secrets,
}

/// A description of a failing or disabled destination, and the number of deliveries that it missed.
pub(crate) struct Incident {
    /// `bad`, `warn` or `off`.
    tone: &'static str,
    title: String,
    /// The failure category and its detail.
    reason: Option<(String, String)>,
    /// The reason that the person who disabled it gave.
    by_person: Option<String>,
    /// When deliveries began not to arrive.
    pub(crate) since: Timestamp,
    pub(crate) missed: Counted,
    is_disabled: bool,
}

#[derive(Template)]
#[template(path = "destination.html")]
struct DestinationPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    d: &'a DestinationView,
    tab: Tab,
    target: String,
    type_name: &'a str,
    alert_after: u32,
    disable_after: Option<u32>,
    rate: Option<FailureRate>,
    auto_recover: bool,
    incident: Option<Incident>,
    settings: Vec<(String, String)>,
    credentials: Vec<(String, String)>,
    recent: &'a [DeliverySummary],
    names: Names,
    attempts: Drawing,
    latencies: Drawing,
    filter: &'a Filter,
    span: &'a str,
    again: String,
    /// The limits that apply: the destination's own, or the organization's.
    limits: DeliveryLimits,
    /// Id and name of each fallback destination.
    fallbacks: Vec<(DestinationId, String)>,
}

impl DestinationPage<'_> {
    /// Returns the path below the destination at which a signing secret is ended.
    fn ending(&self, secret: &domain::id::SecretId) -> String {
        format!("signing-secrets/{secret}/end")
    }

    fn is_span(&self, span: &str) -> bool {
        self.span == span
    }

    fn tab(&self, tab: &str) -> String {
        let path = format!("/destinations/{}", self.d.id);
        self.v.href(&if tab.is_empty() {
            path
        } else {
            format!("{path}?tab={tab}")
        })
    }

    fn all(&self) -> String {
        format!("/deliveries?destination_id={}", self.d.id)
    }

    fn undelivered(&self) -> String {
        format!("{}&status=failed&status=skipped", self.all())
    }

    fn pending(&self) -> String {
        format!("{}&status=queued&status=retrying", self.all())
    }
}

/// Describes what is wrong with a destination. `None` if it is not disabled and its last attempt did
/// not fail. The missed deliveries are counted up to `most`.
pub(crate) async fn incident(
    operations: &Operations,
    v: &Visitor,
    d: &DestinationView,
    most: u64,
) -> Result<Option<Incident>, Refusal> {
    let health = d.health.as_ref();
    let streak = health.map_or(0, |health| health.consecutive_failures);
    let failing_since = health
        .and_then(|health| health.first_failure_at)
        .filter(|_| streak > 0);
    let plural = if streak == 1 { "failure" } else { "failures" };
    let (tone, title, since) = match (&d.disabled, failing_since) {
        (Some(disabled), failing) if disabled.by == domain::destination::DisabledBy::User => {
            let since = failing.map_or(disabled.at, |at| at.min(disabled.at));
            ("off", "This destination is disabled".to_owned(), since)
        }
        (Some(disabled), failing) => {
            let title = if streak == 0 {
                "Disabled after failures".to_owned()
            } else {
                format!("Disabled after {streak} consecutive {plural}")
            };
            (
                "bad",
                title,
                failing.map_or(disabled.at, |at| at.min(disabled.at)),
            )
        }
        (None, Some(since)) => {
            let is_failing = health.is_some_and(|health| show::word(&health.status) == "failing");
            let title = format!("{streak} consecutive {plural}");
            (if is_failing { "bad" } else { "warn" }, title, since)
        }
        (None, None) => return Ok(None),
    };
    let by_person = d
        .disabled
        .as_ref()
        .and_then(|disabled| disabled.reason.clone());
    let reason = health
        .and_then(|health| health.last_error.as_ref())
        .filter(|_| streak > 0);
    Ok(Some(Incident {
        tone,
        title,
        reason: reason.map(|error| (error.reason.to_string(), error.detail.clone())),
        by_person: by_person.filter(|_| tone == "off"),
        missed: operations
            .missed(&v.ctx, &d.id.to_string(), since, most, v.query(&[]))
            .await?,
        since,
        is_disabled: d.disabled.is_some(),
    }))
}

async fn read(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    let operations = front.operations().await?;
    let filter = Filter::of(query.as_deref());
    let d = operations.destination(&v.ctx, &id, v.query(&[])).await?;
    let tab = match filter.get("tab") {
        "deliveries" => Tab::Deliveries,
        "settings" => Tab::Settings,
        "secrets" => Tab::Secrets,
        _ => Tab::Overview,
    };
    let own = async || operations.own_organization(&v.ctx, v.query(&[])).await;
    let statistics = async || match tab {
        Tab::Overview => buckets(operations, &v, &id, &filter).await,
        _ => Ok(("", Vec::new())),
    };
    let recent = async || {
        let most = match tab {
            Tab::Overview => RECENT,
            Tab::Deliveries => "50",
            Tab::Settings | Tab::Secrets => return Ok(Vec::new()),
        };
        let query = v.query(&[("destination_id", &id), ("limit", most)]);
        Ok(operations.deliveries(&v.ctx, query).await?.data)
    };
    let fallbacks = async || match (&d.on_exhausted, tab) {
        (Some(on_exhausted), Tab::Settings) => {
            let names = Names::read(operations, &v).await?;
            let named = on_exhausted.destination_ids.iter();
            Ok(named.map(|id| (*id, names.of(id))).collect())
        }
        _ => Ok(Vec::new()),
    };
    let (own, (span, health), recent, fallbacks, incident) = tokio::try_join!(
        own(),
        statistics(),
        recent(),
        fallbacks(),
        incident(operations, &v, &d, MISSED_MAX)
    )?;
    let policy = d
        .failure_policy
        .clone()
        .unwrap_or(own.settings.failure_policy);
    page(&DestinationPage {
        page: Page::of(Some(&v), "destinations"),
        v: &v,
        tab,
        target: target(&d),
        type_name: type_name(d.kind),
        alert_after: policy.alert_after_failures,
        disable_after: policy.disable_after_failures,
        rate: policy.failure_rate,
        auto_recover: policy.auto_recover,
        incident,
        settings: labeled(d.kind, "settings", &d.settings),
        credentials: labeled(d.kind, "credentials", &d.credentials),
        recent: &recent,
        names: Names::none(),
        attempts: chart::attempts(&health),
        latencies: chart::latencies(&health),
        filter: &filter,
        span,
        again: v.href(&v.address),
        limits: d
            .delivery_limits
            .or(own.settings.delivery_limits)
            .unwrap_or_default(),
        fallbacks,
        d: &d,
    })
}

/// Returns the time range of the charts and its statistics.
async fn buckets(
    operations: &Operations,
    v: &Visitor,
    id: &str,
    filter: &Filter,
) -> Result<(&'static str, Vec<HealthBucket>), Refusal> {
    let (span, granularity, hours) = match filter.get("span") {
        "30d" => ("30d", "day", 30 * 24),
        "7d" => ("7d", "hour", 7 * 24),
        _ => ("24h", "hour", 24),
    };
    let since = Timestamp::from_millis(v.now.as_millis() - (hours - 1) * 3_600_000).to_string();
    let found = operations
        .destination_health(
            &v.ctx,
            id,
            v.query(&[("granularity", granularity), ("since", &since)]),
        )
        .await?;
    Ok((span, found.data))
}

/// The members whose values are choices of the form and have labels.
const CHOICES: [&str; 11] = [
    "kind",
    "mode",
    "on_conflict",
    "tls",
    "if_exists",
    "attach",
    "security",
    "preset",
    "check",
    "transport",
    "server_side_encryption",
];

/// Converts a JSON object to rows, with the labels of the form.
fn labeled(kind: &str, group: &str, value: &Value) -> Vec<(String, String)> {
    let in_words = |(path, text): (String, String)| {
        let last = path.rsplit('.').next().unwrap_or_default();
        let text = if CHOICES.contains(&last) {
            captions::choice_label(last, &text)
        } else {
            text
        };
        (labels::label_of(kind, group, &path), text)
    };
    rows(value, "").into_iter().map(in_words).collect()
}

/// Converts a JSON object to rows. Nested members are named by their paths, and a secret is
/// described by its hint.
fn rows(value: &Value, prefix: &str) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let name = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            Value::Null => {}
            Value::Object(inner) if inner.get("set") == Some(&Value::Bool(true)) => {
                let hint = inner
                    .get("hint")
                    .and_then(Value::as_str)
                    .map(|hint| format!(", ends in {}", hint.trim_start_matches('…')));
                rows.push((name, format!("Set{}", hint.unwrap_or_default())));
            }
            Value::Object(inner) if inner.is_empty() => {}
            Value::Object(_) => rows.extend(self::rows(value, &name)),
            Value::Array(items) if items.is_empty() => {}
            Value::Array(items) => {
                let texts = items.iter().map(|item| {
                    item.as_str()
                        .map_or_else(|| item.to_string(), str::to_owned)
                });
                rows.push((name, texts.collect::<Vec<_>>().join(", ")));
            }
            Value::String(text) => rows.push((name, text.clone())),
            Value::Bool(value) => rows.push((name, if *value { "Yes" } else { "No" }.to_owned())),
            other => rows.push((name, other.to_string())),
        }
    }
    rows
}

/// Checks the connection and shows the steps of the check on the destination's page.
async fn check(State(front): State<Front>, v: Visitor, Path(id): Path<String>, _: Form) -> Answer {
    let checked = front
        .operations()
        .await?
        .check_destination(&v.ctx, &id, v.command(()))
        .await;
    let notice = match checked {
        Ok(checked) if checked.check.ok => {
            Notice::done("The connection works.").and_check(checked.check)
        }
        Ok(checked) => Notice::problem("The connection does not work.").and_check(checked.check),
        Err(refusal) if refusal.is_correctable() => Notice::refused(&refusal),
        Err(refusal) => return Err(refusal.into()),
    };
    notice::to(&front, &v, &v.at("/destinations", &id), notice).await
}

async fn end_secret(
    State(front): State<Front>,
    v: Visitor,
    Path((id, secret)): Path<(String, String)>,
    _: Form,
) -> Answer {
    let ended = front
        .operations()
        .await?
        .end_secret(&v.ctx, &id, &secret, v.query(&[]))
        .await;
    let notice = match ended {
        Ok(_) => Notice::done("The secret no longer signs requests."),
        Err(refusal) if refusal.is_correctable() => Notice::refused(&refusal),
        Err(refusal) => return Err(refusal.into()),
    };
    notice::to(
        &front,
        &v,
        &v.href(&format!("/destinations/{id}?tab=secrets")),
        notice,
    )
    .await
}
