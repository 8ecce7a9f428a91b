//! Credentials: what a destination demands before it takes a delivery. Secrets are ciphertext here,
//! always.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Timestamp;

mod field;
mod kind;

pub use field::{CredentialField, Decides, Shape};
pub use kind::CredentialKind;

/// A secret as the vault sealed it; it opens only for the organization, destination and field it
/// was sealed for.
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
    /// What reads show of members that do not show themselves: where a connection string leads, how
    /// long a certificate is valid. Worked out when they were given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shown: BTreeMap<String, Value>,
}

impl Credentials {
    /// No credentials.
    #[must_use]
    pub fn none() -> Self {
        Self {
            kind: CredentialKind::None,
            open: BTreeMap::new(),
            secrets: BTreeMap::new(),
            shown: BTreeMap::new(),
        }
    }

    /// As reads show them: secrets as `{"set": true, "hint", "updated_at"}`, members of an object
    /// inside it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut members = Map::new();
        members.insert("kind".to_owned(), self.kind.as_str().into());
        for (name, value) in &self.open {
            put(&mut members, name, value.as_str().into());
        }
        for (name, field) in &self.secrets {
            put(
                &mut members,
                name,
                json!({"set": true, "hint": field.hint, "updated_at": field.updated_at}),
            );
        }
        for (name, value) in &self.shown {
            put(&mut members, name, value.clone());
        }
        Value::Object(members)
    }
}

/// Puts a member in its place: `group/name` into the object `group`. What follows the first slash
/// is a name, whatever it holds.
fn put(members: &mut Map<String, Value>, name: &str, value: Value) {
    let Some((group, name)) = name.split_once('/') else {
        members.insert(name.to_owned(), value);
        return;
    };
    if let Value::Object(inner) = members.entry(group).or_insert_with(|| json!({})) {
        inner.insert(name.to_owned(), value);
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
    (characters.len() >= 16).then(|| {
        format!(
            "…{}",
            characters[characters.len() - 4..]
                .iter()
                .collect::<String>()
        )
    })
}
