//! The destinations that Waybill manages for an organization: those for alerts by e-mail, and the
//! one for callbacks to the URLs that messages name.

use crate::Timestamp;
use crate::credentials::Credentials;
use crate::destination::{Destination, ManagedBy};
use crate::id::{DestinationId, OrganizationId};
use crate::settings::Settings;
use crate::signing_secret::SigningSecret;

/// A destination that Waybill manages. It has no revisions, is not one of the organization's
/// routes, and no request can read or change it.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemDestination(Destination);

impl SystemDestination {
    /// Creates a destination that is enabled and signs nothing.
    #[must_use]
    pub fn new(
        id: DestinationId,
        organization_id: OrganizationId,
        name: &str,
        settings: Settings,
        credentials: Credentials,
        now: Timestamp,
    ) -> Self {
        Self(Destination {
            credentials,
            managed_by: ManagedBy::Waybill,
            ..Destination::new(id, organization_id, name, settings, now)
        })
    }

    /// Returns a stored destination if Waybill manages it; `None` if an organization does.
    #[must_use]
    pub fn of(destination: Destination) -> Option<Self> {
        destination.is_system().then_some(Self(destination))
    }

    /// Returns the destination with other settings and signing secrets, changed at `now`.
    #[must_use]
    pub fn changed(
        &self,
        settings: Settings,
        signing_secrets: Vec<SigningSecret>,
        now: Timestamp,
    ) -> Self {
        Self(Destination {
            settings,
            signing_secrets,
            updated_at: now,
            ..self.0.clone()
        })
    }

    /// Returns the record, as deliveries to the destination use it.
    #[must_use]
    pub fn record(&self) -> &Destination {
        &self.0
    }
}
