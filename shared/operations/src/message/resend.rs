//! Resends accepted messages to further destinations. A destination that already has a delivery of
//! the message keeps it; that delivery can be retried.

use dispatch::{Addition, Target, Unresolved, resolve};
use domain::attempt::Trigger;
use domain::id::{DestinationId, Id as _};
use domain::input::{FieldCode, Fields};
use domain::limits::NAMED_DESTINATIONS_MAX;
use domain::role::Permission;
use serde::Serialize;
use store::Added;
use utoipa::ToSchema;

use super::read::payload_expired;
use super::submit::not_suspended;
use crate::view::message::MessageView;
use crate::{Context, Input, Operations, Refusal, RefusalCode};

/// The body of `POST /v1/messages/{id}/deliveries`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResendMessage {
    /// The destinations to add. A destination that already has a delivery of the message keeps it.
    pub destination_ids: Vec<String>,
}

impl ResendMessage {
    fn read(fields: &mut Fields<'_>) -> Option<Vec<DestinationId>> {
        let given = fields.given("destination_ids");
        let ids: Option<Vec<DestinationId>> = fields.parsed_list(
            "destination_ids",
            NAMED_DESTINATIONS_MAX,
            DestinationId::from_client,
        );
        if ids.as_ref().is_some_and(Vec::is_empty) {
            fields.refuse(
                "destination_ids",
                FieldCode::TooShort,
                "must name at least one destination",
            );
        }
        fields.require("destination_ids", given, ids)
    }
}

impl Operations {
    /// `POST /v1/messages/{id}/deliveries`: sends a message to further destinations.
    pub async fn resend_message(
        &self,
        ctx: &Context,
        id: &str,
        mut input: Input<Vec<DestinationId>>,
    ) -> Result<MessageView, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut input.query)
            .await?;
        let deliveries = self.own_message(ctx, organization, id).await?;
        let named = input.required(ResendMessage::read)?;
        let first = &deliveries[0];
        let routes = self
            .store
            .routes(organization)
            .await?
            .ok_or_else(Refusal::not_found)?;
        not_suspended(routes.status)?;
        let targets: Vec<Target> =
            match resolve(&routes, Some(named.as_slice()), &first.message.event_type) {
                Ok(targets) => targets,
                Err(Unresolved::NoDestinations) => Vec::new(),
                Err(Unresolved::Unknown(positions)) => {
                    for id in positions.iter().filter_map(|position| named.get(*position)) {
                        self.owns_or_records(ctx, organization, *id).await;
                    }
                    return Err(Refusal::not_found_at(
                        positions
                            .into_iter()
                            .map(|position| format!("/destination_ids/{position}")),
                    ));
                }
            };
        if self.store.content(first).await?.is_none() {
            return Err(expired());
        }
        let missing = |target: &Target| {
            deliveries
                .iter()
                .all(|delivery| delivery.destination != target.destination)
        };
        let targets: Vec<Target> = targets.into_iter().filter(missing).collect();
        self.admit_deliveries(organization, 1, targets.len())
            .await?;
        for target in &targets {
            let addition = Addition {
                trigger: Trigger::Manual,
                fallback_of: None,
            };
            if self.dispatch.add(first, target, addition).await? == Added::Gone {
                // The message has ended (404), or its payload was erased meanwhile.
                self.own_message(ctx, organization, id).await?;
                return Err(expired());
            }
        }
        let event = self.event(
            ctx,
            organization,
            "message.resent",
            first.id.message,
            vec![crate::audit::set(
                "/destination_ids",
                serde_json::json!(named),
            )],
        );
        self.record_made(&event).await;
        let deliveries = self.own_message(ctx, organization, id).await?;
        Ok(self.message_view(ctx, &deliveries, &self.pauses(organization).await?))
    }
}

/// Returns the 409 for a message whose payload is no longer kept.
fn expired() -> Refusal {
    Refusal {
        code: RefusalCode::PayloadExpiredForRetry,
        ..payload_expired()
    }
}
