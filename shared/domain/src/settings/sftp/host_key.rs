//! A server's host key that a customer trusts, as `ssh-keyscan` or `ssh-keygen -l` shows it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};

/// A pinned host key. Keys are compared by their SHA-256 digest, whichever way they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey {
    written: String,
    algorithm: Option<String>,
    sha256: [u8; 32],
}

/// The error for a text that is not a host key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an OpenSSH public key (ssh-ed25519 AAAA…) or its fingerprint (SHA256:…)")]
pub struct HostKeyError;

impl HostKey {
    /// Parses a public key (`ssh-ed25519 AAAA… comment`, optionally preceded by the host, as in a
    /// `known_hosts` file) or a fingerprint `SHA256:…`.
    pub fn parse(text: &str) -> Result<Self, HostKeyError> {
        let text = text.trim();
        if text.lines().count() != 1 {
            return Err(HostKeyError);
        }
        let (algorithm, sha256) = match text.strip_prefix("SHA256:") {
            Some(encoded) => (None, fingerprint(encoded)?),
            None => public_key(text).map(|(algorithm, sha256)| (Some(algorithm), sha256))?,
        };
        Ok(Self {
            written: text.to_owned(),
            algorithm,
            sha256,
        })
    }

    /// Returns the type of the key, such as `ssh-ed25519`, if the text contains it.
    #[must_use]
    pub fn algorithm(&self) -> Option<&str> {
        self.algorithm.as_deref()
    }

    /// Returns whether `wire` is this key in its wire format (RFC 4253 §6.6).
    #[must_use]
    pub fn is(&self, wire: &[u8]) -> bool {
        self.sha256 == <[u8; 32]>::from(Sha256::digest(wire))
    }

    /// Returns the fingerprint `SHA256:…`, as OpenSSH shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(self.sha256))
    }
}

fn fingerprint(encoded: &str) -> Result<[u8; 32], HostKeyError> {
    let bytes = STANDARD_NO_PAD
        .decode(encoded.trim_end_matches('='))
        .map_err(|_| HostKeyError)?;
    bytes.try_into().map_err(|_| HostKeyError)
}

/// Finds the first two words of which the second is a base64-encoded key whose type is the first.
fn public_key(text: &str) -> Result<(String, [u8; 32]), HostKeyError> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let found = words.windows(2).take(2).find_map(|pair| {
        let wire = STANDARD.decode(pair[1]).ok()?;
        (algorithm_of(&wire)? == pair[0].as_bytes())
            .then(|| (pair[0].to_owned(), Sha256::digest(&wire).into()))
    });
    found.ok_or(HostKeyError)
}

/// Returns the type of a key, with which its wire format begins. The type must not be empty, and
/// data must follow it.
fn algorithm_of(wire: &[u8]) -> Option<&[u8]> {
    let (length, rest) = wire.split_first_chunk::<4>()?;
    let (name, key) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    (!name.is_empty() && !key.is_empty()).then_some(name)
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Serialize for HostKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

impl<'de> Deserialize<'de> for HostKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The published host key of github.com and its fingerprint.
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    const FINGERPRINT: &str = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU";

    #[test]
    fn a_key_and_its_fingerprint_are_the_same_key() {
        let key = HostKey::parse(KEY).unwrap();
        assert_eq!(
            (key.algorithm(), key.fingerprint().as_str()),
            (Some("ssh-ed25519"), FINGERPRINT)
        );
        let wire = STANDARD.decode(KEY.split(' ').nth(1).unwrap()).unwrap();
        for text in [
            KEY,
            FINGERPRINT,
            &format!("{KEY} somebody@somewhere"),
            &format!("github.com {KEY}"),
            &format!("  {FINGERPRINT}=\n"),
        ] {
            let pin = HostKey::parse(text).unwrap();
            assert!(pin.is(&wire) && !pin.is(&wire[1..]), "{text}");
            assert_eq!(pin.to_string(), text.trim());
        }
    }

    #[test]
    fn an_invalid_key_is_refused() {
        let long = format!("{KEY}\n{KEY}");
        let other_name = KEY.replacen("ssh-ed25519", "ssh-rsa", 1);
        for bad in [
            "",
            "SHA256:",
            "SHA256:abc",
            "MD5:16:27:ac",
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "AAAAC3NzaC1lZDI1NTE5",
            &long,
            &other_name,
        ] {
            assert_eq!(HostKey::parse(bad), Err(HostKeyError), "{bad}");
        }
    }
}
