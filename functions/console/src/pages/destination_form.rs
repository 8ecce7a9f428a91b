//! Creates and changes destinations, with a form for each type that is made from its schema. The
//! form shows each mistake at its field, and the steps of a failed check.

use askama::Template;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::routing::get;
use domain::check::{CheckReport, PresentedKey};
use domain::failure_rate::FailureRate;
use domain::organization::FailurePolicy;
use domain::waiting::DeliveryLimits;
use front::Front;
use http::StatusCode;
use operations::view::destination::DestinationView;
use operations::{Input, Operations, Refusal, RefusalCode};
use serde_json::{Map, Value, json};

use crate::answer::{Answer, page, page_as};
use crate::form::{Form, clear_rate};
use crate::guide::Guide;
use crate::labels;
use crate::names::Names;
use crate::notice::{self, Notice};
use crate::pages::destinations::type_name;
use crate::retries;
use crate::schema_form::{self, Control, Field};
use crate::show::{self, Page};
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/destinations/new", get(choose))
        .route("/destinations/new/{type}", get(show_new).post(create))
        .route("/destinations/{id}/edit", get(show_edit).post(save))
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
    /// A short explanation of the section.
    about: &'static str,
    /// Whether the section is collapsed at first.
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
    outcome: Outcome,
    guide: &'a Guide,
}

/// The outcome of sending the form.
#[derive(Default)]
struct Outcome {
    /// The revision of the stored destination whose values the person has seen.
    revision: Option<String>,
    problem: Option<String>,
    /// The stored values that differ from what was typed, after another change: label and value.
    changed: Vec<(String, String)>,
    /// The mistakes that belong to no field of the form.
    others: Vec<String>,
    check: Option<CheckReport>,
    /// The parts of a preview: name and text.
    preview: Vec<(String, String)>,
    host_keys: Vec<PresentedKey>,
}

/// The part that htmx puts into the open page, which keeps the secrets that were typed.
#[derive(Template)]
#[template(path = "form_outcome.html")]
struct OutcomePart<'a> {
    outcome: &'a Outcome,
    sections: &'a [Section],
}

async fn choose(v: Visitor) -> Answer {
    v.must_manage()?;
    page(&TypesPage {
        page: Page::of(Some(&v), "destinations"),
        v: &v,
    })
}

/// Returns the sections of the form for a destination type, with the values of a stored
/// destination.
async fn sections(
    operations: &Operations,
    v: &Visitor,
    kind: &str,
    stored: Option<&DestinationView>,
) -> Result<Vec<Section>, Refusal> {
    let types = operations.destination_types(&v.ctx, v.query(&[])).await?;
    let schema = types
        .data
        .into_iter()
        .find(|one| one.kind == kind)
        .ok_or_else(Refusal::not_found)?;
    let stored_json = stored
        .map(|stored| serde_json::to_value(stored).unwrap_or_default())
        .unwrap_or_default();
    let settings = schema_form::fields(&schema.settings, &["settings"], &stored_json["settings"]);
    let (mut signature, settings): (Vec<Field>, Vec<Field>) = settings
        .into_iter()
        .partition(|field| field.name.contains(".signature."));
    let (where_to, more) = settings.into_iter().partition(|field| {
        field.required || field.when.is_some() || is_shown_at_first(&field.name)
    });
    let credentials = schema_form::credentials(&schema.credentials, &stored_json["credentials"]);
    let is_tls = |field: &Field| kind == "webhook" && field.name.ends_with("_pem");
    let (tls, credentials): (Vec<Field>, Vec<Field>) = credentials.into_iter().partition(is_tls);
    if stored.is_none() && kind == "webhook" {
        signature.extend(signing_secret());
    }
    let (own, about): (Vec<Field>, Vec<Field>) = schema_form::fields(&about(), &[], &stored_json)
        .into_iter()
        .partition(|field| field.name == "external_id");
    let retries = retries::fields(
        &["retry_policy"],
        &stored_json["retry_policy"],
        "The organization's schedule",
    );
    let section = |title, about, folded, fields| Section {
        title,
        about,
        folded,
        fields,
    };
    let mut all = vec![
        section("Basics", "", false, about),
        section(place_title(kind), "", false, where_to),
        section(
            "Authentication",
            "Secrets are encrypted when you save them and are never shown again.",
            false,
            credentials,
        ),
        section("Signature", "", false, signature),
        section("Client certificate and private authority", "", true, tls),
        section(
            "More settings",
            "",
            true,
            more.into_iter().chain(own).collect(),
        ),
        section(
            "Retries and alerts",
            "",
            true,
            retries
                .into_iter()
                .chain(thresholds(&stored_json["failure_policy"]))
                .collect(),
        ),
        section(
            "Limits",
            "Deliveries beyond a limit wait. Waiting is not a failure.",
            true,
            limits(&stored_json["delivery_limits"]),
        ),
        section(
            "Fallback",
            "",
            true,
            fallbacks(&Names::read(operations, v).await?, stored),
        ),
    ];
    for field in all.iter_mut().flat_map(|section| &mut section.fields) {
        labels::describe(kind, field);
    }
    all.retain(|section| !section.fields.is_empty());
    Ok(all)
}

/// Returns the fields for the destination's own thresholds, or the organization's.
fn thresholds(stored: &Value) -> Vec<Field> {
    let own = if stored.is_object() {
        "own"
    } else {
        "organization"
    };
    let choices = [("organization", "The organization's"), ("own", "Its own")];
    let switch = Field::switch("thresholds", "Alert and disable thresholds", &choices, own);
    let policy = schema_form::fields(&failure_policy(), &["failure_policy"], stored);
    std::iter::once(switch)
        .chain(
            policy
                .into_iter()
                .map(|field| field.only_when("thresholds", &["own"])),
        )
        .collect()
}

/// Returns the fields for the destination's own limits, or the organization's.
fn limits(stored: &Value) -> Vec<Field> {
    let own = if stored.is_object() {
        "own"
    } else {
        "organization"
    };
    let choices = [("organization", "The organization's"), ("own", "Its own")];
    let switch = Field::switch("limits", "Delivery limits", &choices, own);
    let schema = json!({"properties": DeliveryLimits::numbers()});
    let limits = schema_form::fields(&schema, &["delivery_limits"], stored);
    std::iter::once(switch)
        .chain(
            limits
                .into_iter()
                .map(|field| field.only_when("limits", &["own"])),
        )
        .collect()
}

/// The fields of the fallbacks. A destination has at most three.
const FALLBACKS: [(&str, &str); 3] = [
    ("fallback_1", "Fallback"),
    ("fallback_2", "Second fallback"),
    ("fallback_3", "Third fallback"),
];

/// Returns the fields that choose the fallback destinations.
fn fallbacks(names: &Names, stored: Option<&DestinationView>) -> Vec<Field> {
    let chosen: Vec<String> = stored
        .and_then(|stored| stored.on_exhausted.as_ref())
        .map_or_else(Vec::new, |on_exhausted| {
            on_exhausted
                .destination_ids
                .iter()
                .map(ToString::to_string)
                .collect()
        });
    let own = stored.map(|stored| stored.id.to_string());
    let others = names
        .destinations
        .iter()
        .filter(|(id, _)| Some(id) != own.as_ref())
        .map(|(id, name)| (&**id, &**name));
    // Keeps a chosen destination whose name was not read.
    let unnamed = chosen
        .iter()
        .filter(|id| names.destinations.iter().all(|(known, _)| known != *id))
        .map(|id| (&**id, &**id));
    let choices: Vec<(&str, &str)> = std::iter::once(("", "None"))
        .chain(others)
        .chain(unnamed)
        .collect();
    let field = |index: usize| {
        let (name, label) = FALLBACKS[index];
        let value = chosen.get(index).map_or("", |id| &**id);
        Field {
            required: false,
            ..Field::switch(name, label, &choices, value)
        }
    };
    let help =
        "A delivery that fails for good is sent there, with the reason. Fallbacks are not chained.";
    vec![
        Field {
            help: help.to_owned(),
            ..field(0)
        },
        field(1),
        field(2),
    ]
}

/// Returns the fields for the source of a new destination's signing secret.
fn signing_secret() -> [Field; 3] {
    let choices = [
        ("generated", "Generate a secret and show it once"),
        ("own", "Use a secret of my own"),
        ("arn", "Read it from AWS Secrets Manager"),
    ];
    let own = Field::line(&["signing_secret"], "Your signing secret", true)
        .only_when(SECRET_SOURCE, &["own"]);
    let arn = Field::line(
        &["signing_secret", "secret_arn"],
        "ARN of the secret",
        false,
    )
    .only_when(SECRET_SOURCE, &["arn"]);
    [
        Field::switch(SECRET_SOURCE, "Signing secret", &choices, "generated"),
        Field {
            example: "whsec_…",
            help: "whsec_ and the base64 of 24 to 64 bytes.".to_owned(),
            ..own
        },
        Field {
            example: "arn:aws:secretsmanager:…",
            help: "An operator must have granted it to your organization.".to_owned(),
            ..arn
        },
    ]
}

/// The name of the field that chooses the source of the signing secret.
const SECRET_SOURCE: &str = "signing_secret_source";

fn place_title(kind: &str) -> &'static str {
    match kind {
        "webhook" => "Endpoint",
        "email" => "Message",
        "sftp" => "Server",
        "postgres" | "mysql" => "Database",
        _ => "Bucket",
    }
}

/// Whether an optional setting is shown at first, because most people fill it in.
fn is_shown_at_first(name: &str) -> bool {
    [
        "url",
        "host",
        "port",
        "database",
        "region",
        "preset",
        "mode",
        "headers",
        "columns",
        "key_columns",
        "on_conflict",
    ]
    .iter()
    .any(|own| name == format!("settings.{own}"))
}

/// Returns the schema of the members that describe a destination.
fn about() -> Value {
    json!({"properties": {
        "name": {"type": "string"},
        "description": {"type": ["string", "null"]},
        "event_types": {"type": ["array", "null"], "items": {"type": "string"}},
        "external_id": {"type": ["string", "null"]},
    }, "required": ["name"]})
}

fn failure_policy() -> Value {
    let mut members = FailurePolicy::numbers();
    let rate = FailureRate::numbers();
    members.insert(
        "failure_rate".to_owned(),
        json!({"type": "object", "properties": rate}),
    );
    members.insert(
        "auto_recover".to_owned(),
        json!({"type": "boolean", "default": false}),
    );
    json!({"properties": members})
}

/// Shows an empty form, with the values that the address' parameters give to its fields.
async fn show_new(
    State(front): State<Front>,
    v: Visitor,
    Path(kind): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    v.must_manage()?;
    let operations = front.operations().await?;
    let mut sections = sections(operations, &v, &kind, None).await?;
    let given = Form::parse(query.unwrap_or_default().as_bytes());
    for field in sections
        .iter_mut()
        .flat_map(|section| &mut section.fields)
        .filter(|field| given.text(&field.name).is_some())
    {
        field.refill(&given);
    }
    let guide = Guide::read(operations, &v, None).await?;
    shown(
        &v,
        &kind,
        None,
        &sections,
        Outcome::default(),
        &guide,
        StatusCode::OK,
    )
}

async fn show_edit(State(front): State<Front>, v: Visitor, Path(id): Path<String>) -> Answer {
    v.must_manage()?;
    let operations = front.operations().await?;
    let stored = operations.destination(&v.ctx, &id, v.query(&[])).await?;
    let sections = sections(operations, &v, stored.kind, Some(&stored)).await?;
    let guide = Guide::read(operations, &v, Some(&stored)).await?;
    let outcome = Outcome {
        revision: Some(stored.revision.to_string()),
        ..Outcome::default()
    };
    shown(
        &v,
        stored.kind,
        Some(&stored),
        &sections,
        outcome,
        &guide,
        StatusCode::OK,
    )
}

fn shown(
    v: &Visitor,
    kind: &str,
    stored: Option<&DestinationView>,
    sections: &[Section],
    outcome: Outcome,
    guide: &Guide,
    status: StatusCode,
) -> Answer {
    let path = stored.map_or_else(
        || format!("/destinations/new/{kind}"),
        |stored| format!("/destinations/{}/edit", stored.id),
    );
    let cancel = stored.map_or_else(
        || "/destinations".to_owned(),
        |stored| format!("/destinations/{}", stored.id),
    );
    let template = FormPage {
        page: Page::of(Some(v), "destinations"),
        v,
        heading: stored.map_or_else(
            || format!("New {} destination", type_name(kind)),
            |stored| format!("Edit {}", stored.name),
        ),
        kind,
        action: v.href(&path),
        cancel: v.href(&cancel),
        sections,
        is_new: stored.is_none(),
        outcome,
        guide,
    };
    page_as(status, &template)
}

/// Reads the form into the fields of an operation's input: a patch if there is a stored destination.
fn sent(sections: &[Section], form: &Form, stored: Option<&DestinationView>) -> Map<String, Value> {
    let patch = stored.is_some();
    let all: Vec<Field> = sections
        .iter()
        .flat_map(|section| section.fields.iter().cloned())
        .collect();
    let mut members = schema_form::read(&all, form, patch);
    let policy = stored
        .map(|stored| serde_json::to_value(&stored.retry_policy).unwrap_or_default())
        .unwrap_or_default();
    retries::apply(form, &["retry_policy"], &policy, &mut members);
    if patch && form.text("thresholds") == Some("organization") {
        members.insert("failure_policy".to_owned(), Value::Null);
    } else if form.text("thresholds") == Some("own")
        && form
            .filled("failure_policy.disable_after_failures")
            .is_none()
    {
        // Empty means never, not the default.
        members.entry("failure_policy").or_insert_with(|| json!({}))["disable_after_failures"] =
            Value::Null;
    }
    match form.text("limits") {
        Some("organization") if patch => {
            drop(members.insert("delivery_limits".to_owned(), Value::Null))
        }
        // Its own limits without a value mean no limit, not the organization's limits.
        Some("own") => drop(
            members
                .entry("delivery_limits")
                .or_insert_with(|| json!({})),
        ),
        _ => {}
    }
    let fallbacks: Vec<&str> = FALLBACKS
        .iter()
        .filter_map(|(name, _)| form.filled(name))
        .collect();
    if !fallbacks.is_empty() {
        members.insert(
            "on_exhausted".to_owned(),
            json!({"destination_ids": fallbacks}),
        );
    } else if patch && form.text(FALLBACKS[0].0).is_some() {
        members.insert("on_exhausted".to_owned(), Value::Null);
    }
    if form.text("thresholds") == Some("own") {
        clear_rate(
            members.entry("failure_policy").or_insert_with(|| json!({})),
            "failure_policy",
            form,
        );
    }
    // An empty secret or ARN is sent, so that the API refuses it instead of generating a secret.
    match form.text(SECRET_SOURCE) {
        Some("own") => {
            members.entry("signing_secret").or_insert_with(|| "".into());
        }
        Some("arn") => {
            members
                .entry("signing_secret")
                .or_insert_with(|| json!({"secret_arn": ""}));
        }
        _ => {}
    }
    members
}

/// A form that was sent, and the destination that it is about.
struct Sent<'a> {
    v: &'a Visitor,
    kind: &'a str,
    stored: Option<&'a DestinationView>,
    form: &'a Form,
}

async fn create(
    State(front): State<Front>,
    v: Visitor,
    Path(kind): Path<String>,
    form: Form,
) -> Answer {
    let operations = front.operations().await?;
    let mut sections = sections(operations, &v, &kind, None).await?;
    let mut members = sent(&sections, &form, None);
    let this = Sent {
        v: &v,
        kind: &kind,
        stored: None,
        form: &form,
    };
    match form.text("do") {
        Some("preview") => return previewed(operations, &this, &mut sections, members).await,
        Some("host_keys") => return fetched(operations, &this, &mut sections).await,
        _ => {}
    }
    members.insert("type".to_owned(), kind.clone().into());
    if form.text("do") == Some("check") {
        let checked = operations
            .check_new_destination(&v.ctx, v.filled_in(members))
            .await;
        let outcome = checked.map(|checked| Outcome {
            check: Some(checked.check),
            ..Outcome::default()
        });
        return show_outcome(operations, &this, &mut sections, outcome).await;
    }
    let skip = form.text("do") == Some("skip");
    let parameters: &[(&str, &str)] = if skip { &[("skip_check", "true")] } else { &[] };
    match operations
        .create_destination(&v.ctx, Input::form(v.query(parameters), members))
        .await
    {
        Ok(new) => {
            let notice = Notice::done(if skip {
                "The destination was saved without a check."
            } else {
                "The connection works, and the destination was saved."
            });
            let notice = match new.signing_secret {
                Some(secret) => notice.and_secret(
                    "Signing secret",
                    "The receiver needs it to verify requests.",
                    secret,
                ),
                None => notice,
            };
            notice::to(&front, &v, &v.at("/destinations", &new.view.id), notice).await
        }
        Err(refusal) => show_outcome(operations, &this, &mut sections, Err(refusal)).await,
    }
}

async fn save(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let operations = front.operations().await?;
    let stored = operations.destination(&v.ctx, &id, v.query(&[])).await?;
    let mut sections = sections(operations, &v, stored.kind, Some(&stored)).await?;
    let members = sent(&sections, &form, Some(&stored));
    let this = Sent {
        v: &v,
        kind: stored.kind,
        stored: Some(&stored),
        form: &form,
    };
    match form.text("do") {
        Some("preview") => return previewed(operations, &this, &mut sections, members).await,
        Some("host_keys") => return fetched(operations, &this, &mut sections).await,
        _ => {}
    }
    let parameters: &[(&str, &str)] = if form.text("do") == Some("skip") {
        &[("skip_check", "true")]
    } else {
        &[]
    };
    // A value that is not a number matches no revision, so that the change is refused as a conflict.
    let revision = form.filled("revision");
    let revision: Option<Vec<u64>> = revision.map(|text| text.parse().into_iter().collect());
    match operations
        .patch_destination(
            &v.ctx,
            &id,
            revision.as_deref(),
            Input::form(v.query(parameters), members),
        )
        .await
    {
        Ok(saved) => {
            let notice = match saved.disabled {
                Some(_) => Notice::warning("Saved. The destination is still disabled."),
                None => Notice::done("Saved. The change applies from the next delivery on."),
            };
            notice::to(&front, &v, &v.at("/destinations", &id), notice).await
        }
        Err(refusal) => show_outcome(operations, &this, &mut sections, Err(refusal)).await,
    }
}

/// Shows a preview of a delivery.
async fn previewed(
    operations: &Operations,
    this: &Sent<'_>,
    sections: &mut [Section],
    members: Map<String, Value>,
) -> Answer {
    let mut settings = members
        .get("settings")
        .cloned()
        .unwrap_or_else(|| json!({}));
    if let Some(members) = settings.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    let fields = [
        ("type".to_owned(), this.kind.into()),
        ("settings".to_owned(), settings),
    ];
    let made = operations
        .preview_destination(&this.v.ctx, this.v.filled_in(Map::from_iter(fields)))
        .await;
    let outcome = made.map(|preview| Outcome {
        preview: parts(&preview),
        ..Outcome::default()
    });
    show_outcome(operations, this, sections, outcome).await
}

/// Converts the members of a preview to texts.
fn parts(preview: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", value.as_str().unwrap_or_default()))
            .collect(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let members = preview
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null());
    members
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

/// Reads the host keys that the server presents and fills them into their field, for a person to
/// compare.
async fn fetched(operations: &Operations, this: &Sent<'_>, sections: &mut [Section]) -> Answer {
    let host = this.form.text("settings.host").unwrap_or_default();
    let number = |text: &str| {
        text.parse::<i64>()
            .map_or_else(|_| text.into(), Value::from)
    };
    let port = this.form.filled("settings.port").map(number);
    let fields = [("host", Some(Value::from(host))), ("port", port)];
    let fields = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let found = operations
        .host_keys(&this.v.ctx, this.v.filled_in(fields.collect()))
        .await;
    let found = found.map_err(|refusal| in_settings(refusal, "settings"));
    let outcome = found.map(|found| Outcome {
        host_keys: found.host_keys,
        ..Outcome::default()
    });
    show_outcome(operations, this, sections, outcome).await
}

/// Prefixes the pointers of a refusal with the group of fields that the request was about.
fn in_settings(refusal: Refusal, group: &str) -> Refusal {
    let mut refusal = refusal;
    for error in &mut refusal.errors {
        error.pointer = error
            .pointer
            .as_ref()
            .map(|pointer| format!("/{group}{pointer}"));
    }
    refusal
}

/// The problem when the destination was changed after the form was opened.
const CHANGED: &str = "Someone changed this destination after you opened the form, so nothing was \
     saved. Your values are still in the form; where the saved values differ from them, they are \
     listed here. Save again to replace the saved values with yours.";

/// Shows the outcome: in the open page if htmx sent the form, or else on a new page with the values
/// that were typed.
async fn show_outcome(
    operations: &Operations,
    this: &Sent<'_>,
    sections: &mut [Section],
    outcome: Result<Outcome, Refusal>,
) -> Answer {
    let Sent {
        v,
        kind,
        stored,
        form,
    } = *this;
    let is_conflict =
        matches!(&outcome, Err(refusal) if refusal.code == RefusalCode::RevisionConflict);
    let (mut outcome, status) = match outcome {
        Ok(outcome) => (outcome, StatusCode::OK),
        Err(refusal)
            if refusal.is_failure()
                || matches!(refusal.code, RefusalCode::NotFound | RefusalCode::Forbidden) =>
        {
            return Err(refusal.into());
        }
        Err(refusal) => {
            let status =
                StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
            (placed(refusal, sections, form), status)
        }
    };
    // What is sent next replaces only what the person has seen.
    outcome.revision = form.filled("revision").map(str::to_owned);
    if let Some(stored) = stored.filter(|_| is_conflict) {
        outcome.revision = Some(stored.revision.to_string());
        outcome.problem = Some(CHANGED.to_owned());
    }
    for field in sections.iter_mut().flat_map(|section| &mut section.fields) {
        let saved = field.value.clone();
        field.refill(form);
        if is_conflict && field.value.trim_end() != saved.trim_end() {
            outcome
                .changed
                .push((field.label.clone(), described(field, saved)));
        }
        if field.name == "settings.host_keys" && !outcome.host_keys.is_empty() {
            let keys: Vec<&str> = outcome
                .host_keys
                .iter()
                .map(|key| &*key.public_key)
                .collect();
            field.value = keys.join("\n");
        }
    }
    if v.is_scripted {
        // The status is 200, because htmx ignores the content of other responses.
        return page(&OutcomePart {
            outcome: &outcome,
            sections,
        });
    }
    let guide = Guide::read(operations, v, stored).await?;
    shown(v, kind, stored, sections, outcome, &guide, status)
}

/// Describes a stored value in words.
fn described(field: &Field, saved: String) -> String {
    match &field.control {
        Control::Tick if saved == "true" => "Yes".to_owned(),
        Control::Tick => "No".to_owned(),
        Control::Choice(choices) => choices
            .iter()
            .find(|choice| choice.value == saved)
            .map_or(saved, |choice| choice.label.clone()),
        _ if saved.is_empty() => "Not set".to_owned(),
        _ => saved,
    }
}

/// Puts each mistake of a refusal at its field, and returns the rest as an outcome.
fn placed(refusal: Refusal, sections: &mut [Section], form: &Form) -> Outcome {
    let mut others = Vec::new();
    for error in &refusal.errors {
        let pointer = error.pointer.clone().unwrap_or_default();
        let mut fields = sections.iter_mut().flat_map(|section| &mut section.fields);
        let at = fields.find(|field| {
            let is_within = pointer.starts_with(&format!("{}/", field.pointer))
                && matches!(field.control, Control::Area | Control::SecretArea);
            field.counts(form) && (field.pointer == pointer || is_within)
        });
        match at {
            Some(field) => field.mistake = Some(shorten(&error.detail)),
            None => others.push(format!(
                "{}: {}",
                pointer.trim_start_matches('/').replace('/', " › "),
                error.detail
            )),
        }
    }
    for section in sections.iter_mut() {
        section.folded &= section.fields.iter().all(|field| field.mistake.is_none());
    }
    let problem = if refusal.code == RefusalCode::ValidationFailed {
        "Nothing was saved. Correct the marked fields and try again.".to_owned()
    } else {
        show::sentence(&refusal.detail)
    };
    Outcome {
        problem: Some(problem),
        others,
        check: refusal.extra.and_then(|extra| extra.check),
        ..Outcome::default()
    }
}

/// Shortens a detail that is shown at its field, where the label names the field.
fn shorten(detail: &str) -> String {
    match detail.strip_suffix(" is required") {
        Some(_) => "this field is required".to_owned(),
        None => detail.to_owned(),
    }
}
