//! Credentials: what a destination demands before it takes a delivery. Secrets are ciphertext here, always.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Timestamp;

/// A secret as the vault sealed it; it opens only for the organization, destination and field it was sealed for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(
    /// The vault's envelope, base64.
    pub String,
);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(…)")
    }
}

/// How a destination is authenticated with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// Not at all: the signature vouches.
    None,
    /// A header with a secret value.
    ApiKey,
    /// `Authorization: Bearer`.
    Bearer,
    /// `Authorization: Basic`.
    Basic,
}

/// One member of a kind of credentials.
#[derive(Clone, Copy, Debug)]
pub struct CredentialField {
    /// Its name in JSON.
    pub name: &'static str,
    /// Secrets are sealed and never read back.
    pub secret: bool,
    /// The longest value, in characters.
    pub max: usize,
}

const fn open(name: &'static str, max: usize) -> CredentialField {
    CredentialField { name, secret: false, max }
}

const fn secret(name: &'static str, max: usize) -> CredentialField {
    CredentialField { name, secret: true, max }
}

impl CredentialKind {
    /// The kinds a webhook takes, by their names.
    pub const WEBHOOK: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("api_key", Self::ApiKey), ("bearer", Self::Bearer), ("basic", Self::Basic)];

    /// As written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ApiKey => "api_key",
            Self::Bearer => "bearer",
            Self::Basic => "basic",
        }
    }

    /// Its members, all of them required.
    #[must_use]
    pub fn fields(self) -> &'static [CredentialField] {
        const API_KEY: &[CredentialField] = &[open("header", 100), secret("value", 4096)];
        const BEARER: &[CredentialField] = &[secret("token", 4096)];
        const BASIC: &[CredentialField] = &[open("username", 255), secret("password", 1024)];
        match self {
            Self::None => &[],
            Self::ApiKey => API_KEY,
            Self::Bearer => BEARER,
            Self::Basic => BASIC,
        }
    }
}

/// A stored secret: ciphertext, and what reads may show of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretField {
    /// The ciphertext.
    pub sealed: Sealed,
    /// `…` and the last four characters, for secrets of at least 16.
    pub hint: Option<String>,
    /// When it was last set.
    pub updated_at: Timestamp,
}

/// A destination's credentials as they are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Which kind.
    pub kind: CredentialKind,
    /// The members that are not secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub open: BTreeMap<String, String>,
    /// The members that are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretField>,
}

impl Credentials {
    /// No credentials.
    #[must_use]
    pub fn none() -> Self {
        Self { kind: CredentialKind::None, open: BTreeMap::new(), secrets: BTreeMap::new() }
    }

    /// As reads show them: secrets as `{"set": true, "hint", "updated_at"}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut members = Map::new();
        members.insert("kind".to_owned(), self.kind.as_str().into());
        for (name, value) in &self.open {
            members.insert(name.clone(), value.as_str().into());
        }
        for (name, field) in &self.secrets {
            members.insert(name.clone(), json!({"set": true, "hint": field.hint, "updated_at": field.updated_at}));
        }
        Value::Object(members)
    }
}

/// The name a credential's secret is sealed under: moved to another field it does not open.
#[must_use]
pub fn sealed_name(field: &str) -> String {
    format!("credentials/{field}")
}

/// What reads show of a secret: its last four characters when it has at least 16.
#[must_use]
pub fn hint(secret: &str) -> Option<String> {
    let characters: Vec<char> = secret.chars().collect();
    (characters.len() >= 16).then(|| format!("…{}", characters[characters.len() - 4..].iter().collect::<String>()))
}
