//! The format of a sealed secret, which contains everything needed to open it except the permission
//! to use its key.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use domain::credentials::Sealed;

use crate::VaultError;

/// AES-256-GCM with a KMS data key, bound to organization, destination and field. Records are kept
/// for years, so a new format gets a new number and this one stays readable.
const FOR_A_RECORD: u8 = 1;
/// The same format, bound to the recipient too.
const FOR_A_RECIPIENT: u8 = 2;
pub(crate) const NONCE_BYTES: usize = 12;

/// A parsed sealed secret: version byte, length of the wrapped key (two bytes, big-endian), wrapped
/// key, nonce, ciphertext with tag.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// Whether it opens only for its recipient.
    pub(crate) has_recipient: bool,
    /// The data key, encrypted by KMS.
    pub(crate) wrapped_key: Vec<u8>,
    /// The nonce, which is never used twice with one data key.
    pub(crate) nonce: [u8; NONCE_BYTES],
    /// The encrypted secret with its tag.
    pub(crate) ciphertext: Vec<u8>,
}

impl Envelope {
    pub(crate) fn to_sealed(&self) -> Sealed {
        let key_length = u16::try_from(self.wrapped_key.len())
            .expect("KMS ciphertext blobs have at most 6144 bytes");
        let mut bytes =
            Vec::with_capacity(3 + self.wrapped_key.len() + NONCE_BYTES + self.ciphertext.len());
        bytes.push(if self.has_recipient {
            FOR_A_RECIPIENT
        } else {
            FOR_A_RECORD
        });
        bytes.extend(key_length.to_be_bytes());
        bytes.extend(&self.wrapped_key);
        bytes.extend(self.nonce);
        bytes.extend(&self.ciphertext);
        Sealed(BASE64.encode(bytes))
    }

    pub(crate) fn read(sealed: &Sealed) -> Result<Self, VaultError> {
        let bytes = BASE64
            .decode(&sealed.0)
            .map_err(|_| VaultError::Corrupt("it is not base64"))?;
        let short = || VaultError::Corrupt("its end is missing");
        let (version, rest) = bytes.split_first().ok_or_else(short)?;
        let has_recipient = match *version {
            FOR_A_RECORD => false,
            FOR_A_RECIPIENT => true,
            _ => return Err(VaultError::Corrupt("its format is unknown")),
        };
        let (key_length, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
        let (wrapped_key, rest) = rest
            .split_at_checked(u16::from_be_bytes(*key_length).into())
            .ok_or_else(short)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(short)?;
        Ok(Self {
            has_recipient,
            wrapped_key: wrapped_key.to_vec(),
            nonce: *nonce,
            ciphertext: ciphertext.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        Envelope {
            has_recipient: true,
            wrapped_key: vec![7; 184],
            nonce: [9; NONCE_BYTES],
            ciphertext: vec![1, 2, 3],
        }
    }

    #[test]
    fn it_reads_back() {
        assert_eq!(Envelope::read(&envelope().to_sealed()).unwrap(), envelope());
    }

    #[test]
    fn the_first_form_stays_readable() {
        let stored = Sealed("AQACqrsBAgMEBQYHCAkKCwzd7v8=".to_owned());
        let expected = Envelope {
            has_recipient: false,
            wrapped_key: vec![0xaa, 0xbb],
            nonce: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
            ciphertext: vec![0xdd, 0xee, 0xff],
        };
        assert_eq!(Envelope::read(&stored).unwrap(), expected);
    }

    #[test]
    fn a_truncated_or_unknown_envelope_is_refused() {
        let bytes = BASE64.decode(envelope().to_sealed().0).unwrap();
        for end in [0, 1, 2, 3, 100, 186, 198] {
            assert!(
                Envelope::read(&Sealed(BASE64.encode(&bytes[..end]))).is_err(),
                "{end}"
            );
        }
        assert!(Envelope::read(&Sealed(BASE64.encode([&[3], &bytes[1..]].concat()))).is_err());
        assert!(Envelope::read(&Sealed("whsec_?".to_owned())).is_err());
    }
}
