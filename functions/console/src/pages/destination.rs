//! A destination: how it does, what it is told, and everything that can be done with it.

use askama::Template;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use axum::routing::{get, post};
use domain::check::CheckReport;
use front::Front;
use operations::view::delivery::DeliverySummary;
use operations::view::destination::{DestinationView, RotatedSecret};
use operations::view::organization::OrganizationView;
use operations::{Body, Refusal};
use serde_json::{Map, Value, json};

use crate::answer::{Answer, page, see};
use crate::chart::{self, Drawing};
use crate::filter::Filter;
use crate::form::{Form, json as body};
use crate::names::Names;
use crate::pages::destinations::{target, type_name};
use crate::show::{self, Page};
use crate::visitor::Visitor;

/// Deliveries shown on a destination's page.
const RECENT: &str = "10";

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/destinations/{id}", get(read))
        .route("/destinations/{id}/check", post(check))
        .route("/destinations/{id}/test", post(test))
        .route("/destinations/{id}/enable", post(enable))
        .route("/destinations/{id}/disable", post(disable))
        .route("/destinations/{id}/rotate-secret", post(rotate))
        .route("/destinations/{id}/signing-secrets/{secret}/end", post(end_secret))
        .route("/destinations/{id}/delete", post(delete))
}

#[derive(Template)]
#[template(path = "destination.html")]
struct DestinationPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    d: &'a DestinationView,
    target: String,
    type_name: &'a str,
    alert_after: u32,
    disable_after: Option<u32>,
    settings: Vec<(String, String)>,
    credentials: Vec<(String, String)>,
    recent: &'a [DeliverySummary],
    names: Names,
    attempts: Drawing,
    latencies: Drawing,
    filter: &'a Filter,
    span: &'a str,
    done: &'a str,
    shown_secret: Option<&'a str>,
}

impl DestinationPage<'_> {
    /// Where a signing secret is ended, below the destination.
    fn ending(&self, secret: &domain::id::SecretId) -> String {
        format!("signing-secrets/{secret}/end")
    }

    fn is_span(&self, span: &str) -> bool {
        self.span == span
    }

    fn all(&self) -> String {
        format!("/deliveries?destination_id={}", self.d.id)
    }

    fn pending(&self) -> String {
        format!("{}&status=queued&status=retrying", self.all())
    }
}

#[derive(Template)]
#[template(path = "check.html")]
struct CheckPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    id: &'a str,
    check: &'a CheckReport,
}

#[derive(Template)]
#[template(path = "rotated.html")]
struct RotatedPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    id: &'a str,
    rotated: &'a RotatedSecret,
}

async fn read(State(front): State<Front>, v: Visitor, Path(id): Path<String>, RawQuery(query): RawQuery) -> Answer {
    show(&front, &v, &id, &Filter::of(query.as_deref()), None).await
}

/// The page; with a secret that is shown this once.
pub(crate) async fn show(front: &Front, v: &Visitor, id: &str, filter: &Filter, shown_secret: Option<&str>) -> Answer {
    let operations = front.operations().await?;
    let d = operations.destination(&v.ctx, id, v.query(&[])).await?;
    let own: OrganizationView = operations.own_organization(&v.ctx, v.query(&[])).await?;
    let policy = d.failure_policy.clone().unwrap_or(own.settings.failure_policy);
    let (span, granularity, hours) = match filter.get("span") {
        "30d" => ("30d", "day", 30 * 24),
        "7d" => ("7d", "hour", 7 * 24),
        _ => ("24h", "hour", 24),
    };
    let since = domain::Timestamp::from_millis(v.now.as_millis() - (hours - 1) * 3_600_000).to_string();
    let health = operations.destination_health(&v.ctx, id, v.query(&[("granularity", granularity), ("since", &since)])).await?;
    let recent = operations.deliveries(&v.ctx, v.query(&[("destination_id", id), ("limit", RECENT)])).await?;
    page(&DestinationPage {
        page: Page::of(Some(v), "destinations"),
        v,
        target: target(&d),
        type_name: type_name(d.kind),
        alert_after: policy.alert_after_failures,
        disable_after: policy.disable_after_failures,
        settings: rows(&d.settings, ""),
        credentials: rows(&d.credentials, ""),
        recent: &recent.data,
        names: Names::none(),
        attempts: chart::attempts(&health.data),
        latencies: chart::latencies(&health.data),
        filter,
        span,
        done: done(filter.get("done")),
        shown_secret,
        d: &d,
    })
}

fn done(what: &str) -> &'static str {
    match what {
        "created" => "The destination is saved; its connection was checked.",
        "unchecked" => "The destination is saved without a check.",
        "saved" => "Saved. The next delivery uses it.",
        "enabled" => "Enabled. The failure counter starts from zero.",
        "disabled" => "Disabled. What is pending will be skipped, and can be replayed once it is enabled.",
        "ended" => "The secret signs no longer.",
        _ => "",
    }
}

/// A JSON object as rows, nested members by their paths; what is stored of a secret in words.
fn rows(value: &Value, prefix: &str) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Null => {}
            Value::Object(inner) if inner.get("set") == Some(&Value::Bool(true)) => {
                let hint = inner.get("hint").and_then(Value::as_str).map(|hint| format!(" ({hint})")).unwrap_or_default();
                rows.push((name, format!("set{hint}")));
            }
            Value::Object(inner) if inner.is_empty() => {}
            Value::Object(_) => rows.extend(self::rows(value, &name)),
            Value::Array(items) if items.is_empty() => {}
            Value::Array(items) => {
                rows.push((
                    name,
                    items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect::<Vec<_>>().join(", "),
                ));
            }
            Value::String(text) => rows.push((name, text.clone())),
            other => rows.push((name, other.to_string())),
        }
    }
    rows
}

fn back(v: &Visitor, id: &str, done: &str) -> Response {
    see(&v.href(&format!("/destinations/{id}?{}", show::query(&[("done", done)]))))
}

async fn check(State(front): State<Front>, v: Visitor, Path(id): Path<String>, _: Form) -> Answer {
    let checked = front.operations().await?.check_destination(&v.ctx, &id, v.query(&[]), Body::new("".into())).await?;
    page(&CheckPage { page: Page::of(Some(&v), "destinations"), v: &v, id: &id, check: &checked.check })
}

/// A test leads to its delivery, to be watched.
async fn test(State(front): State<Front>, v: Visitor, Path(id): Path<String>, form: Form) -> Answer {
    let mut members = Map::new();
    if let Some(event_type) = form.filled("event_type") {
        members.insert("event_type".to_owned(), event_type.into());
    }
    if let Some(payload) = form.filled("payload") {
        let parsed: Result<Value, _> = serde_json::from_str(payload);
        members.insert("payload".to_owned(), parsed.map_err(|error| Refusal::malformed(format!("the payload is not JSON: {error}")))?);
    }
    let message = front.operations().await?.test_destination(&v.ctx, &id, v.query(&[]), body(&members.into())).await?;
    let delivery = message.deliveries.first().ok_or_else(|| Refusal::internal("a test has no delivery"))?;
    Ok(see(&v.href(&format!("/deliveries/{}", delivery.delivery.id))))
}

async fn enable(State(front): State<Front>, v: Visitor, Path(id): Path<String>, form: Form) -> Answer {
    let since =
        form.filled("replay_since").map(|since| if since == "disabled_at" { since.to_owned() } else { crate::filter::instant(since) });
    let members = since.map_or_else(|| json!({}), |since| json!({"replay_since": since}));
    let enabled = front.operations().await?.enable_destination(&v.ctx, &id, v.query(&[]), body(&members)).await?;
    Ok(match enabled.job {
        Some(job) => see(&v.href(&format!("/jobs/{}", job.id))),
        None => back(&v, &id, "enabled"),
    })
}

async fn disable(State(front): State<Front>, v: Visitor, Path(id): Path<String>, form: Form) -> Answer {
    let members = form.filled("reason").map_or_else(|| json!({}), |reason| json!({"reason": reason}));
    front.operations().await?.disable_destination(&v.ctx, &id, v.query(&[]), body(&members)).await?;
    Ok(back(&v, &id, "disabled"))
}

async fn rotate(State(front): State<Front>, v: Visitor, Path(id): Path<String>, form: Form) -> Answer {
    let mut members = Map::new();
    if let Some(secret) = form.filled("secret") {
        members.insert("secret".to_owned(), secret.into());
    }
    if let Some(seconds) = form.filled("overlap_seconds") {
        members.insert("overlap_seconds".to_owned(), seconds.parse::<i64>().map_or_else(|_| seconds.into(), Value::from));
    }
    let rotated = front.operations().await?.rotate_secret(&v.ctx, &id, v.query(&[]), body(&members.into())).await?;
    page(&RotatedPage { page: Page::of(Some(&v), "destinations"), v: &v, id: &id, rotated: &rotated })
}

async fn end_secret(State(front): State<Front>, v: Visitor, Path((id, secret)): Path<(String, String)>, _: Form) -> Answer {
    front.operations().await?.end_secret(&v.ctx, &id, &secret, v.query(&[])).await?;
    Ok(back(&v, &id, "ended"))
}

async fn delete(State(front): State<Front>, v: Visitor, Path(id): Path<String>, _: Form) -> Answer {
    front.operations().await?.delete_destination(&v.ctx, &id, None, v.query(&[])).await?;
    Ok(see(&v.href("/destinations")))
}
