//! The pages, with one module for each kind of page. Each handler calls operations and renders a
//! template.

mod alerts;
mod audit;
mod backfill;
mod deliveries;
mod delivery;
mod destination;
mod destination_actions;
mod destination_form;
mod destinations;
pub(crate) mod inbox;
mod jobs;
mod keys;
mod mailboxes;
mod messages;
mod organization;
mod organizations;
mod overview;
mod pause;
mod resend;
mod trace;

use axum::Router;
use front::{Front, Refused};
use operations::Refusal;

/// Returns the router of every page that requires a session.
pub(crate) fn router() -> Router<Front> {
    Router::new()
        .merge(overview::router())
        .merge(destinations::router())
        .merge(destination_form::router())
        .merge(destination::router())
        .merge(destination_actions::router())
        .merge(pause::router())
        .merge(backfill::router())
        .merge(mailboxes::router())
        .merge(deliveries::router())
        .merge(delivery::router())
        .merge(trace::router())
        .merge(messages::router())
        .merge(resend::router())
        .merge(alerts::router())
        .merge(audit::router())
        .merge(keys::router())
        .merge(organization::router())
        .merge(organizations::router())
        .merge(jobs::router())
        .merge(inbox::router())
}

/// Refuses an unknown path with 404, for visitors with and without a session. Requests of API
/// clients arrive here if their path is not one of the API.
pub(crate) async fn unknown() -> Refused {
    Refusal::not_found().into()
}
