//! The destination for status callbacks to the URL that a message specifies. Waybill manages this
//! destination, and it has the organization's status secrets. Each update contains its URL
//! ([`StatusCallback::Url`]).
//!
//! Callbacks are unsigned until the organization has a status secret.

use domain::Timestamp;
use domain::credentials::Credentials;
use domain::id::{DestinationId, IdMint, OrganizationId};
use domain::message::StatusCallback;
use domain::settings::webhook::{Signature, WebhookSettings};
use domain::settings::{DestinationType, Settings};
use domain::signing_secret::SigningSecret;
use domain::system_destination::SystemDestination;
use store::{Routes, StoreError};

use crate::announce::existing;
use crate::{Dispatcher, Target};

impl Dispatcher {
    /// Returns the destination of an organization's callbacks, and whether it has been saved.
    pub async fn callbacks(
        &self,
        ids: &IdMint,
        organization: OrganizationId,
    ) -> Result<(SystemDestination, bool), StoreError> {
        let id: DestinationId = ids.derive(
            organization,
            1,
            Timestamp::from_millis(0),
            "status_callbacks",
        );
        match self.store.system_destination(organization, id).await? {
            Some(saved) => Ok((saved, true)),
            None => {
                let destination = SystemDestination::new(
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
        destination: &SystemDestination,
        signing_secrets: Vec<SigningSecret>,
        now: Timestamp,
    ) -> SystemDestination {
        let settings = settings(!signing_secrets.is_empty());
        destination.changed(settings, signing_secrets, now)
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
                let (destination, is_saved) = self.callbacks(ids, organization).await?;
                if !is_saved {
                    self.store
                        .save_system_destination(&destination, None)
                        .await?;
                }
                Ok(Some(Target {
                    destination: destination.record().id,
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
