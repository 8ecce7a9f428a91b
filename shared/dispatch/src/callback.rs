//! The destination for status callbacks to the URL that a message specifies. Waybill manages this
//! destination, and it has the organization's status secrets. Each update contains its URL
//! ([`StatusCallback::Url`]).
//!
//! Callbacks are unsigned until the organization has a status secret.

use domain::Timestamp;
use domain::credentials::Credentials;
use domain::destination::Destination;
use domain::id::{DestinationId, IdMint, OrganizationId};
use domain::message::StatusCallback;
use domain::settings::webhook::{Signature, WebhookSettings};
use domain::settings::{DestinationType, Settings};
use domain::signing_secret::SigningSecret;
use store::{Routes, StoreError};

use crate::announce::existing;
use crate::{Dispatcher, Target};

impl Dispatcher {
    /// Returns the destination of an organization's callbacks, and whether it has been saved yet.
    pub async fn callbacks(
        &self,
        ids: &IdMint,
        organization: OrganizationId,
    ) -> Result<(Destination, bool), StoreError> {
        let id: DestinationId = ids.derive(
            organization,
            1,
            Timestamp::from_millis(0),
            "status_callbacks",
        );
        match self.store.destination(organization, id).await? {
            Some(kept) => Ok((kept, true)),
            None => {
                let destination = Destination::system(
                    id,
                    organization,
                    "Status callbacks",
                    settings(false),
                    Credentials::none(),
                    self.clock.now(),
                );
                Ok((destination, false))
            }
        }
    }

    /// Returns the destination with these signing secrets, updated at `now`.
    #[must_use]
    pub fn callbacks_signed(
        destination: Destination,
        signing_secrets: Vec<SigningSecret>,
        now: Timestamp,
    ) -> Destination {
        let settings = settings(!signing_secrets.is_empty());
        Destination {
            settings,
            signing_secrets,
            updated_at: now,
            ..destination
        }
    }

    /// Returns the target of the callback that a message requested.
    pub(crate) async fn callback_target(
        &self,
        ids: &IdMint,
        routes: &Routes,
        organization: OrganizationId,
        callback: &StatusCallback,
    ) -> Result<Option<Target>, StoreError> {
        match callback {
            StatusCallback::DestinationId(id) => Ok(existing(routes, &[*id]).next()),
            StatusCallback::Url(_) => {
                let (destination, kept) = self.callbacks(ids, organization).await?;
                if !kept {
                    self.store
                        .keep_system_destination(&destination, None)
                        .await?;
                }
                Ok(Some(Target {
                    destination: destination.id,
                    kind: DestinationType::Webhook,
                    enabled: true,
                }))
            }
        }
    }
}

/// Returns the default settings of a webhook. Each delivery has its own URL.
fn settings(signed: bool) -> Settings {
    Settings::Webhook(WebhookSettings {
        signature: Signature { enabled: signed },
        ..WebhookSettings::default()
    })
}
