//! Channel binding (RFC 5929, `tls-server-end-point`): ties the login to the certificate of this
//! TLS session.

use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// The object identifier of RSA's signature algorithms (PKCS #1) without its last byte.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
/// The object identifier of ECDSA with SHA-2 (ANSI X9.62) without its last byte.
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];

const TAG_SEQUENCE: u8 = 0x30;
const TAG_OBJECT_IDENTIFIER: u8 = 0x06;

/// Returns a certificate's hash by the hash function of its signature, or `None` if the signature
/// has no separate one (Ed25519) or states it elsewhere (PSS).
pub(super) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (family, hash) = signature_algorithm(certificate)?
        .split_last_chunk::<1>()
        .map(|(family, [hash])| (family, *hash))?;
    match (family, hash) {
        // RFC 5929 replaces MD5 and SHA-1 by SHA-256.
        (RSA, 4 | 5 | 11) | (ECDSA, 2) => Some(Sha256::digest(certificate).to_vec()),
        (RSA, 12) | (ECDSA, 3) => Some(Sha384::digest(certificate).to_vec()),
        (RSA, 13) | (ECDSA, 4) => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

/// Returns the identifier in `Certificate ::= SEQUENCE { tbsCertificate SEQUENCE,
/// signatureAlgorithm SEQUENCE { OBJECT IDENTIFIER …`.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = element(certificate, TAG_SEQUENCE)?;
    let (_, after) = element(certificate, TAG_SEQUENCE)?;
    let (algorithm, _) = element(after, TAG_SEQUENCE)?;
    element(algorithm, TAG_OBJECT_IDENTIFIER).map(|(identifier, _)| identifier)
}

/// Returns the content of a DER element and the bytes after it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    if *first != tag {
        return None;
    }
    let (length, rest) = match usize::from(*length) {
        short @ ..0x80 => (short, rest),
        long => {
            let (digits, rest) = rest
                .split_at_checked(long - 0x80)
                .filter(|(digits, _)| digits.len() <= 4)?;
            (
                digits
                    .iter()
                    .fold(0, |length, digit| (length << 8) | usize::from(*digit)),
                rest,
            )
        }
    };
    rest.split_at_checked(length)
}
