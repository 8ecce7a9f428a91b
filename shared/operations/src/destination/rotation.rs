//! Rotates signing secrets with an overlap, and ends single secrets early.

use std::time::Duration;

use domain::destination::Destination;
use domain::id::SecretId;
use domain::input::Fields;
use domain::role::Permission;
use domain::settings::DestinationType;
use domain::signing_secret::{
    LIVE_SECRETS_MAX, OVERLAP_SECONDS, SigningSecret, TooManySecrets, rotate,
};
use secrecy::ExposeSecret as _;
use store::Saved;

use super::secret_input::{SecretInput, take_secret};
use crate::organization::no_parameters;
use crate::view::destination::RotatedSecret;
use crate::{Context, Input, Operations, Query, RACES_MAX, Refusal, RefusalCode};

/// A rotation of signing secrets.
#[derive(Debug)]
pub struct Rotation {
    /// The customer's own secret; `None` to generate one.
    pub(crate) secret: Option<SecretInput>,
    /// How long older secrets continue to sign.
    pub(crate) overlap: Duration,
}

impl Rotation {
    pub(crate) fn read(fields: &mut Fields<'_>, own_account: &str) -> Option<Self> {
        let secret = take_secret(fields, "secret", own_account);
        let seconds = OVERLAP_SECONDS
            .read(fields, "overlap_seconds")
            .unwrap_or(OVERLAP_SECONDS.default_value());
        let overlap = Duration::from_secs(seconds.into());
        Some(Self { secret, overlap })
    }
}

/// Returns the 409 for a rotation after which more secrets would sign than receivers can be
/// expected to check.
pub(crate) fn too_many_secrets(_: TooManySecrets) -> Refusal {
    let detail = format!(
        "at most {LIVE_SECRETS_MAX} secrets sign at once; end one early, or rotate with \
         overlap_seconds 0"
    );
    Refusal::new(RefusalCode::TooManySecrets, detail)
}

/// Returns an error if the destination is not of a type whose requests are signed.
fn must_be_signed(destination: &Destination) -> Result<(), Refusal> {
    if destination.kind() == DestinationType::Webhook {
        Ok(())
    } else {
        Err(Refusal::new(
            RefusalCode::NotSigned,
            "only webhooks are signed; this destination has no signing secret",
        ))
    }
}

impl Operations {
    /// `POST /v1/destinations/{id}/rotate-secret`: adds a signing secret. Until the overlap ends,
    /// all live secrets sign.
    pub async fn rotate_secret(
        &self,
        ctx: &Context,
        id: &str,
        mut input: Input<Rotation>,
    ) -> Result<RotatedSecret, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut input.query)
            .await?;
        let mut before = self.own_destination(ctx, organization, id).await?;
        let Rotation { secret, overlap } =
            input.optional(|fields| Rotation::read(fields, &self.settings.account_id))?;
        must_be_signed(&before)?;
        let now = self.clock.now();
        let new = self
            .new_signing_secret(organization, before.id, secret, "/secret", now)
            .await?;
        let overlap_ends = now.plus(overlap);
        for _ in 0..RACES_MAX {
            let rotated = rotate(
                &before.signing_secrets,
                new.stored.clone(),
                now,
                overlap_ends,
            )
            .map_err(too_many_secrets)?;
            if self
                .save_secrets(ctx, &before, rotated, "destination.secret_rotated")
                .await?
                == Saved::Done
            {
                let previous_valid_until = Some(overlap_ends).filter(|_| !overlap.is_zero());
                let signing_secret = new
                    .generated
                    .map(|secret| secret.expose_secret().to_owned());
                return Ok(RotatedSecret {
                    signing_secret,
                    previous_valid_until,
                });
            }
            before = self.existing_destination(organization, before.id).await?;
        }
        Err(Refusal::contended())
    }

    /// `DELETE /v1/destinations/{id}/signing-secrets/{secret}`: ends a secret early, unless it is
    /// the last one.
    pub async fn end_secret(
        &self,
        ctx: &Context,
        id: &str,
        secret: &str,
        mut query: Query,
    ) -> Result<(), Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut query)
            .await?;
        let mut before = self.own_destination(ctx, organization, id).await?;
        let secret: SecretId = self.own_id(ctx, organization, secret).await?;
        no_parameters(query)?;
        for _ in 0..RACES_MAX {
            let live = before.live_secrets(self.clock.now());
            if !live.iter().any(|live| live.id == secret) {
                return Err(Refusal::not_found());
            }
            let remaining = without(&live, secret);
            if remaining.is_empty() {
                return Err(Refusal::new(
                    RefusalCode::LastSecret,
                    "the last signing secret cannot be ended; rotate it instead",
                ));
            }
            if self
                .save_secrets(ctx, &before, remaining, "destination.secret_ended")
                .await?
                == Saved::Done
            {
                return Ok(());
            }
            before = self.existing_destination(organization, before.id).await?;
        }
        Err(Refusal::contended())
    }

    async fn save_secrets(
        &self,
        ctx: &Context,
        before: &Destination,
        signing_secrets: Vec<SigningSecret>,
        action: &str,
    ) -> Result<Saved, Refusal> {
        let after = Destination {
            signing_secrets,
            ..before.revised(self.clock.now())
        };
        let event = self.event(ctx, before.organization_id, action, before.id, Vec::new());
        Ok(self
            .store
            .save_destination(&after, before.revision(), &event)
            .await?)
    }
}

/// Returns the live secrets without one of them. The newest of the rest gets no end, so that the
/// destination continues to sign.
fn without(live: &[&SigningSecret], ended: SecretId) -> Vec<SigningSecret> {
    let mut remaining: Vec<SigningSecret> = live
        .iter()
        .filter(|secret| secret.id != ended)
        .map(|secret| (*secret).clone())
        .collect();
    if let Some(newest) = remaining.first_mut() {
        newest.valid_until = None;
    }
    remaining
}
