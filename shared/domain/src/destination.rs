//! A destination: one configured receiver of one type, with its settings, credentials and retry
//! policy.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::Timestamp;
use crate::credentials::Credentials;
use crate::event_type::EventPattern;
use crate::id::{DestinationId, Id as _, OrganizationId};
use crate::input::{FieldCode, Fields};
use crate::organization::FailurePolicy;
use crate::retry::RetryPolicy;
use crate::settings::{DestinationType, Settings};
use crate::signing_secret::SigningSecret;
use crate::waiting::DeliveryLimits;

/// A destination as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// The identifier of the destination.
    pub id: DestinationId,
    /// The organization that owns the destination.
    pub organization_id: OrganizationId,
    /// The customer's own identifier for the destination.
    pub external_id: Option<String>,
    /// The display name of the destination.
    pub name: String,
    /// A description of the destination's purpose.
    pub description: Option<String>,
    /// Whether the destination accepts deliveries.
    pub state: DestinationState,
    /// The settings of the destination's type, such as its address.
    pub settings: Settings,
    /// The credentials with which Waybill authenticates.
    pub credentials: Credentials,
    /// The secrets that sign the requests, newest first; only webhooks have any.
    #[serde(default)]
    pub signing_secrets: Vec<SigningSecret>,
    /// The event types that the destination subscribes to; `None` means none.
    pub event_types: Option<Vec<EventPattern>>,
    /// The destination's retry policy, which replaces the organization's.
    #[serde(default)]
    pub retry_policy: Option<RetryPolicy>,
    /// The destination's failure policy, which replaces the organization's.
    pub failure_policy: Option<FailurePolicy>,
    /// The destination's delivery limits, which replace the organization's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_limits: Option<DeliveryLimits>,
    /// The destinations to which a delivery goes if it ends as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_exhausted: Option<OnExhausted>,
    /// Who manages the destination, and its revision.
    #[serde(rename = "revision")]
    pub managed_by: ManagedBy,
    /// When a connection check last succeeded for these settings and credentials.
    pub verified_at: Option<Timestamp>,
    /// When the destination was created.
    pub created_at: Timestamp,
    /// When the destination last changed.
    pub updated_at: Timestamp,
}

/// Who manages a destination. It is stored as one number, the revision, which is 0 for destinations
/// that Waybill manages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub enum ManagedBy {
    /// An organization configured the destination. It is one of the organization's routes, and the
    /// organization's members can read and change it.
    Organization {
        /// The number of the revision, counted from 1. Each write is conditional on it.
        revision: NonZeroU64,
    },
    /// Waybill manages the destination, which is a
    /// [`SystemDestination`](crate::system_destination::SystemDestination).
    Waybill,
}

impl ManagedBy {
    /// Returns the next revision; destinations that Waybill manages have no revisions.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Organization { revision } => Self::Organization {
                revision: revision.saturating_add(1),
            },
            Self::Waybill => Self::Waybill,
        }
    }
}

impl From<u64> for ManagedBy {
    fn from(revision: u64) -> Self {
        NonZeroU64::new(revision).map_or(Self::Waybill, |revision| Self::Organization { revision })
    }
}

impl From<ManagedBy> for u64 {
    fn from(managed_by: ManagedBy) -> Self {
        match managed_by {
            ManagedBy::Organization { revision } => revision.get(),
            ManagedBy::Waybill => 0,
        }
    }
}

/// Whether a destination takes deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum DestinationState {
    /// Deliveries are accepted and made. Entered on creation and by enabling; left by pausing,
    /// disabling or deleting.
    Enabled,
    /// Deliveries are accepted, but wait. Entered by a user; left by resuming, at the time `until`,
    /// or by disabling or deleting.
    Paused {
        /// When the destination was paused.
        at: Timestamp,
        /// The reason that the user gave.
        reason: Option<String>,
        /// When the destination resumes automatically; `None` if only a request resumes it.
        until: Option<Timestamp>,
    },
    /// Deliveries are skipped. Entered by a user, after too many failures, or when the receiver
    /// answered that it is gone; left by enabling or deleting.
    Disabled {
        /// When the destination was disabled.
        at: Timestamp,
        /// Who or what disabled the destination.
        by: DisabledBy,
        /// The reason for disabling it.
        reason: Option<String>,
    },
    /// The destination was deleted. It is kept without its secrets, so that the history stays
    /// readable. This state is never left.
    Deleted {
        /// When the destination was deleted.
        at: Timestamp,
    },
}

/// The destinations that receive the deliveries which failed at another destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnExhausted {
    /// The fallback destinations, 1 to 3. Each of them gets a delivery of the message.
    pub destination_ids: Vec<DestinationId>,
}

impl OnExhausted {
    /// The maximum number of fallbacks of one destination.
    pub const MAX: usize = 3;

    /// Reads the fallback destinations. The caller must check whether they exist.
    pub fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let given = fields.given("destination_ids");
        let ids = fields.parsed_list("destination_ids", Self::MAX, DestinationId::from_client);
        if ids.as_ref().is_some_and(Vec::is_empty) {
            fields.refuse(
                "destination_ids",
                FieldCode::TooShort,
                "must name at least one destination",
            );
        }
        let mut destination_ids = fields.require("destination_ids", given, ids)?;
        let mut seen = std::collections::BTreeSet::new();
        destination_ids.retain(|id| seen.insert(*id));
        Some(Self { destination_ids })
    }
}

/// Who or what disabled a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "snake_case")]
pub enum DisabledBy {
    /// A user of the API or the console.
    User,
    /// Waybill, after too many failures.
    Failures,
    /// The receiver, by answering that it is permanently gone.
    Receiver,
}

impl DisabledBy {
    /// Returns the name used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Destination {
    /// Creates a destination that an organization configures. It is enabled, and has no credentials
    /// and no policies of its own.
    #[must_use]
    pub fn new(
        id: DestinationId,
        organization_id: OrganizationId,
        name: impl Into<String>,
        settings: Settings,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            organization_id,
            external_id: None,
            name: name.into(),
            description: None,
            state: DestinationState::Enabled,
            settings,
            credentials: Credentials::none(),
            signing_secrets: Vec::new(),
            event_types: None,
            retry_policy: None,
            failure_policy: None,
            delivery_limits: None,
            on_exhausted: None,
            managed_by: ManagedBy::Organization {
                revision: NonZeroU64::MIN,
            },
            verified_at: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// Returns whether Waybill manages the destination, as a
    /// [`SystemDestination`](crate::system_destination::SystemDestination).
    #[must_use]
    pub fn is_system(&self) -> bool {
        matches!(self.managed_by, ManagedBy::Waybill)
    }

    /// Returns the number of the revision as it is stored; 0 for destinations that Waybill manages.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.managed_by.into()
    }

    /// Returns the next revision of the destination, for a change that is made at `now`.
    #[must_use]
    pub fn revised(&self, now: Timestamp) -> Self {
        Self {
            managed_by: self.managed_by.next(),
            updated_at: now,
            ..self.clone()
        }
    }

    /// Returns the type of the destination.
    #[must_use]
    pub fn kind(&self) -> DestinationType {
        self.settings.kind()
    }

    /// Returns the failure policy that applies: the destination's own, or else its organization's.
    #[must_use]
    pub fn policy<'p>(&'p self, organizations: &'p FailurePolicy) -> &'p FailurePolicy {
        self.failure_policy.as_ref().unwrap_or(organizations)
    }

    /// Returns the retry policy that applies: the destination's own, or else its organization's, or
    /// else the default.
    #[must_use]
    pub fn retries(&self, organizations: Option<&RetryPolicy>) -> RetryPolicy {
        self.retry_policy
            .as_ref()
            .or(organizations)
            .cloned()
            .unwrap_or_default()
    }

    /// Returns whether the destination is disabled when its receiver answers that it is gone.
    #[must_use]
    pub fn is_disabled_on_gone(&self) -> bool {
        matches!(&self.settings, Settings::Webhook(webhook) if webhook.disable_on_gone)
            && !self.is_system()
    }

    /// Returns the delivery limits that apply: the destination's own, or else its organization's.
    #[must_use]
    pub fn limits(&self, organizations: Option<DeliveryLimits>) -> DeliveryLimits {
        self.delivery_limits.or(organizations).unwrap_or_default()
    }

    /// Returns when the pause ends if the destination is paused at `now`. For a pause without an
    /// end this is [`Timestamp::MAX`].
    #[must_use]
    pub fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        let DestinationState::Paused { until, .. } = self.state else {
            return None;
        };
        Some(until.unwrap_or(Timestamp::MAX)).filter(|until| now < *until)
    }

    /// Returns whether the destination accepts deliveries, even if they have to wait.
    #[must_use]
    pub fn takes_deliveries(&self) -> bool {
        matches!(
            self.state,
            DestinationState::Enabled | DestinationState::Paused { .. }
        )
    }

    /// Returns whether the destination accepts deliveries and is not paused.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.state == DestinationState::Enabled
    }

    /// Returns whether the destination was deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        matches!(self.state, DestinationState::Deleted { .. })
    }

    /// Returns the secrets that sign at `now`, newest first.
    #[must_use]
    pub fn live_secrets(&self, now: Timestamp) -> Vec<&SigningSecret> {
        self.signing_secrets
            .iter()
            .filter(|secret| secret.is_live(now))
            .collect()
    }
}
