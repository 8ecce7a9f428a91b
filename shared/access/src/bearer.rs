//! The API key as clients send it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::id::{Id as _, KeyId, Ulid};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// The prefix of every key, by which scanners for leaked secrets recognize one.
const PREFIX: &str = "wbk_";
const ID_CHARACTERS: usize = 26;
/// 256 bits in base64url.
const SECRET_CHARACTERS: usize = 43;

/// A complete API key.
#[derive(Debug)]
pub(crate) struct Bearer {
    pub(crate) id: KeyId,
    secret: SecretString,
}

impl Bearer {
    /// Creates a key with this secret.
    pub(crate) fn new(id: KeyId, secret: [u8; 32]) -> Self {
        Self {
            id,
            secret: URL_SAFE_NO_PAD.encode(secret).into(),
        }
    }

    /// Reads an `Authorization` header (RFC 6750 §2.1; the scheme's case does not matter, RFC 9110
    /// §11.1).
    pub(crate) fn from_header(header: &str) -> Option<Self> {
        let (scheme, credentials) = header.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            Self::parse(credentials.trim_matches(' '))
        } else {
            None
        }
    }

    fn parse(text: &str) -> Option<Self> {
        // Split by position, because base64url contains `_`.
        let (id, rest) = text.strip_prefix(PREFIX)?.split_at_checked(ID_CHARACTERS)?;
        let secret = rest.strip_prefix('_')?;
        let well_formed = secret.len() == SECRET_CHARACTERS
            && secret
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        let id: Ulid = id.parse().ok()?;
        well_formed.then(|| Self {
            id: id.into(),
            secret: secret.into(),
        })
    }

    /// Returns the SHA-256 of the secret, lower-case hexadecimal, which is all that is stored of
    /// it.
    pub(crate) fn secret_sha256(&self) -> String {
        hex::encode(Sha256::digest(self.secret.expose_secret()))
    }

    /// Returns the last four characters of the secret.
    pub(crate) fn hint(&self) -> String {
        self.secret.expose_secret()[SECRET_CHARACTERS - 4..].to_owned()
    }

    /// Returns the text of the key.
    pub(crate) fn plaintext(&self) -> SecretString {
        format!("{PREFIX}{}_{}", self.id.ulid(), self.secret.expose_secret()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;

    fn bearer() -> Bearer {
        Bearer::new(
            Ulid::first_at(Timestamp::from_millis(1_764_000_000_000)).into(),
            [0xfb; 32],
        )
    }

    #[test]
    fn a_key_reads_back_from_its_header() {
        let plaintext = bearer().plaintext();
        let plaintext = plaintext.expose_secret();
        assert_eq!(plaintext.len(), 4 + 26 + 1 + 43);
        for header in [
            format!("Bearer {plaintext}"),
            format!("bearer  {plaintext} "),
        ] {
            let read = Bearer::from_header(&header).unwrap();
            assert_eq!(
                (read.id, read.secret_sha256(), read.hint()),
                (bearer().id, bearer().secret_sha256(), bearer().hint())
            );
        }
    }

    #[test]
    fn a_text_that_is_not_a_key_is_not_read() {
        let plaintext = bearer().plaintext();
        let good = plaintext.expose_secret();
        let bad = [
            String::new(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            good.to_owned(),
            format!("Basic {good}"),
            format!("Bearer {good}x"),
            format!("Bearer {}", &good[..good.len() - 1]),
            format!("Bearer {}", good.replace("wbk_", "wbx_")),
            format!("Bearer {}", good.to_uppercase()),
            format!("Bearer {}=", &good[..good.len() - 1]),
            "Bearer wbk_é".to_owned(),
            format!("Bearer wbk_{}", "é".repeat(35)),
        ];
        for header in bad {
            assert!(Bearer::from_header(&header).is_none(), "{header}");
        }
    }

    #[test]
    fn a_key_does_not_show_its_secret_when_debugged() {
        let bearer = bearer();
        assert!(!format!("{bearer:?}").contains(bearer.secret.expose_secret()));
    }
}
