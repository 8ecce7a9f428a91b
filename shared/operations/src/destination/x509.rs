//! Describes a certificate for reads: its fingerprint and when it expires.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Returns what reads show of the first certificate in a PEM text; `None` if the text has no valid
/// certificate.
pub(super) fn described(pem: &str) -> Option<Value> {
    let certificates = egress::certificates(pem).ok()?;
    let first = certificates.first()?;
    let (_, parsed) = X509Certificate::from_der(first).ok()?;
    let digest = Sha256::digest(first.as_ref());
    let fingerprint: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    let not_after = domain::Timestamp::from_millis(
        parsed.validity().not_after.timestamp().saturating_mul(1000),
    );
    Some(
        json!({"set": true, "fingerprint": format!("SHA256:{}", fingerprint.join(":")),
            "not_after": not_after}),
    )
}
