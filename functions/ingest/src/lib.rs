//! Submits messages from EventBridge. An event `Waybill Message` on the service's bus is a
//! submission: its detail is the body of `POST /v1/messages` with the organization's id. The
//! operator's map ([`Sources`]) determines who may submit for which organization. A refusal is
//! recorded in the organization's audit log as `ingest_rejected`. EventBridge delivers an event
//! at least once. The idempotency key in the detail, or else the event's id, ensures that the
//! message is submitted only once.

mod config;
mod detail;
mod sources;

pub use config::Config;
pub use sources::Sources;

use std::sync::Arc;

use access::{Caller, CallerCredential};
use domain::role::Role;
use domain::trace::TraceId;
use lambda_runtime::{LambdaEvent, service_fn, tower::Service};
use operations::message::MessageToSubmit;
use operations::{Context, Input, Operations, Query, Refusal};
use runtime::{ConfigError, Platform};
use serde::Deserialize;
use serde_json::value::RawValue;

use detail::Detail;

/// The members of an event that this function uses (EventBridge, event structure).
#[derive(Debug, Deserialize)]
pub struct Event {
    id: String,
    source: String,
    account: String,
    /// Unparsed, so that payloads are delivered byte for byte.
    detail: Box<RawValue>,
}

/// Builds the function that handles events.
pub fn build(
    platform: &Platform,
    config: Config,
) -> Result<
    impl Service<LambdaEvent<Event>, Response = (), Error = lambda_runtime::Error, Future: Send>
    + Clone
    + Send
    + use<>,
    ConfigError,
> {
    let front = front::Front::new(platform.clone(), config.front);
    let sources = Arc::new(config.sources);
    Ok(service_fn(move |event: LambdaEvent<Event>| {
        let (front, sources) = (front.clone(), sources.clone());
        async move {
            let operations = front.operations().await.map_err(failed)?;
            let trace = telemetry::propagation::new_trace();
            take(
                operations,
                &sources,
                event.payload,
                event.context.request_id,
                trace,
            )
            .await
        }
    }))
}

/// Submits the message of an event. A refusal is recorded and not retried. A temporary failure is
/// returned as an error, so that the event is delivered again.
async fn take(
    operations: &Operations,
    sources: &Sources,
    event: Event,
    request_id: String,
    trace: TraceId,
) -> Result<(), lambda_runtime::Error> {
    let Event {
        id,
        source,
        account,
        detail,
    } = event;
    let mut detail = Detail::read(&detail);
    let Some(organization) = detail.take_organization() else {
        telemetry::metrics::security_event("ingest_rejected");
        tracing::warn!(
            event = id,
            source,
            account,
            security_event = true,
            "ingest_rejected: the event does not name exactly one organization"
        );
        return Ok(());
    };
    let key = detail.take_idempotency_key(&id);
    let ctx = Context {
        caller: Caller {
            by: CallerCredential::EventSource {
                account: account.clone(),
                source: source.clone(),
            },
            name: source.clone(),
            role: Role::Sender,
            organization: Some(organization),
            makers: Vec::new(),
        },
        request_id,
        ip: None,
        base_url: String::new(),
        trace,
        request_line: "POST /v1/messages".to_owned(),
        idempotency_key: key.ok(),
        routes: None,
        reserved: None,
    };
    if !sources.may_submit(&account, &source, organization) {
        operations
            .reject_ingest(
                &ctx,
                organization,
                "the operator's map does not allow this account \
                 and source to submit for the organization",
            )
            .await;
        return Ok(());
    }
    if ctx.idempotency_key.is_none() {
        operations
            .reject_ingest(
                &ctx,
                organization,
                "idempotency_key must be a string of 1 to 255 \
                 printable characters, given at most once",
            )
            .await;
        return Ok(());
    }
    let message = MessageToSubmit::new(serde_json::to_string(&detail)?.into());
    match operations
        .submit_message(&ctx, Input::command(Query::default(), message))
        .await
    {
        Ok(submitted) => {
            tracing::info!(
                message = %submitted.message.id,
                %organization,
                source,
                "submitted a message from the event bus"
            );
            Ok(())
        }
        Err(refusal) if refusal.is_temporary() => Err(failed(refusal)),
        Err(refusal) => {
            let mistakes: Vec<String> = refusal
                .errors
                .iter()
                .filter_map(|error| error.pointer.clone())
                .collect();
            operations
                .reject_ingest(
                    &ctx,
                    organization,
                    &format!(
                        "{}: {} {}",
                        refusal.code,
                        refusal.detail,
                        mistakes.join(" ")
                    ),
                )
                .await;
            Ok(())
        }
    }
}

/// Converts a temporary refusal to an error with its whole chain of causes.
fn failed(refusal: Refusal) -> lambda_runtime::Error {
    refusal.chain().unwrap_or(refusal.detail).into()
}
