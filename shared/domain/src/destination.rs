//! A destination: one configured place of one type, with its settings, credentials and retry
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
    /// Its id.
    pub id: DestinationId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The customer's own name for it.
    pub external_id: Option<String>,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether deliveries are made.
    pub state: DestinationState,
    /// Where and how, by type.
    pub settings: Settings,
    /// How it is authenticated with.
    pub credentials: Credentials,
    /// What signs its requests, newest first; webhooks only.
    #[serde(default)]
    pub signing_secrets: Vec<SigningSecret>,
    /// The event types it subscribes to; `None` subscribes to nothing.
    pub event_types: Option<Vec<EventPattern>>,
    /// How it is tried again, instead of as its organization has it.
    #[serde(default)]
    pub retry_policy: Option<RetryPolicy>,
    /// Its own thresholds, instead of the organization's.
    pub failure_policy: Option<FailurePolicy>,
    /// What it takes, instead of what its organization says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_limits: Option<DeliveryLimits>,
    /// Where a delivery goes that ends as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_exhausted: Option<OnExhausted>,
    /// Who manages it, and how often it was changed.
    #[serde(rename = "revision")]
    pub managed_by: ManagedBy,
    /// When a check last passed for these settings and credentials.
    pub verified_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Who manages a destination. Stored as one number: the revision, which is 0 for Waybill's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub enum ManagedBy {
    /// An organization configured it. It is in the organization's routes, and its members read and
    /// change it.
    Organization {
        /// Counts changes from 1 on; every write is conditional on it.
        revision: NonZeroU64,
    },
    /// Waybill made it, for alerts by e-mail or for status callbacks. It is in no route, and no
    /// request reads or changes it.
    Waybill,
}

impl ManagedBy {
    /// The next revision; Waybill's own destinations have none.
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
    /// It does. Entered on creation and by enabling; left by disabling or deleting.
    Enabled,
    /// It does, and they wait. Entered by a user; left by resuming, when `until` is over, by
    /// disabling or deleting.
    Paused {
        /// Since when.
        at: Timestamp,
        /// Why.
        reason: Option<String>,
        /// When it resumes by itself; `None` if only a request resumes it.
        until: Option<Timestamp>,
    },
    /// It does not; deliveries are skipped. Entered by a user, by too many failures or by a
    /// receiver that is gone; left by enabling or deleting.
    Disabled {
        /// Since when.
        at: Timestamp,
        /// By whom.
        by: DisabledBy,
        /// Why.
        reason: Option<String>,
    },
    /// It is gone, without its secrets, kept so that history stays readable. Never left.
    Deleted {
        /// Since when.
        at: Timestamp,
    },
}

/// Where deliveries go that end as failed at their own destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnExhausted {
    /// Each of these gets a delivery of the message, 1–3.
    pub destination_ids: Vec<DestinationId>,
}

impl OnExhausted {
    /// Fallbacks of one destination.
    pub const MAX: usize = 3;

    /// Reads where failed deliveries go; whether these destinations exist is not known here.
    pub fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let given = fields.given("destination_ids");
        let ids = fields.parsed_list("destination_ids", Self::MAX, DestinationId::named);
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

/// Who disabled a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "snake_case")]
pub enum DisabledBy {
    /// A person or their program.
    User,
    /// Waybill, after too many failures.
    Failures,
    /// The receiver, which answered that it is gone for good.
    Receiver,
}

impl DisabledBy {
    /// As written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Destination {
    /// A new destination that an organization configures: enabled, without credentials, and with
    /// the organization's policies.
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

    /// A destination that Waybill makes for an organization and manages itself.
    #[must_use]
    pub fn system(
        id: DestinationId,
        organization_id: OrganizationId,
        name: &str,
        settings: Settings,
        credentials: Credentials,
        now: Timestamp,
    ) -> Self {
        Self {
            credentials,
            managed_by: ManagedBy::Waybill,
            ..Self::new(id, organization_id, name, settings, now)
        }
    }

    /// Whether Waybill manages it itself.
    #[must_use]
    pub fn is_system(&self) -> bool {
        matches!(self.managed_by, ManagedBy::Waybill)
    }

    /// The number of its revision, as it is stored; 0 for Waybill's own.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.managed_by.into()
    }

    /// The next revision of the destination, for a change that is made at `now`.
    #[must_use]
    pub fn revised(&self, now: Timestamp) -> Self {
        Self {
            managed_by: self.managed_by.next(),
            updated_at: now,
            ..self.clone()
        }
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> DestinationType {
        self.settings.kind()
    }

    /// Which policy holds: its own, else its organization's.
    #[must_use]
    pub fn policy<'p>(&'p self, organizations: &'p FailurePolicy) -> &'p FailurePolicy {
        self.failure_policy.as_ref().unwrap_or(organizations)
    }

    /// How it is tried again: by its own policy, else its organization's, else the default.
    #[must_use]
    pub fn retries(&self, organizations: Option<&RetryPolicy>) -> RetryPolicy {
        self.retry_policy
            .as_ref()
            .or(organizations)
            .cloned()
            .unwrap_or_default()
    }

    /// Is it disabled when its receiver answers that it is gone?
    #[must_use]
    pub fn ends_when_gone(&self) -> bool {
        matches!(&self.settings, Settings::Webhook(webhook) if webhook.disable_on_gone)
            && !self.is_system()
    }

    /// What it takes: its own limits, else its organization's.
    #[must_use]
    pub fn limits(&self, organizations: Option<DeliveryLimits>) -> DeliveryLimits {
        self.delivery_limits.or(organizations).unwrap_or_default()
    }

    /// Until when deliveries wait, if they do at `now`; a pause without an end has the end of time.
    #[must_use]
    pub fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        let DestinationState::Paused { until, .. } = self.state else {
            return None;
        };
        Some(until.unwrap_or(Timestamp::MAX)).filter(|until| now < *until)
    }

    /// Does it accept deliveries, even if they have to wait?
    #[must_use]
    pub fn takes_deliveries(&self) -> bool {
        matches!(
            self.state,
            DestinationState::Enabled | DestinationState::Paused { .. }
        )
    }

    /// Does it take deliveries, without a pause?
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.state == DestinationState::Enabled
    }

    /// Is it gone?
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        matches!(self.state, DestinationState::Deleted { .. })
    }

    /// The secrets that sign at `now`, newest first.
    #[must_use]
    pub fn live_secrets(&self, now: Timestamp) -> Vec<&SigningSecret> {
        self.signing_secrets
            .iter()
            .filter(|secret| secret.is_live(now))
            .collect()
    }
}
