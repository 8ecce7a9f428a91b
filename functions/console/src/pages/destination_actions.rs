//! Actions on a destination: sending a test, replaying, rotating the signing secret, disabling,
//! enabling and deleting. An action that needs input has a form.

use askama::Template;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::routing::{get, post};
use domain::Timestamp;
use front::Front;
use operations::destination::TestMessage;
use operations::view::destination::DestinationView;
use operations::{Counted, Refusal};
use serde_json::{Map, Value, json};

use crate::action_form::ActionForm;
use crate::answer::{Answer, page, see_other};
use crate::filter::{Filter, instant};
use crate::form::Form;
use crate::notice::{self, Notice};
use crate::pages::destination::{Incident, incident};
use crate::schema_form::Field;
use crate::show::{self, Page};
use crate::visitor::Visitor;

/// The number of missed deliveries at which the form of a replay stops to count.
const MISSED_MAX: u64 = 1_000;

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/destinations/{id}/test", get(show_test).post(test))
        .route("/destinations/{id}/replay", get(show_replay))
        .route("/destinations/{id}/enable", post(enable))
        .route(
            "/destinations/{id}/disable",
            get(show_disable).post(disable),
        )
        .route(
            "/destinations/{id}/rotate-secret",
            get(show_rotate).post(rotate),
        )
        .route("/destinations/{id}/delete", get(show_delete).post(delete))
}

async fn known(front: &Front, v: &Visitor, id: &str) -> Result<DestinationView, Refusal> {
    v.must_manage()?;
    front
        .operations()
        .await?
        .destination(&v.ctx, id, v.query(&[]))
        .await
}

fn action_form<'a>(v: &'a Visitor, d: &DestinationView, title: &str) -> ActionForm<'a> {
    ActionForm::new(
        v,
        "destinations",
        (v.at("/destinations", &d.id), d.name.clone()),
        title,
    )
}

fn test_form<'a>(v: &'a Visitor, d: &DestinationView) -> ActionForm<'a> {
    let event_type = Field {
        value: "waybill.test".to_owned(),
        ..Field::line(&["event_type"], "Event type", false)
    };
    let payload = Field {
        help: "JSON. If empty, a small sample is sent.".to_owned(),
        ..Field::area(&["payload"], "Payload")
    };
    ActionForm {
        about: "Sends one delivery now, even if the destination is disabled. It is marked as a \
             test and is not counted in statistics."
            .to_owned(),
        fields: vec![event_type, payload],
        submit: "Send test".to_owned(),
        ..action_form(v, d, "Send a test")
    }
}

async fn show_test(State(front): State<Front>, v: Visitor, Path(id): Path<String>) -> Answer {
    let d = known(&front, &v, &id).await?;
    test_form(&v, &d).shown()
}

/// Sends a test and redirects to its delivery.
async fn test(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let sent = async {
        let message = TestMessage::typed(form.filled("event_type"), form.filled("payload"))?;
        front
            .operations()
            .await?
            .test_destination(&v.ctx, &id, v.command(message))
            .await
    };
    match sent.await {
        Ok(message) => {
            let delivery = message
                .deliveries
                .first()
                .ok_or_else(|| Refusal::internal("a test has no delivery"))?;
            Ok(see_other(&v.at("/deliveries", &delivery.delivery.id)))
        }
        Err(refusal) => {
            let d = known(&front, &v, &id).await?;
            test_form(&v, &d).show_again(&form, refusal)
        }
    }
}

/// A choice of the time from which deliveries are replayed.
struct Window {
    value: String,
    label: &'static str,
    since: Option<Timestamp>,
    missed: Option<Counted>,
}

#[derive(Template)]
#[template(path = "replay.html")]
struct ReplayPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    d: &'a DestinationView,
    windows: &'a [Window],
    chosen: &'a str,
    /// The requested date, as its field contains it.
    date: &'a str,
    problem: Option<String>,
}

impl ReplayPage<'_> {
    fn is_chosen(&self, window: &Window) -> bool {
        self.chosen == window.value
    }
}

/// Shows the times from which deliveries can be replayed, each with the number of deliveries.
async fn show_replay(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    let d = known(&front, &v, &id).await?;
    let operations = front.operations().await?;
    let filter = Filter::of(query.as_deref());
    let mut windows = Vec::new();
    if let Some(Incident { since, missed, .. }) = incident(operations, &v, &d, MISSED_MAX).await? {
        windows.push(Window {
            value: since.to_string(),
            label: "Since the first failure",
            since: Some(since),
            missed: Some(missed),
        });
    }
    if let Some(disabled) = d.disabled.as_ref().filter(|disabled| {
        windows
            .iter()
            .all(|window| window.since != Some(disabled.at))
    }) {
        let missed = operations
            .missed(&v.ctx, &id, disabled.at, MISSED_MAX, v.query(&[]))
            .await?;
        let since = Some(disabled.at);
        windows.push(Window {
            value: disabled.at.to_string(),
            label: "Since it was disabled",
            since,
            missed: Some(missed),
        });
    }
    let mut problem = None;
    match Timestamp::parse(&instant(filter.get("date"))) {
        Ok(at) => {
            let missed = operations
                .missed(&v.ctx, &id, at, MISSED_MAX, v.query(&[]))
                .await?;
            windows.push(Window {
                value: at.to_string(),
                label: "Since the date below",
                since: Some(at),
                missed: Some(missed),
            });
        }
        Err(_) if filter.get("date").is_empty() => {}
        Err(error) => problem = Some(show::sentence(&error.to_string())),
    }
    if d.disabled.is_some() {
        windows.push(Window {
            value: String::new(),
            label: "Do not replay",
            since: None,
            missed: None,
        });
    }
    let chosen = if filter.get("date").is_empty() {
        windows.first()
    } else {
        windows
            .iter()
            .find(|window| window.label.ends_with("below"))
    };
    let chosen = chosen
        .map(|window| window.value.clone())
        .unwrap_or_default();
    let page_of = Page::of(Some(&v), "destinations");
    page(&ReplayPage {
        page: page_of,
        v: &v,
        d: &d,
        windows: &windows,
        chosen: &chosen,
        date: filter.get("date"),
        problem,
    })
}

/// Enables a destination, unless it is enabled, and replays the deliveries that it missed.
async fn enable(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let fields = form.filled_fields(&["replay_since"]);
    let enabled = front
        .operations()
        .await?
        .enable_destination(&v.ctx, &id, v.filled_in(fields))
        .await;
    match enabled {
        Ok(enabled) => match enabled.job {
            Some(job) => {
                notice::to(
                    &front,
                    &v,
                    &v.at("/jobs", &job.id),
                    Notice::done("The destination is enabled."),
                )
                .await
            }
            None => {
                let notice = Notice::done("Enabled. The failure counter is reset.");
                notice::to(&front, &v, &v.at("/destinations", &id), notice).await
            }
        },
        Err(refusal) if refusal.is_correctable() => {
            notice::to(
                &front,
                &v,
                &v.at("/destinations", &id),
                Notice::refused(&refusal),
            )
            .await
        }
        Err(refusal) => Err(refusal.into()),
    }
}

fn disable_form<'a>(v: &'a Visitor, d: &DestinationView) -> ActionForm<'a> {
    let reason = Field {
        help: "Shown to everyone who can see the destination.".to_owned(),
        ..Field::optional_line("reason", "Reason")
    };
    ActionForm {
        about: "Pending and new deliveries are skipped. You can replay them when you enable the \
             destination again."
            .to_owned(),
        fields: vec![reason],
        submit: "Disable".to_owned(),
        is_danger: true,
        ..action_form(v, d, "Disable the destination")
    }
}

async fn show_disable(State(front): State<Front>, v: Visitor, Path(id): Path<String>) -> Answer {
    let d = known(&front, &v, &id).await?;
    disable_form(&v, &d).shown()
}

async fn disable(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let fields = form.filled_fields(&["reason"]);
    match front
        .operations()
        .await?
        .disable_destination(&v.ctx, &id, v.filled_in(fields))
        .await
    {
        Ok(_) => {
            notice::to(
                &front,
                &v,
                &v.at("/destinations", &id),
                Notice::done("Disabled. Pending deliveries are skipped."),
            )
            .await
        }
        Err(refusal) => {
            let d = known(&front, &v, &id).await?;
            disable_form(&v, &d).show_again(&form, refusal)
        }
    }
}

fn rotate_form<'a>(v: &'a Visitor, d: &DestinationView) -> ActionForm<'a> {
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
        about: "Until the overlap ends, requests are signed with every secret, so that the \
             receiver can switch without an interruption."
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
        submit: "Rotate secret".to_owned(),
        ..action_form(v, d, "Rotate the signing secret")
    }
}

async fn show_rotate(State(front): State<Front>, v: Visitor, Path(id): Path<String>) -> Answer {
    let d = known(&front, &v, &id).await?;
    rotate_form(&v, &d).shown()
}

/// Returns the fields of the form that rotates a signing secret.
pub(crate) fn rotation(form: &Form) -> Map<String, Value> {
    let mut members = Map::new();
    match form.text("source") {
        Some("own") => drop(members.insert(
            "secret".to_owned(),
            form.text("secret").unwrap_or_default().trim().into(),
        )),
        Some("arn") => {
            let arn = form.text("secret.secret_arn").unwrap_or_default().trim();
            members.insert("secret".to_owned(), json!({"secret_arn": arn}));
        }
        _ => {}
    }
    if let Some(seconds) = form.filled("overlap_seconds") {
        members.insert(
            "overlap_seconds".to_owned(),
            seconds
                .parse::<i64>()
                .map_or_else(|_| seconds.into(), Value::from),
        );
    }
    members
}

async fn rotate(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    match front
        .operations()
        .await?
        .rotate_secret(&v.ctx, &id, v.filled_in(rotation(&form)))
        .await
    {
        Ok(rotated) => {
            let text = match rotated.previous_valid_until {
                Some(until) => format!(
                    "Rotated. Requests are signed with every secret until {}.",
                    show::exact(until)
                ),
                None => "Rotated. Older secrets no longer sign requests.".to_owned(),
            };
            let notice = match rotated.signing_secret {
                Some(secret) => Notice::done(text).and_secret(
                    "New signing secret",
                    "Give it to the receiver.",
                    secret,
                ),
                None => Notice::done(text),
            };
            notice::to(
                &front,
                &v,
                &v.href(&format!("/destinations/{id}?tab=secrets")),
                notice,
            )
            .await
        }
        Err(refusal) => {
            let d = known(&front, &v, &id).await?;
            rotate_form(&v, &d).show_again(&form, refusal)
        }
    }
}

async fn show_delete(State(front): State<Front>, v: Visitor, Path(id): Path<String>) -> Answer {
    let d = known(&front, &v, &id).await?;
    ActionForm {
        about: format!(
            "“{}” will receive no more deliveries. Its secrets are erased now, and its \
             history stays available.",
            d.name
        ),
        submit: "Delete the destination".to_owned(),
        is_danger: true,
        ..action_form(&v, &d, "Delete the destination")
    }
    .shown()
}

async fn delete(State(front): State<Front>, v: Visitor, Path(id): Path<String>, _: Form) -> Answer {
    front
        .operations()
        .await?
        .delete_destination(&v.ctx, &id, None, v.query(&[]))
        .await?;
    notice::to(
        &front,
        &v,
        &v.href("/destinations"),
        Notice::done("The destination is deleted."),
    )
    .await
}
