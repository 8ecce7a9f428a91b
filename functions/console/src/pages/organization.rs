//! The page with the settings of an organization.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::failure_rate::FailureRate;
use domain::organization::{FailurePolicy, OrganizationSettings};
use domain::waiting::DeliveryLimits;
use front::Front;
use http::StatusCode;
use operations::view::organization::OrganizationView;
use operations::{Refusal, RefusalCode};
use serde_json::{Map, Value, json};

use crate::action_form::ActionForm;
use crate::answer::{Answer, page_as};
use crate::form::{Form, clear_rate};
use crate::labels;
use crate::names::Names;
use crate::notice::{self, Notice};
use crate::pages::destination_actions::rotation;
use crate::retries;
use crate::schema_form::{self, Control, Field};
use crate::show::{self, Page};
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/organization", get(show_form).post(save))
        .route(
            "/organization/status-secret",
            get(show_secret).post(rotate_secret),
        )
}

/// The path of the retry policy in an organization.
const RETRIES: &[&str] = &["settings", "retry_policy"];
/// Ends the name of the hidden fields with the destinations of a list that were ticked when the page
/// was loaded.
const STORED_SUFFIX: &str = ".before";
const STATUS_EVENTS: &[&str] = &["delivery.succeeded", "delivery.failed", "message.completed"];

#[derive(Template)]
#[template(path = "organization.html")]
struct OrganizationPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    o: &'a OrganizationView,
    groups: &'a [Group],
    names: &'a Names,
    problem: Option<&'a Refusal>,
    /// The mistakes that belong to no field of the form.
    others: Vec<String>,
}

/// A group of related settings.
struct Group {
    id: &'static str,
    title: &'static str,
    about: &'static str,
    fields: Vec<Field>,
}

impl OrganizationPage<'_> {
    fn is_default(&self, id: &str) -> bool {
        self.o
            .settings
            .default_destination_ids
            .iter()
            .any(|own| own.to_string() == id)
    }

    fn gets_alerts(&self, id: &str) -> bool {
        self.o
            .settings
            .alert_destination_ids
            .iter()
            .any(|own| own.to_string() == id)
    }

    fn gets_status(&self, id: &str) -> bool {
        self.o
            .settings
            .status_destination_ids
            .iter()
            .any(|own| own.to_string() == id)
    }

    fn notifies_about(&self, event: &str) -> bool {
        let settings = serde_json::to_value(&self.o.settings).unwrap_or_default();
        settings["status_events"]
            .as_array()
            .is_some_and(|events| events.iter().any(|own| own == event))
    }
}

/// Returns the schema of the settings with fields. Destinations are chosen with checkboxes instead.
fn schema() -> Value {
    let (mut failure_policy, mut settings) =
        (FailurePolicy::numbers(), OrganizationSettings::numbers());
    // No default is shown: an organization has a value for each number.
    for number in failure_policy
        .values_mut()
        .chain(settings.values_mut())
        .filter_map(Value::as_object_mut)
    {
        number.remove("default");
    }
    let failure_rate = json!({"type": "object", "properties": FailureRate::numbers()});
    failure_policy.insert("failure_rate".to_owned(), failure_rate);
    failure_policy.insert("auto_recover".to_owned(), json!({"type": "boolean"}));
    settings.insert(
        "alert_emails".to_owned(),
        json!({"type": "array", "items": {}}),
    );
    settings.insert(
        "failure_policy".to_owned(),
        json!({"type": "object", "properties": failure_policy}),
    );
    let limits = json!({"type": ["object", "null"], "properties": DeliveryLimits::numbers()});
    settings.insert("delivery_limits".to_owned(), limits);
    let members =
        json!({"name": {"type": "string"}, "settings": {"type": "object", "properties": settings}});
    json!({"properties": members, "required": ["name"]})
}

/// The fields of each group, by the last segment of their names.
const GROUPS: &[(&str, &[&str])] = &[
    ("general", &["name"]),
    (
        "alerts",
        &[
            "alert_emails",
            "alert_after_failures",
            "disable_after_failures",
            "disable_min_failing_seconds",
            "percent",
            "window_seconds",
            "min_attempts",
            "auto_recover",
            "alert_debounce_seconds",
        ],
    ),
    ("limits", &["max_per_second", "max_concurrent"]),
    (
        "warnings",
        &[
            "latency_warning_ms",
            "success_rate_warning",
            "pending_age_warning_seconds",
        ],
    ),
    (
        "retention",
        &[
            "payload_retention_days",
            "audit_retention_days",
            "retention_days",
        ],
    ),
];

/// Fields that may be empty.
const OPTIONAL: &[&str] = &[
    "alert_emails",
    "disable_after_failures",
    "percent",
    "window_seconds",
    "min_attempts",
    "auto_recover",
    "max_per_second",
    "max_concurrent",
];

fn groups(o: &OrganizationView) -> Vec<Group> {
    let mut stored = serde_json::to_value(o).unwrap_or_default();
    // Includes the addresses that are not confirmed yet, so that saving the page does not remove
    // them.
    let all: Vec<&String> = o
        .settings
        .alert_emails
        .iter()
        .chain(&o.settings.unconfirmed_alert_emails)
        .collect();
    stored["settings"]["alert_emails"] = json!(all);
    let mut groups = vec![
        Group {
            id: "general",
            title: "General",
            about: "",
            fields: Vec::new(),
        },
        Group {
            id: "alerts",
            title: "Alerts",
            about: "Who is notified when a destination keeps failing, is disabled, or recovers.",
            fields: Vec::new(),
        },
        Group {
            id: "limits",
            title: "Delivery limits",
            about: "For destinations without limits of their own.",
            fields: Vec::new(),
        },
        Group {
            id: "retries",
            title: "Retries",
            about: "How failed attempts are retried, unless a destination has its own schedule.",
            fields: Vec::new(),
        },
        Group {
            id: "warnings",
            title: "Warnings",
            about: "",
            fields: Vec::new(),
        },
        Group {
            id: "retention",
            title: "Retention",
            about: "How long data is kept.",
            fields: Vec::new(),
        },
    ];
    let mut fields = schema_form::fields(&schema(), &[], &stored);
    for (id, name) in GROUPS
        .iter()
        .flat_map(|(id, names)| names.iter().map(move |name| (*id, *name)))
    {
        let Some(index) = fields
            .iter()
            .position(|field| field.name.rsplit('.').next() == Some(name))
        else {
            continue;
        };
        let mut field = Field {
            required: !OPTIONAL.contains(&name),
            ..fields.remove(index)
        };
        labels::describe(labels::ORGANIZATION, &mut field);
        groups
            .iter_mut()
            .filter(|group| group.id == id)
            .for_each(|group| group.fields.push(field.clone()));
    }
    let mut retries = retries::fields(
        RETRIES,
        &stored["settings"]["retry_policy"],
        "Waybill's default: after 1, 2, 4, 8 and 16 s",
    );
    retries
        .iter_mut()
        .for_each(|field| labels::describe(labels::ORGANIZATION, field));
    groups
        .iter_mut()
        .filter(|group| group.id == "retries")
        .for_each(|group| group.fields.append(&mut retries.clone()));
    groups
}

async fn show_form(State(front): State<Front>, v: Visitor) -> Answer {
    let o = front
        .operations()
        .await?
        .own_organization(&v.ctx, v.query(&[]))
        .await?;
    shown(&front, &v, &o, &groups(&o), None, Vec::new()).await
}

async fn shown(
    front: &Front,
    v: &Visitor,
    o: &OrganizationView,
    groups: &[Group],
    problem: Option<&Refusal>,
    others: Vec<String>,
) -> Answer {
    let names = Names::read(front.operations().await?, v).await?;
    let status = problem.map_or(StatusCode::OK, |_| StatusCode::UNPROCESSABLE_ENTITY);
    page_as(
        status,
        &OrganizationPage {
            page: Page::of(Some(v), "organization"),
            v,
            o,
            groups,
            names: &names,
            problem,
            others,
        },
    )
}

/// Applies the changes that were made in the form to a stored list of destinations. The list may
/// have changed since the page was loaded, and may have destinations that the page did not offer.
fn chosen(form: &Form, name: &str, stored: &Value) -> Vec<String> {
    let (ticked, before) = (form.all(name), form.all(&format!("{name}{STORED_SUFFIX}")));
    let stored = stored.as_array().into_iter().flatten();
    let mut ids: Vec<&str> = stored
        .filter_map(Value::as_str)
        .filter(|id| ticked.contains(id) || !before.contains(id))
        .collect();
    for id in ticked {
        if !before.contains(&id) && !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids.into_iter().map(str::to_owned).collect()
}

async fn save(State(front): State<Front>, v: Visitor, form: Form) -> Answer {
    let operations = front.operations().await?;
    let o = operations.own_organization(&v.ctx, v.query(&[])).await?;
    let mut groups = groups(&o);
    let fields: Vec<Field> = groups
        .iter()
        .flat_map(|group| group.fields.iter().cloned())
        .collect();
    let mut members: Map<String, Value> = schema_form::read(&fields, &form, true);
    let settings = members.entry("settings").or_insert_with(|| json!({}));
    if !settings["failure_policy"].is_object() {
        settings["failure_policy"] = json!({});
    }
    clear_rate(
        &mut settings["failure_policy"],
        "settings.failure_policy",
        &form,
    );
    let stored = serde_json::to_value(&o.settings).unwrap_or_default();
    for name in [
        "default_destination_ids",
        "alert_destination_ids",
        "status_destination_ids",
    ] {
        settings[name] = chosen(&form, name, &stored[name]).into();
    }
    if let Some(settings) = settings.as_object_mut() {
        retries::apply(&form, RETRIES, &stored["retry_policy"], settings);
    }
    settings["status_events"] = form.all("status_events").into();
    match operations
        .patch_own_organization(&v.ctx, v.filled_in(members))
        .await
    {
        Ok(_) => notice::to(&front, &v, &v.href("/organization"), Notice::done("Saved.")).await,
        Err(refusal) if refusal.is_correctable() || refusal.is_not_found() => {
            let mut others = Vec::new();
            for field in groups.iter_mut().flat_map(|group| &mut group.fields) {
                field.refill(&form);
            }
            for error in &refusal.errors {
                let pointer = error.pointer.as_deref().unwrap_or_default();
                let mut fields = groups.iter_mut().flat_map(|group| &mut group.fields);
                let is_at = |field: &&mut Field| {
                    field.counts(&form)
                        && (field.pointer == pointer
                            || pointer.starts_with(&format!("{}/", field.pointer)))
                };
                match fields.find(is_at) {
                    Some(field) => field.mistake = Some(error.detail.clone()),
                    None => others.push(show::sentence(&error.detail)),
                }
            }
            shown(&front, &v, &o, &groups, Some(&refusal), others).await
        }
        Err(refusal) => Err(refusal.into()),
    }
}

fn secret_form(v: &Visitor) -> ActionForm<'_> {
    let sources = [
        ("generated", "Generate a secret and show it once"),
        ("own", "Use a secret of my own"),
        ("arn", "Read it from AWS Secrets Manager"),
    ];
    let overlaps = [
        ("86400", "For a day"),
        ("3600", "For an hour"),
        ("604800", "For a week"),
        ("0", "Not at all"),
    ];
    let own = Field::line(&["secret"], "Your signing secret", true).only_when("source", &["own"]);
    let arn = Field::line(&["secret", "secret_arn"], "ARN of the secret", false)
        .only_when("source", &["arn"]);
    ActionForm {
        about: "Signs status updates that are sent to the URL in a message's status_callback."
            .to_owned(),
        fields: vec![
            Field::switch("source", "New secret", &sources, "generated"),
            Field {
                example: "whsec_…",
                help: "whsec_ and the base64 of 24 to 64 bytes.".to_owned(),
                ..own
            },
            Field {
                example: "arn:aws:secretsmanager:…",
                ..arn
            },
            Field::switch(
                "overlap_seconds",
                "Older secrets keep signing",
                &overlaps,
                "86400",
            ),
        ],
        submit: "Save secret".to_owned(),
        ..ActionForm::new(
            v,
            "organization",
            (v.href("/organization"), "Settings".to_owned()),
            "Status callback secret",
        )
    }
}

async fn show_secret(v: Visitor) -> Answer {
    if !v.may_administer() {
        return Err(Refusal::forbidden().into());
    }
    secret_form(&v).shown()
}

async fn rotate_secret(State(front): State<Front>, v: Visitor, form: Form) -> Answer {
    match front
        .operations()
        .await?
        .rotate_status_secret(&v.ctx, v.filled_in(rotation(&form)))
        .await
    {
        Ok(rotated) => {
            let notice = Notice::done("Status callbacks are signed with the new secret.");
            let notice = match rotated.status_signing_secret {
                Some(secret) => notice.and_secret(
                    "Status callback secret",
                    "Your program needs it to verify callbacks.",
                    secret,
                ),
                None => notice,
            };
            notice::to(&front, &v, &v.href("/organization"), notice).await
        }
        Err(refusal) => secret_form(&v).show_again(&form, refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_changes_of_the_form_are_made_to_a_list_of_destinations() {
        let form = Form::parse(b"list.before=a&list.before=b&list=b&list=c");
        let of = |stored| chosen(&form, "list", &stored);
        assert_eq!(of(json!(["a", "b"])), ["b", "c"]);
        assert_eq!(of(json!(["a", "b", "added", "c"])), ["b", "added", "c"]);
        assert_eq!(of(json!(["a"])), ["c"], "b was removed in the meantime");
        let none = Form::parse(b"");
        assert_eq!(chosen(&none, "list", &json!(["a"])), ["a"]);
    }
}
