//! Creates and verifies the `webhook-signature` header.

use crate::SigningKey;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The version of the scheme: a symmetric signature, HMAC-SHA256.
const VERSION: &str = "v1";
/// The length of a signature: a version, a comma and 32 bytes in base64.
const SIGNATURE_CHARS: usize = VERSION.len() + 1 + 44;
/// The largest number of signatures in one header that are checked. A rotation has at most five
/// valid keys.
const SIGNATURES_MAX: usize = 16;

/// The permitted difference between the request's time and the receiver's: the five minutes of the
/// official libraries.
pub const TOLERANCE_SECONDS: i64 = 300;

/// Returns the value of the header: `v1,<base64> v1,<base64> …`, one signature for each key in the
/// given order (newest first).
pub fn sign(keys: &[SigningKey], id: &str, timestamp_seconds: i64, body: &[u8]) -> String {
    let mut header = String::with_capacity(keys.len() * (SIGNATURE_CHARS + 1));
    for key in keys {
        if !header.is_empty() {
            header.push(' ');
        }
        header.push_str(VERSION);
        header.push(',');
        let signature = mac(key, id, timestamp_seconds, body)
            .finalize()
            .into_bytes();
        BASE64.encode_string(signature, &mut header);
    }
    header
}

/// The data with which a receiver verifies a request.
#[derive(Debug, Clone, Copy)]
pub struct Verification<'a> {
    /// The value of the `webhook-id` header.
    pub id: &'a str,
    /// The `webhook-timestamp` header in Unix seconds.
    pub timestamp_seconds: i64,
    /// The value of the `webhook-signature` header.
    pub signature: &'a str,
    /// The bytes of the received body.
    pub body: &'a [u8],
    /// The receiver's time in Unix seconds.
    pub now_seconds: i64,
    /// The permitted difference between the two times, such as [`TOLERANCE_SECONDS`].
    pub tolerance_seconds: i64,
}

/// Why a request is not accepted as genuine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The request's time is too far in the past, so it may have been replayed.
    #[error("the timestamp is too old")]
    TooOld,
    /// The request's time is too far in the future.
    #[error("the timestamp is in the future")]
    TooNew,
    /// No signature in the header was created with one of the keys for this id, time and body.
    #[error("no signature matches")]
    NoMatch,
}

/// Verifies that one of the keys signed this request. The comparison of signatures takes constant
/// time.
pub fn verify(keys: &[SigningKey], request: &Verification<'_>) -> Result<(), VerifyError> {
    let age_seconds = request
        .now_seconds
        .saturating_sub(request.timestamp_seconds);
    if age_seconds > request.tolerance_seconds {
        return Err(VerifyError::TooOld);
    }
    if age_seconds < request.tolerance_seconds.saturating_neg() {
        return Err(VerifyError::TooNew);
    }
    let signatures: Vec<Vec<u8>> = request
        .signature
        .split(' ')
        .take(SIGNATURES_MAX)
        .filter_map(parse_signature)
        .collect();
    let matches = keys.iter().any(|key| {
        let expected = mac(key, request.id, request.timestamp_seconds, request.body);
        signatures
            .iter()
            .any(|signature| expected.clone().verify_slice(signature).is_ok())
    });
    if matches {
        Ok(())
    } else {
        Err(VerifyError::NoMatch)
    }
}

fn parse_signature(text: &str) -> Option<Vec<u8>> {
    let (version, encoded) = text.split_once(',')?;
    if version != VERSION {
        return None;
    }
    BASE64.decode(encoded).ok()
}

fn mac(key: &SigningKey, id: &str, timestamp_seconds: i64, body: &[u8]) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.bytes()).expect("HMAC takes keys of any length");
    mac.update(id.as_bytes());
    mac.update(b".");
    mac.update(timestamp_seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac
}
