//! A signing secret: `whsec_` and the base64 of 24 to 64 bytes.

use std::ops::RangeInclusive;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString, zeroize::Zeroizing};

const PREFIX: &str = "whsec_";

/// The smallest size of a secret in bytes (Standard Webhooks, "Signature scheme").
pub const KEY_BYTES_MIN: usize = 24;
/// The largest size of a secret in bytes (Standard Webhooks, "Signature scheme").
pub const KEY_BYTES_MAX: usize = 64;
/// The size of a generated secret in bytes: the output size of HMAC-SHA256.
pub const KEY_BYTES_GENERATED: usize = 32;

/// The length of a secret as text: the prefix and the base64 of its bytes.
pub const TEXT_LENGTH: RangeInclusive<usize> =
    PREFIX.len() + base64_length(KEY_BYTES_MIN)..=PREFIX.len() + base64_length(KEY_BYTES_MAX);

const fn base64_length(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// A secret that signs a destination's requests. `Debug` is redacted, and the bytes are wiped when
/// it is dropped.
#[derive(Debug, Clone)]
pub struct SigningKey(SecretSlice<u8>);

/// Why a text is not a signing secret. The error does not contain the text, which may be a mistyped
/// secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text does not begin with `whsec_`.
    #[error("a signing secret begins with \"whsec_\"")]
    Prefix,
    /// The text after the prefix is not base64 (standard alphabet, padded).
    #[error("after \"whsec_\" a signing secret is base64 with padding")]
    Base64,
    /// The decoded secret is too short or too long.
    #[error("a signing secret holds {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes, this one {bytes}")]
    Length {
        /// The size of the decoded secret in bytes.
        bytes: usize,
    },
}

impl KeyError {
    /// Returns the machine-readable code of a validation error.
    pub fn code(self) -> &'static str {
        match self {
            Self::Prefix | Self::Base64 => "invalid_format",
            Self::Length { .. } => "invalid_length",
        }
    }
}

impl SigningKey {
    /// Parses a secret that a customer provides.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(KeyError::Prefix)?;
        let bytes = Zeroizing::new(BASE64.decode(encoded).map_err(|_| KeyError::Base64)?);
        if !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&bytes.len()) {
            return Err(KeyError::Length { bytes: bytes.len() });
        }
        Ok(Self(SecretSlice::from(bytes.to_vec())))
    }

    /// Generates a secret. `fill` must be a source of random bytes that is suitable for keys.
    pub fn generate(fill: impl FnOnce(&mut [u8])) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES_GENERATED]);
        fill(bytes.as_mut_slice());
        Self(SecretSlice::from(bytes.to_vec()))
    }

    /// Returns the secret as text, `whsec_…`, in order to seal it or to show it once.
    pub fn to_secret_string(&self) -> SecretString {
        let mut text = String::with_capacity(PREFIX.len() + KEY_BYTES_MAX * 2);
        text.push_str(PREFIX);
        BASE64.encode_string(self.bytes(), &mut text);
        SecretString::from(text)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }
}
