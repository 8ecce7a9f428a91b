//! The deployment's own keys, derived from one root in Secrets Manager.

use std::fmt;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

use crate::VaultError;

/// A root shorter than this was not made by the template.
const ROOT_CHARS_MIN: usize = 32;

/// Keys that vouch for what Waybill hands out. They never change: every id and link ever issued relies on them.
#[derive(Clone)]
pub struct SigningKeys {
    /// Tags ids with their organization.
    pub id_key: [u8; 32],
    /// Signs list cursors.
    pub cursor_key: [u8; 32],
    /// Signs links to payloads and mails.
    pub link_key: [u8; 32],
    /// Signs console sessions.
    pub session_key: [u8; 32],
}

impl SigningKeys {
    /// Reads the root from the secret, a JSON object with the member `root`, and derives the keys.
    pub async fn load(aws: &SdkConfig, arn: &str) -> Result<Self, VaultError> {
        let text = own_secret(aws, arn).await?;
        let mut parsed = serde_json::from_str::<Value>(&text).map_err(|_| VaultError::Corrupt("the signing keys' secret is not JSON"))?;
        match parsed.get_mut("root").map(Value::take) {
            Some(Value::String(root)) if root.len() >= ROOT_CHARS_MIN => Ok(Self::derive(&Zeroizing::new(root))),
            _ => Err(VaultError::Corrupt("the signing keys' secret has no `root` of at least 32 characters")),
        }
    }

    fn derive(root: &str) -> Self {
        // HKDF's expand step (RFC 5869, 2.3) for one block: a label of its own makes each key independent of the others.
        let key = |label: &str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(root.as_bytes()).expect("HMAC takes a key of any length");
            mac.update(label.as_bytes());
            mac.update(&[1]);
            mac.finalize().into_bytes().into()
        };
        Self {
            id_key: key("waybill/id"),
            cursor_key: key("waybill/cursor"),
            link_key: key("waybill/link"),
            session_key: key("waybill/session"),
        }
    }
}

/// Reads a secret of the deployment's own.
pub async fn own_secret(aws: &SdkConfig, arn: &str) -> Result<Zeroizing<String>, VaultError> {
    let read = Client::new(aws).get_secret_value().secret_id(arn).send().await;
    let read = read.map_err(VaultError::unavailable("Secrets Manager", "read a secret of the deployment's"))?;
    read.secret_string.map(Zeroizing::new).ok_or_else(|| VaultError::Missing { arn: arn.to_owned() })
}

impl Drop for SigningKeys {
    fn drop(&mut self) {
        self.id_key.zeroize();
        self.cursor_key.zeroize();
        self.link_key.zeroize();
        self.session_key.zeroize();
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKeys")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ids already issued carry tags made with this derivation.
    #[test]
    fn the_derivation_never_changes() {
        let keys = SigningKeys::derive("0123456789012345678901234567890123456789012345678901234567890123");
        let hex = |key: [u8; 32]| key[..4].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!([hex(keys.id_key), hex(keys.cursor_key), hex(keys.link_key)], ["c5ea39a1", "5cc3c312", "2927a4c8"]);
    }
}
