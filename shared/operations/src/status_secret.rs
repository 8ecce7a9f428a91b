//! The organization's status secret, which signs the status updates that are sent to a callback
//! URL.

use dispatch::Dispatcher;
use domain::Timestamp;
use domain::role::Permission;
use domain::signing_secret::rotate;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use utoipa::ToSchema;

use crate::destination::{Rotation, too_many_secrets};
use crate::{Context, Input, Operations, RACES_MAX, Refusal};

/// The response to a rotation of the status secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct RotatedStatusSecret {
    /// The generated secret, shown once. Absent if you provided the secret; null in a replayed
    /// response.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "whsec_…")]
    pub status_signing_secret: Option<String>,
    /// When the previous secrets stop signing; null if there were none or they stopped at once.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub previous_valid_until: Option<Timestamp>,
}

impl Operations {
    /// `POST /v1/organization/rotate-status-secret`: adds a status secret. Until the overlap ends,
    /// all live ones sign.
    pub async fn rotate_status_secret(
        &self,
        ctx: &Context,
        mut input: Input<Rotation>,
    ) -> Result<RotatedStatusSecret, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageOrganization, &mut input.query)
            .await?;
        let Rotation { secret, overlap } =
            input.optional(|fields| Rotation::read(fields, &self.settings.account_id))?;
        let now = self.clock.now();
        let (mut before, mut is_saved) = self.dispatch.callbacks(&self.ids, organization).await?;
        let new = self
            .new_signing_secret(organization, before.record().id, secret, "/secret", now)
            .await?;
        let overlap_ends = now.plus(overlap);
        for _ in 0..RACES_MAX {
            let rotated = rotate(
                &before.record().signing_secrets,
                new.stored.clone(),
                now,
                overlap_ends,
            )
            .map_err(too_many_secrets)?;
            let overlaps = rotated.len() > 1;
            let after = Dispatcher::callbacks_signed(&before, rotated, now);
            if self
                .store
                .save_system_destination(&after, Some(&before).filter(|_| is_saved))
                .await?
            {
                let event = self.event(
                    ctx,
                    organization,
                    "organization.status_secret_rotated",
                    organization,
                    Vec::new(),
                );
                self.record_made(&event).await;
                let status_signing_secret = new
                    .generated
                    .map(|secret| secret.expose_secret().to_owned());
                return Ok(RotatedStatusSecret {
                    status_signing_secret,
                    previous_valid_until: Some(overlap_ends).filter(|_| overlaps),
                });
            }
            (before, is_saved) = self.dispatch.callbacks(&self.ids, organization).await?;
        }
        Err(Refusal::contended())
    }
}
