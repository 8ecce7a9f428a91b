//! Where status updates go that a message wants at an address of its own: a destination of Waybill's, whose secrets are the organization's
//! status secrets. The address itself travels with each update ([`StatusCallback::Url`]).
//!
//! Until the organization has a status secret its callbacks are not signed.

use domain::Timestamp;
use domain::credentials::Credentials;
use domain::destination::Destination;
use domain::id::{DestinationId, IdMint, OrganizationId};
use domain::input::{Errors, Fields};
use domain::message::StatusCallback;
use domain::settings::webhook::{Signature, WebhookSettings};
use domain::settings::{DestinationType, Settings};
use domain::signing_secret::SigningSecret;
use store::{Routes, StoreError};

use crate::announce::existing;
use crate::{Dispatcher, Target};

impl Dispatcher {
    /// Where an organization's callbacks go, as it is, and whether it is kept yet.
    pub async fn callbacks(&self, ids: &IdMint, organization: OrganizationId) -> Result<(Destination, bool), StoreError> {
        let id: DestinationId = ids.derive(organization, 1, Timestamp::from_millis(0), "status_callbacks");
        match self.store.destination(organization, id).await? {
            Some(kept) => Ok((kept, true)),
            None => {
                let destination =
                    Destination::system(id, organization, "Status callbacks", settings(false), Credentials::none(), self.clock.now());
                Ok((destination, false))
            }
        }
    }

    /// The same with these secrets.
    #[must_use]
    pub fn callbacks_signed(destination: Destination, signing_secrets: Vec<SigningSecret>, now: Timestamp) -> Destination {
        let settings = settings(!signing_secrets.is_empty());
        Destination { settings, signing_secrets, updated_at: now, ..destination }
    }

    /// Who else is told of a message that asked for it.
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
                    self.store.keep_system_destination(&destination, None).await?;
                }
                Ok(Some(Target { destination: destination.id, kind: DestinationType::Webhook, enabled: true }))
            }
        }
    }
}

/// A webhook's defaults.
fn settings(signed: bool) -> Settings {
    let errors = Errors::default();
    let defaults = WebhookSettings::read(&mut Fields::new("", serde_json::Map::new(), &errors));
    let defaults = defaults.expect("a webhook needs no setting but its address");
    Settings::Webhook(WebhookSettings { signature: Signature { enabled: signed }, ..defaults })
}
