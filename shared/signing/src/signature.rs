//! Making and checking the `webhook-signature` header.

use crate::SigningKey;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The version of the scheme: a symmetric signature, HMAC-SHA256.
const VERSION: &str = "v1";
/// A version, a comma and 32 bytes in base64.
const SIGNATURE_CHARS: usize = VERSION.len() + 1 + 44;
/// More signatures than this in one header are not looked at: a rotation leaves at most five live keys.
const SIGNATURES_MAX: usize = 16;

/// How far a receiver lets the request's time be from its own: the official libraries' five minutes.
pub const TOLERANCE_SECONDS: i64 = 300;

/// The header's value: `v1,<base64> v1,<base64> …`, one signature per key in the order given (newest first).
pub fn sign(keys: &[SigningKey], id: &str, timestamp_seconds: i64, body: &[u8]) -> String {
    let mut header = String::with_capacity(keys.len() * (SIGNATURE_CHARS + 1));
    for key in keys {
        if !header.is_empty() {
            header.push(' ');
        }
        header.push_str(VERSION);
        header.push(',');
        let signature = mac(key, id, timestamp_seconds, body).finalize().into_bytes();
        BASE64.encode_string(signature, &mut header);
    }
    header
}

/// What a receiver holds when it asks whether a request is genuine.
#[derive(Debug, Clone, Copy)]
pub struct Verification<'a> {
    /// The header `webhook-id`.
    pub id: &'a str,
    /// The header `webhook-timestamp`, Unix seconds.
    pub timestamp_seconds: i64,
    /// The header `webhook-signature`.
    pub signature: &'a str,
    /// The body's bytes as received.
    pub body: &'a [u8],
    /// The receiver's clock, Unix seconds.
    pub now_seconds: i64,
    /// How far the two times may be apart: [`TOLERANCE_SECONDS`].
    pub tolerance_seconds: i64,
}

/// Why a request is not taken for ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The request's time lies too far in the past: perhaps someone replays it.
    #[error("the timestamp is too old")]
    TooOld,
    /// The request's time lies too far in the future.
    #[error("the timestamp is in the future")]
    TooNew,
    /// No signature in the header was made by one of the keys for this id, time and body.
    #[error("no signature matches")]
    NoMatch,
}

/// Whether one of the keys signed this request. The comparison takes the same time wherever two signatures differ.
pub fn verify(keys: &[SigningKey], request: &Verification<'_>) -> Result<(), VerifyError> {
    let age_seconds = request.now_seconds.saturating_sub(request.timestamp_seconds);
    if age_seconds > request.tolerance_seconds {
        return Err(VerifyError::TooOld);
    }
    if age_seconds < request.tolerance_seconds.saturating_neg() {
        return Err(VerifyError::TooNew);
    }
    let signatures: Vec<Vec<u8>> = request.signature.split(' ').take(SIGNATURES_MAX).filter_map(parse_signature).collect();
    let matches = keys.iter().any(|key| {
        let expected = mac(key, request.id, request.timestamp_seconds, request.body);
        signatures.iter().any(|signature| expected.clone().verify_slice(signature).is_ok())
    });
    if matches { Ok(()) } else { Err(VerifyError::NoMatch) }
}

fn parse_signature(text: &str) -> Option<Vec<u8>> {
    let (version, encoded) = text.split_once(',')?;
    if version != VERSION {
        return None;
    }
    BASE64.decode(encoded).ok()
}

fn mac(key: &SigningKey, id: &str, timestamp_seconds: i64, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.bytes()).expect("HMAC takes keys of any length");
    mac.update(id.as_bytes());
    mac.update(b".");
    mac.update(timestamp_seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac
}
