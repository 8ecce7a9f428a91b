//! What each destination type can be told; a file per type, and one enum so that the compiler lists what a new type still needs.

pub mod database;
pub mod sftp;
pub mod storage;
pub mod webhook;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::input::Fields;
use webhook::WebhookSettings;

/// The destination types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DestinationType {
    /// An HTTP endpoint.
    Webhook,
}

impl DestinationType {
    /// Every type, by its name in JSON.
    pub const ALL: &'static [(&'static str, Self)] = &[("webhook", Self::Webhook)];

    /// As written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
        }
    }
}

/// A destination's settings: nothing secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Settings {
    /// Of a webhook.
    Webhook(WebhookSettings),
}

impl Settings {
    /// Reads the settings of one type.
    pub fn read(kind: DestinationType, fields: &mut Fields<'_>) -> Option<Self> {
        match kind {
            DestinationType::Webhook => WebhookSettings::read(fields).map(Self::Webhook),
        }
    }

    /// Whose settings they are.
    #[must_use]
    pub fn kind(&self) -> DestinationType {
        match self {
            Self::Webhook(_) => DestinationType::Webhook,
        }
    }

    /// As answers show them: without the type.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let json = match self {
            Self::Webhook(settings) => serde_json::to_value(settings),
        };
        json.expect("settings have string keys")
    }

    /// How long one attempt may take.
    #[must_use]
    pub fn timeout_seconds(&self) -> u32 {
        match self {
            Self::Webhook(settings) => settings.timeout_seconds,
        }
    }

    /// The addresses deliveries go to, each with its pointer inside the settings: what the egress guard must allow.
    #[must_use]
    pub fn urls(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Webhook(settings) => vec![("url", &settings.url)],
        }
    }
}
