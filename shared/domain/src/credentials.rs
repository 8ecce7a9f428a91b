//! Credentials: what Waybill authenticates with at a destination. The types in this module hold
//! secrets only as ciphertext.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Timestamp;

mod field;
mod kind;

pub use field::{CredentialField, Decides, Shape};
pub use kind::CredentialKind;

/// A secret as sealed by the vault. It can be opened only for the organization, destination and
/// field for which it was sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(
    /// The vault's envelope, in base64.
    pub String,
);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(…)")
    }
}

/// A stored secret: its ciphertext, and what responses may show of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretField {
    /// The ciphertext of the secret.
    pub sealed: Sealed,
    /// `…` and the last four characters of the secret, if it has at least 16 characters.
    pub hint: Option<String>,
    /// When the secret was last set.
    pub updated_at: Timestamp,
}

/// A destination's credentials as they are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The kind of the credentials.
    pub kind: CredentialKind,
    /// The values of the members that are not secret, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub open: BTreeMap<String, String>,
    /// The secret members, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretField>,
    /// Derived values that responses show in place of members that they do not show themselves,
    /// such as the server of a connection string or the validity of a certificate. They are
    /// computed when the members are set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shown: BTreeMap<String, Value>,
}

impl Credentials {
    /// Returns credentials of the kind [`CredentialKind::None`].
    #[must_use]
    pub fn none() -> Self {
        Self {
            kind: CredentialKind::None,
            open: BTreeMap::new(),
            secrets: BTreeMap::new(),
            shown: BTreeMap::new(),
        }
    }

    /// Returns the credentials as responses show them. Each secret is shown as `{"set": true,
    /// "hint", "updated_at"}`; the members of a group are nested in an object.
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

/// Inserts a member; the name `group/name` puts it into the object `group`. Only the first slash
/// separates; the rest of the text is the member's name.
fn put(members: &mut Map<String, Value>, name: &str, value: Value) {
    let Some((group, name)) = name.split_once('/') else {
        members.insert(name.to_owned(), value);
        return;
    };
    if let Value::Object(inner) = members.entry(group).or_insert_with(|| json!({})) {
        inner.insert(name.to_owned(), value);
    }
}

/// Returns the name under which a credential's secret is sealed. A secret that was sealed under
/// another name cannot be opened under this one.
#[must_use]
pub fn sealed_name(field: &str) -> String {
    format!("credentials/{field}")
}

/// Returns what responses show of a secret: `…` and its last four characters, or `None` if it has
/// fewer than 16 characters.
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
