//! Pauses and resumes a destination.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use front::Front;
use operations::Refusal;
use operations::view::destination::DestinationView;

use crate::action_form::ActionForm;
use crate::answer::Answer;
use crate::filter::instant;
use crate::form::Form;
use crate::notice::{self, Notice};
use crate::schema_form::{Control, Field};
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/destinations/{id}/pause", get(show_form).post(pause))
        .route("/destinations/{id}/resume", post(resume))
}

/// Reads the destination for a visitor who may change it.
pub(crate) async fn managed(
    front: &Front,
    v: &Visitor,
    id: &str,
) -> Result<DestinationView, Refusal> {
    v.must_manage()?;
    front
        .operations()
        .await?
        .destination(&v.ctx, id, v.query(&[]))
        .await
}

fn form<'a>(v: &'a Visitor, d: &DestinationView) -> ActionForm<'a> {
    let reason = Field {
        value: d
            .paused
            .as_ref()
            .and_then(|paused| paused.reason.clone())
            .unwrap_or_default(),
        help: "Shown to everyone who can see the destination.".to_owned(),
        ..Field::optional_line("reason", "Reason")
    };
    let until = d.paused.as_ref().and_then(|paused| paused.until);
    let until = Field {
        control: Control::Line("datetime-local"),
        value: until
            .map(|until| until.to_string().chars().take(16).collect())
            .unwrap_or_default(),
        help: "In UTC. Leave it empty to pause until you resume the destination.".to_owned(),
        ..Field::optional_line("until", "Until")
    };
    let about = "New deliveries and retries wait. Nothing is sent, skipped or counted as a failure. \
                 When the destination is resumed, they are sent, oldest first.";
    let title = if d.paused.is_some() {
        "Change the pause"
    } else {
        "Pause the destination"
    };
    let parent = (v.at("/destinations", &d.id), d.name.clone());
    ActionForm {
        about: about.to_owned(),
        fields: vec![until, reason],
        submit: if d.paused.is_some() { "Save" } else { "Pause" }.to_owned(),
        ..ActionForm::new(v, "destinations", parent, title)
    }
}

async fn show_form(State(front): State<Front>, v: Visitor, Path(id): Path<String>) -> Answer {
    let d = managed(&front, &v, &id).await?;
    form(&v, &d).shown()
}

async fn pause(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
    sent: Form,
) -> Answer {
    let mut members = sent.filled_fields(&["reason"]);
    if let Some(until) = sent.filled("until") {
        members.insert("until".to_owned(), instant(until).into());
    }
    match front
        .operations()
        .await?
        .pause_destination(&v.ctx, &id, v.filled_in(members))
        .await
    {
        Ok(_) => {
            let notice = Notice::done("Paused. Deliveries wait until the destination is resumed.");
            notice::to(&front, &v, &v.at("/destinations", &id), notice).await
        }
        Err(refusal) => {
            let d = managed(&front, &v, &id).await?;
            form(&v, &d).show_again(&sent, refusal)
        }
    }
}

async fn resume(State(front): State<Front>, v: Visitor, Path(id): Path<String>, _: Form) -> Answer {
    let resumed = front
        .operations()
        .await?
        .resume_destination(&v.ctx, &id, v.command(()))
        .await;
    let notice = match resumed {
        Ok(_) => Notice::done("Resumed. Waiting deliveries are sent, oldest first."),
        Err(refusal) if refusal.is_correctable() => Notice::refused(&refusal),
        Err(refusal) => return Err(refusal.into()),
    };
    notice::to(&front, &v, &v.at("/destinations", &id), notice).await
}
