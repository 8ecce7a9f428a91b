//! How a client authenticates (RFC 6749, §2.3.1). Most servers accept both methods, some only one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use domain::Timestamp;
use domain::id::OrganizationId;
use http::HeaderValue;
use secrecy::ExposeSecret as _;
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use crate::Client;
use crate::token_cache::Entries;

/// How long a client's method is remembered after it succeeded.
const REMEMBERED_FOR: Duration = Duration::from_hours(24);

/// Where a token request contains the client's id and secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientAuthentication {
    /// In the body, as form parameters.
    #[default]
    Body,
    /// In the `Authorization` header, by HTTP's Basic scheme.
    Basic,
}

impl ClientAuthentication {
    /// Returns the other method.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Body => Self::Basic,
            Self::Basic => Self::Body,
        }
    }

    /// Returns the `Authorization` header, if the client authenticates with one.
    pub(crate) fn header(self, client: &Client<'_>) -> Option<HeaderValue> {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let Self::Basic = self else { return None };
        let pair = Zeroizing::new(format!(
            "{}:{}",
            encoded(client.id),
            encoded(client.secret.expose_secret())
        ));
        let header = Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())));
        let mut header = HeaderValue::from_str(&header).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

/// The method that last succeeded, by the digest of the token request.
#[derive(Debug, Default)]
pub(crate) struct KnownMethods(Mutex<Entries<ClientAuthentication>>);

impl KnownMethods {
    pub(crate) fn get(
        &self,
        organization: OrganizationId,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> ClientAuthentication {
        let ways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ways.get(organization, digest, now)
            .map(|(way, _)| *way)
            .unwrap_or_default()
    }

    pub(crate) fn put(
        &self,
        organization: OrganizationId,
        digest: [u8; 32],
        way: ClientAuthentication,
        now: Timestamp,
    ) {
        let mut ways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ways.put(organization, digest, (way, now.plus(REMEMBERED_FOR)), now);
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn id_and_secret_are_form_encoded_before_they_are_basic() {
        let secret = SecretString::from("p:ä/+ ");
        let organization = domain::id::Ulid::first_at(domain::Timestamp::from_millis(7)).into();
        let client = Client {
            organization,
            token_url: "https://auth.example/token",
            id: "a:b",
            secret: &secret,
        };
        let header = ClientAuthentication::Basic.header(&client).unwrap();
        let pair = BASE64
            .decode(header.to_str().unwrap().strip_prefix("Basic ").unwrap())
            .unwrap();
        assert_eq!(pair, b"a%3Ab:p%3A%C3%A4%2F%2B+");
        assert!(header.is_sensitive());
        assert_eq!(ClientAuthentication::Body.header(&client), None);
    }
}
