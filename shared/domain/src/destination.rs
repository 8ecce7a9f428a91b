//! A destination: one configured place of one type, with its settings, credentials and retry policy.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::credentials::Credentials;
use crate::event_type::EventPattern;
use crate::id::{DestinationId, OrganizationId};
use crate::organization::FailurePolicy;
use crate::retry::RetryPolicy;
use crate::settings::{DestinationType, Settings};
use crate::signing_secret::SigningSecret;

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
    /// Counts changes; every write is conditional on it.
    pub revision: u64,
    /// When a check last passed for these settings and credentials.
    pub verified_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Whether a destination takes deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum DestinationState {
    /// It does. Entered on creation and by enabling; left by disabling or deleting.
    Enabled,
    /// It does not; deliveries are skipped. Entered by a user or by too many failures; left by enabling or deleting.
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

/// Who disabled a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
        match self {
            Self::User => "user",
            Self::Failures => "failures",
            Self::Receiver => "receiver",
        }
    }
}

impl Destination {
    /// The revision of Waybill's own destinations; that of customers' is 1 and more.
    pub const SYSTEM_REVISION: u64 = 0;

    /// One of Waybill's own: in no route, and nobody's to read or change.
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
            id,
            organization_id,
            external_id: None,
            name: name.to_owned(),
            description: None,
            state: DestinationState::Enabled,
            settings,
            credentials,
            signing_secrets: Vec::new(),
            event_types: None,
            retry_policy: None,
            failure_policy: None,
            revision: Self::SYSTEM_REVISION,
            verified_at: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// Is it one of Waybill's own, which customers neither see nor change?
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.revision == Self::SYSTEM_REVISION
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
        self.retry_policy.as_ref().or(organizations).cloned().unwrap_or_default()
    }

    /// Is it disabled when its receiver answers that it is gone?
    #[must_use]
    pub fn ends_when_gone(&self) -> bool {
        matches!(&self.settings, Settings::Webhook(webhook) if webhook.disable_on_gone) && !self.is_system()
    }

    /// Does it take deliveries?
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
        self.signing_secrets.iter().filter(|secret| secret.is_live(now)).collect()
    }
}
