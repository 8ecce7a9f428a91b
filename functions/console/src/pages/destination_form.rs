//! Making and changing destinations: a form per type, from its schema; mistakes stand at their fields, a failed check shows its steps.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use domain::check::CheckReport;
use front::Front;
use http::{HeaderMap, StatusCode};
use operations::view::destination::DestinationView;
use operations::{Operations, Refusal, RefusalCode};
use serde_json::{Map, Value, json};

use crate::answer::{Answer, HX_REDIRECT, HX_REQUEST, page, page_as, see};
use crate::filter::Filter;
use crate::form::{Form, json as body};
use crate::pages::destination;
use crate::pages::destinations::type_name;
use crate::schema_form::{self, Control, Field};
use crate::show::{self, Page};
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/destinations/new", get(choose))
        .route("/destinations/new/{type}", get(ask_new).post(create))
        .route("/destinations/{id}/edit", get(ask_edit).post(save))
}

#[derive(Template)]
#[template(path = "destination_types.html")]
struct TypesPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
}

/// A part of the form.
struct Section {
    title: &'static str,
    /// Shown when asked for.
    folded: bool,
    fields: Vec<Field>,
}

#[derive(Template)]
#[template(path = "destination_form.html")]
struct FormPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    heading: String,
    kind: &'a str,
    action: String,
    cancel: String,
    sections: &'a [Section],
    is_new: bool,
    revision: u64,
    outcome: Outcome,
}

/// What came of sending the form.
#[derive(Default)]
struct Outcome {
    problem: Option<String>,
    /// Mistakes at no field of the form.
    others: Vec<String>,
    check: Option<CheckReport>,
    preview: Option<String>,
}

/// What a script puts into the page that is open, where secrets stay typed.
#[derive(Template)]
#[template(path = "form_outcome.html")]
struct OutcomePart<'a> {
    outcome: &'a Outcome,
    sections: &'a [Section],
}

async fn choose(v: Visitor) -> Answer {
    page(&TypesPage { page: Page::of(Some(&v), "destinations"), v: &v })
}

async fn sections(operations: &Operations, v: &Visitor, kind: &str, stored: Option<&DestinationView>) -> Result<Vec<Section>, Refusal> {
    let types = operations.destination_types(&v.ctx, v.query(&[])).await?;
    let schema = types.data.into_iter().find(|one| one.kind == kind).ok_or_else(Refusal::not_found)?;
    let stored_json = stored.map(|stored| serde_json::to_value(stored).unwrap_or_default()).unwrap_or_default();
    let (where_to, more) = schema_form::fields(&schema.settings, &["settings"], &stored_json["settings"])
        .into_iter()
        .partition(|field| field.required || field.when.is_some() || shown_first(&field.name));
    let kinds = schema_form::credentials(&schema.credentials, &stored_json["credentials"]);
    let (certificates, kinds): (Vec<Field>, Vec<Field>) =
        kinds.into_iter().partition(|field| !field.required && field.control == Control::Area);
    let own_policy = if stored_json["failure_policy"].is_object() { "own" } else { "organization" };
    let mut policy = schema_form::fields(&failure_policy(), &["failure_policy"], &stored_json["failure_policy"]);
    for field in &mut policy {
        field.when = Some(("thresholds".to_owned(), "own".to_owned()));
    }
    let thresholds = [("organization", "The organization's"), ("own", "Its own")];
    policy.insert(0, Field::switch("thresholds", "Alert and disable thresholds", &thresholds, own_policy));
    let mut retries = schema_form::fields(&retry_policy(), &["retry_policy"], &stored_json["retry_policy"]);
    retries.extend(policy);
    let all = vec![
        Section { title: "Name", folded: false, fields: schema_form::fields(&about(), &[], &stored_json) },
        Section { title: "Where", folded: false, fields: where_to },
        Section { title: "Credentials", folded: false, fields: kinds },
        Section { title: "Certificates", folded: true, fields: certificates },
        Section { title: "More settings", folded: true, fields: more },
        Section { title: "Retries and alerts", folded: true, fields: retries },
    ];
    Ok(all.into_iter().filter(|section| !section.fields.is_empty()).collect())
}

/// Optional settings that most people fill in.
fn shown_first(name: &str) -> bool {
    ["url", "host", "port", "database", "region", "preset", "mode"].iter().any(|own| name == format!("settings.{own}"))
}

fn about() -> Value {
    json!({"properties": {
        "name": {"type": "string", "description": "What people call it."},
        "description": {"type": ["string", "null"], "description": "What it is for."},
        "event_types": {"type": ["array", "null"], "items": {"type": "string"}, "description": "Patterns, a line each, that it subscribes to: * is one segment, ** any number. Left empty, it gets what names it."},
        "external_id": {"type": ["string", "null"], "description": "Your own name for it."},
    }, "required": ["name"]})
}

fn retry_policy() -> Value {
    json!({"properties": {
        "max_retries": {"type": "integer", "default": 5, "description": "Retries after the first attempt."},
        "initial_seconds": {"type": "integer", "default": 1, "description": "The first wait."},
        "multiplier": {"type": "number", "default": 2, "description": "What each further wait is multiplied by."},
        "max_seconds": {"type": "integer", "default": 3600, "description": "The longest wait."},
        "jitter": {"type": "number", "default": 0.1, "description": "The share of a wait that chance may add."},
        "retry_client_errors": {"type": "boolean", "default": true, "description": "Try again also after 3xx and 4xx answers."},
    }})
}

fn failure_policy() -> Value {
    json!({"properties": {
        "alert_after_failures": {"type": "integer", "default": 5, "description": "Alert when this many attempts in a row failed."},
        "disable_after_failures": {"type": ["integer", "null"], "default": 20, "description": "Disable it when this many did; empty: never."},
        "disable_min_failing_seconds": {"type": "integer", "default": 300, "description": "… and not before it has been failing for this long."},
    }})
}

async fn ask_new(State(front): State<Front>, v: Visitor, Path(kind): Path<String>) -> Answer {
    let sections = sections(front.operations().await?, &v, &kind, None).await?;
    shown(&v, &kind, None, &sections, Outcome::default(), StatusCode::OK)
}

async fn ask_edit(State(front): State<Front>, v: Visitor, Path(id): Path<String>) -> Answer {
    let operations = front.operations().await?;
    let stored = operations.destination(&v.ctx, &id, v.query(&[])).await?;
    let sections = sections(operations, &v, stored.kind, Some(&stored)).await?;
    shown(&v, stored.kind, Some(&stored), &sections, Outcome::default(), StatusCode::OK)
}

fn shown(v: &Visitor, kind: &str, stored: Option<&DestinationView>, sections: &[Section], outcome: Outcome, status: StatusCode) -> Answer {
    let path = stored.map_or_else(|| format!("/destinations/new/{kind}"), |stored| format!("/destinations/{}/edit", stored.id));
    let cancel = stored.map_or_else(|| "/destinations".to_owned(), |stored| format!("/destinations/{}", stored.id));
    let template = FormPage {
        page: Page::of(Some(v), "destinations"),
        v,
        heading: stored.map_or_else(|| format!("New destination: {}", type_name(kind)), |stored| format!("Change {}", stored.name)),
        kind,
        action: v.href(&path),
        cancel: v.href(&cancel),
        sections,
        is_new: stored.is_none(),
        revision: stored.map_or(0, |stored| stored.revision),
        outcome,
    };
    page_as(status, &template)
}

fn sent(sections: &[Section], form: &Form, patch: bool) -> Map<String, Value> {
    let all: Vec<Field> = sections.iter().flat_map(|section| section.fields.iter().cloned()).collect();
    let mut members = schema_form::read(&all, form, patch);
    if patch && form.text("thresholds") == Some("organization") {
        members.insert("failure_policy".to_owned(), Value::Null);
    } else if form.text("thresholds") == Some("own") && form.filled("failure_policy.disable_after_failures").is_none() {
        // Left empty means never, and not the default.
        members.entry("failure_policy").or_insert_with(|| json!({}))["disable_after_failures"] = Value::Null;
    }
    members
}

async fn create(State(front): State<Front>, v: Visitor, Path(kind): Path<String>, headers: HeaderMap, form: Form) -> Answer {
    let operations = front.operations().await?;
    let mut sections = sections(operations, &v, &kind, None).await?;
    let mut members = sent(&sections, &form, false);
    let asked = |members: Map<String, Value>| body(&members.into());
    let scripted = headers.contains_key(HX_REQUEST);
    if form.text("do") == Some("preview") {
        return previewed(operations, &v, &kind, None, &mut sections, &form, members, scripted).await;
    }
    members.insert("type".to_owned(), kind.clone().into());
    if form.text("do") == Some("check") {
        let checked = operations.check_new_destination(&v.ctx, v.query(&[]), asked(members)).await;
        let outcome = checked.map(|checked| Outcome { check: Some(checked.check), ..Outcome::default() });
        return told(&v, &kind, None, &mut sections, &form, outcome, scripted);
    }
    let skip = form.text("do") == Some("skip");
    let parameters: &[(&str, &str)] = if skip { &[("skip_check", "true")] } else { &[] };
    match operations.create_destination(&v.ctx, v.query(parameters), asked(members)).await {
        Ok(new) => {
            let filter = Filter::of(Some(if skip { "done=unchecked" } else { "done=created" }));
            match (&new.signing_secret, scripted) {
                // Shown this once, so not on a page that can be loaded again.
                (Some(secret), _) => destination::show(&front, &v, &new.view.id.to_string(), &filter, Some(secret))
                    .await
                    .map(|page| whole(page, &v.href(&format!("/destinations/{}", new.view.id)))),
                (None, _) => Ok(go(&v.href(&format!("/destinations/{}?done={}", new.view.id, filter.get("done"))), scripted)),
            }
        }
        Err(refusal) => told(&v, &kind, None, &mut sections, &form, Err(refusal), scripted),
    }
}

async fn save(State(front): State<Front>, v: Visitor, Path(id): Path<String>, headers: HeaderMap, form: Form) -> Answer {
    let operations = front.operations().await?;
    let stored = operations.destination(&v.ctx, &id, v.query(&[])).await?;
    let mut sections = sections(operations, &v, stored.kind, Some(&stored)).await?;
    let members = sent(&sections, &form, true);
    let scripted = headers.contains_key(HX_REQUEST);
    if form.text("do") == Some("preview") {
        return previewed(operations, &v, stored.kind, Some(&stored), &mut sections, &form, members, scripted).await;
    }
    let parameters: &[(&str, &str)] = if form.text("do") == Some("skip") { &[("skip_check", "true")] } else { &[] };
    let revision = form.filled("revision").map(|revision| format!("\"{revision}\""));
    match operations.patch_destination(&v.ctx, &id, revision.as_deref(), v.query(parameters), body(&members.into())).await {
        Ok(_) => Ok(go(&v.href(&format!("/destinations/{id}?done=saved")), scripted)),
        Err(refusal) => told(&v, stored.kind, Some(&stored), &mut sections, &form, Err(refusal), scripted),
    }
}

/// What a delivery would look like.
#[expect(clippy::too_many_arguments, reason = "what one form is about")]
async fn previewed(
    operations: &Operations,
    v: &Visitor,
    kind: &str,
    stored: Option<&DestinationView>,
    sections: &mut [Section],
    form: &Form,
    members: Map<String, Value>,
    scripted: bool,
) -> Answer {
    let mut settings = members.get("settings").cloned().unwrap_or_else(|| json!({}));
    if let Some(members) = settings.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    let asked = json!({"type": kind, "settings": settings});
    let made = operations.preview_destination(&v.ctx, v.query(&[]), body(&asked)).await;
    let outcome = made.map(|preview| Outcome { preview: serde_json::to_string_pretty(&preview).ok(), ..Outcome::default() });
    told(v, kind, stored, sections, form, outcome, scripted)
}

/// Tells what came of it: into the open page, else on a page with what was typed.
fn told(
    v: &Visitor,
    kind: &str,
    stored: Option<&DestinationView>,
    sections: &mut [Section],
    form: &Form,
    outcome: Result<Outcome, Refusal>,
    scripted: bool,
) -> Answer {
    let (outcome, status) = match outcome {
        Ok(outcome) => (outcome, StatusCode::OK),
        Err(refusal) if refusal.status() >= 500 || matches!(refusal.code, RefusalCode::NotFound | RefusalCode::Forbidden) => {
            return Err(refusal.into());
        }
        Err(refusal) => {
            let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
            (placed(refusal, sections, form), status)
        }
    };
    if scripted {
        // htmx swaps successful answers only.
        return page(&OutcomePart { outcome: &outcome, sections });
    }
    for field in sections.iter_mut().flat_map(|section| &mut section.fields) {
        field.refill(form);
    }
    shown(v, kind, stored, sections, outcome, status)
}

/// A refusal's mistakes, each at its field.
fn placed(refusal: Refusal, sections: &mut [Section], form: &Form) -> Outcome {
    let mut others = Vec::new();
    for error in &refusal.errors {
        let pointer = error.pointer.clone().unwrap_or_default();
        let mut fields = sections.iter_mut().flat_map(|section| &mut section.fields);
        let at = fields.find(|field| {
            let counts = field.when.as_ref().is_none_or(|(name, value)| form.text(name) == Some(value));
            counts && (field.pointer == pointer || pointer.starts_with(&format!("{}/", field.pointer)) && field.control == Control::Area)
        });
        match at {
            Some(field) => field.mistake = Some(error.detail.clone()),
            None => others.push(format!("{pointer} {}", error.detail)),
        }
    }
    for section in sections.iter_mut() {
        section.folded &= section.fields.iter().all(|field| field.mistake.is_none());
    }
    Outcome { problem: Some(refusal.detail), others, check: refusal.extra.and_then(|extra| extra.check), preview: None }
}

fn go(path: &str, scripted: bool) -> Response {
    match (scripted, http::HeaderValue::from_str(path)) {
        (true, Ok(path)) => ([(HX_REDIRECT, path)], "").into_response(),
        _ => see(path),
    }
}

/// A whole page in answer to a script that asked for a part.
fn whole(mut page: Response, path: &str) -> Response {
    let headers = page.headers_mut();
    headers.insert("hx-retarget", http::HeaderValue::from_static("body"));
    headers.insert("hx-reswap", http::HeaderValue::from_static("innerHTML show:top"));
    if let Ok(path) = http::HeaderValue::from_str(path) {
        headers.insert("hx-replace-url", path);
    }
    page
}
