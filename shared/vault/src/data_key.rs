//! A data key, which KMS generates for one sealing and which encrypts its fields.

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, Key, KeyInit as _, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use domain::id::{DestinationId, OrganizationId};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::envelope::NONCE_BYTES;
use crate::{Recipient, VaultError};

const KEY_BYTES: usize = 32;

/// The record and field that a secret belongs to. It opens only there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecretContext<'a> {
    pub(crate) organization: OrganizationId,
    pub(crate) destination: DestinationId,
    pub(crate) field: &'a str,
    /// The server that the secret may be sent to, or `None` for secrets that are never sent and
    /// those sealed before recipients were recorded.
    pub(crate) recipient: Option<&'a Recipient>,
}

impl SecretContext<'_> {
    /// Returns the data that is authenticated together with the secret. Ids and digests contain no
    /// slash, so the text is different for every secret.
    pub(crate) fn binding(&self) -> String {
        let Self {
            organization,
            destination,
            field,
            recipient,
        } = self;
        match recipient {
            None => format!("{organization}/{destination}/{field}"),
            Some(recipient) => format!(
                "to/{}/{organization}/{destination}/{field}",
                BASE64.encode(recipient.digest())
            ),
        }
    }
}

/// A 256-bit key, which is wiped when it is dropped.
pub(crate) struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

impl DataKey {
    pub(crate) fn from_plaintext(plaintext: Vec<u8>) -> Result<Self, VaultError> {
        let plaintext = Zeroizing::new(plaintext);
        let key = <[u8; KEY_BYTES]>::try_from(&**plaintext)
            .map_err(|_| VaultError::Corrupt("its data key does not have 256 bits"))?;
        Ok(Self(Zeroizing::new(key)))
    }

    pub(crate) fn encrypt(
        &self,
        secret: &SecretString,
        nonce: [u8; NONCE_BYTES],
        context: SecretContext<'_>,
    ) -> Vec<u8> {
        let binding = context.binding();
        let payload = Payload {
            msg: secret.expose_secret().as_bytes(),
            aad: binding.as_bytes(),
        };
        self.cipher()
            .encrypt(&Nonce::from(nonce), payload)
            .expect("a secret is shorter than the 64 GiB that AES-GCM takes")
    }

    pub(crate) fn decrypt(
        &self,
        ciphertext: &[u8],
        nonce: [u8; NONCE_BYTES],
        context: SecretContext<'_>,
    ) -> Result<SecretString, VaultError> {
        let binding = context.binding();
        let plaintext = self.cipher().decrypt(
            &Nonce::from(nonce),
            Payload {
                msg: ciphertext,
                aad: binding.as_bytes(),
            },
        );
        let plaintext = plaintext
            .map_err(|_| VaultError::Corrupt("it was damaged, or sealed for another record"))?;
        let text = String::from_utf8(plaintext).map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            VaultError::Corrupt("it is not text")
        })?;
        Ok(SecretString::from(text))
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&Key::<Aes256Gcm>::from(*self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;
    use domain::id::Ulid;

    fn context(field: &str) -> SecretContext<'_> {
        let ulid = Ulid::first_at(Timestamp::from_millis(1_764_000_000_000));
        SecretContext {
            organization: ulid.into(),
            destination: ulid.into(),
            field,
            recipient: None,
        }
    }

    #[test]
    fn a_secret_can_be_opened_only_for_its_own_record() {
        let key = DataKey::from_plaintext(vec![7; KEY_BYTES]).unwrap();
        let ciphertext = key.encrypt(
            &"s3cret".into(),
            [1; NONCE_BYTES],
            context("credentials/token"),
        );
        assert_eq!(
            key.decrypt(&ciphertext, [1; NONCE_BYTES], context("credentials/token"))
                .unwrap()
                .expose_secret(),
            "s3cret"
        );
        assert!(
            key.decrypt(&ciphertext, [1; NONCE_BYTES], context("credentials/value"))
                .is_err()
        );
        assert!(
            key.decrypt(&ciphertext, [2; NONCE_BYTES], context("credentials/token"))
                .is_err()
        );
    }

    #[test]
    fn a_key_of_another_size_is_rejected() {
        assert!(DataKey::from_plaintext(vec![7; 16]).is_err());
    }
}
