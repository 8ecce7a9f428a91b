//! An organization's settings.

use askama::Template;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::get;
use front::Front;
use http::StatusCode;
use operations::view::organization::OrganizationView;
use operations::{Refusal, RefusalCode};
use serde_json::{Map, Value, json};

use crate::answer::{Answer, page_as, see};
use crate::filter::Filter;
use crate::form::{Form, json as body};
use crate::names::Names;
use crate::schema_form::{self, Control, Field};
use crate::show::Page;
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new().route("/organization", get(ask).post(save))
}

const STATUS_EVENTS: &[&str] = &["delivery.succeeded", "delivery.failed", "message.completed"];

#[derive(Template)]
#[template(path = "organization.html")]
struct OrganizationPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    o: &'a OrganizationView,
    fields: &'a [Field],
    names: &'a Names,
    problem: Option<&'a Refusal>,
    saved: bool,
}

impl OrganizationPage<'_> {
    fn is_default(&self, id: &str) -> bool {
        self.o.settings.default_destination_ids.iter().any(|own| own.to_string() == id)
    }

    fn gets_alerts(&self, id: &str) -> bool {
        self.o.settings.alert_destination_ids.iter().any(|own| own.to_string() == id)
    }

    fn gets_status(&self, id: &str) -> bool {
        self.o.settings.status_destination_ids.iter().any(|own| own.to_string() == id)
    }

    fn tells(&self, event: &str) -> bool {
        let settings = serde_json::to_value(&self.o.settings).unwrap_or_default();
        settings["status_events"].as_array().is_some_and(|events| events.iter().any(|own| own == event))
    }
}

/// What is written into fields; which destinations are meant is ticked.
fn schema() -> Value {
    json!({"properties": {
        "name": {"type": "string", "description": "What people call the organization."},
        "settings": {"type": "object", "properties": {
            "alert_emails": {"type": "array", "items": {}, "description": "Who gets alerts by e-mail, a line each. Each address gets a mail with a link to confirm it first."},
            "failure_policy": {"type": "object", "properties": {
                "alert_after_failures": {"type": "integer", "description": "Alert when this many attempts in a row failed."},
                "disable_after_failures": {"type": ["integer", "null"], "description": "Disable a destination when this many did; empty: never."},
                "disable_min_failing_seconds": {"type": "integer", "description": "… and not before it has been failing for this long."},
            }},
            "alert_debounce_seconds": {"type": "integer", "description": "No second alert of a kind for a destination within this time."},
            "latency_warning_ms": {"type": "integer", "description": "A delivery that took longer is slow."},
            "success_rate_warning": {"type": "number", "description": "A success rate below this is degraded; 0.95 is 95 %."},
            "pending_age_warning_seconds": {"type": "integer", "description": "Work that waited longer is late."},
            "retention_days": {"type": "integer", "description": "How long history is kept."},
            "payload_retention_days": {"type": "integer", "description": "How long payloads are kept; at most as long as history."},
            "audit_retention_days": {"type": "integer", "description": "How long the audit trail is kept."},
        }},
    }, "required": ["name"]})
}

fn fields(o: &OrganizationView) -> Vec<Field> {
    let mut stored = serde_json::to_value(o).unwrap_or_default();
    // An address that waits for its confirmation is one of them: saving the page does not remove it.
    let all: Vec<&String> = o.settings.alert_emails.iter().chain(&o.settings.unconfirmed_alert_emails).collect();
    stored["settings"]["alert_emails"] = json!(all);
    let mut fields = schema_form::fields(&schema(), &[], &stored);
    for field in &mut fields {
        field.required = !field.name.ends_with("alert_emails") && !field.name.ends_with("disable_after_failures");
    }
    fields
}

async fn ask(State(front): State<Front>, v: Visitor, RawQuery(query): RawQuery) -> Answer {
    let operations = front.operations().await?;
    let o = operations.own_organization(&v.ctx, v.query(&[])).await?;
    let saved = Filter::of(query.as_deref()).has("done", "saved");
    shown(&front, &v, &o, &fields(&o), None, saved).await
}

async fn shown(front: &Front, v: &Visitor, o: &OrganizationView, fields: &[Field], problem: Option<&Refusal>, saved: bool) -> Answer {
    let names = Names::read(front.operations().await?, v).await?;
    let status = problem.map_or(StatusCode::OK, |_| StatusCode::UNPROCESSABLE_ENTITY);
    page_as(status, &OrganizationPage { page: Page::of(Some(v), "organization"), v, o, fields, names: &names, problem, saved })
}

async fn save(State(front): State<Front>, v: Visitor, form: Form) -> Answer {
    let operations = front.operations().await?;
    let o = operations.own_organization(&v.ctx, v.query(&[])).await?;
    let mut fields = fields(&o);
    let mut members: Map<String, Value> = schema_form::read(&fields, &form, true);
    let settings = members.entry("settings").or_insert_with(|| json!({}));
    let offered = Names::read(operations, &v).await?;
    let stored = serde_json::to_value(&o.settings).unwrap_or_default();
    for name in ["default_destination_ids", "alert_destination_ids", "status_destination_ids"] {
        // Destinations that the page did not offer stay.
        let ids = stored[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        let kept = ids.filter(|id| !offered.0.iter().any(|(offered, _)| offered == id));
        settings[name] = form.all(name).into_iter().chain(kept).collect();
    }
    settings["status_events"] = form.all("status_events").into();
    match operations.patch_own_organization(&v.ctx, v.query(&[]), body(&members.into())).await {
        Ok(_) => Ok(see(&v.href("/organization?done=saved"))),
        Err(refusal) if matches!(refusal.code, RefusalCode::ValidationFailed | RefusalCode::NotFound) => {
            for field in &mut fields {
                field.refill(&form);
                field.mistake =
                    refusal.errors.iter().find(|error| error.pointer.as_deref() == Some(&field.pointer)).map(|error| error.detail.clone());
            }
            shown(&front, &v, &o, &fields, Some(&refusal), false).await
        }
        Err(refusal) => Err(refusal.into()),
    }
}
