//! How a client proves who it is (RFC 6749, §2.3.1): most servers take both ways, some only one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::HeaderValue;
use secrecy::ExposeSecret as _;
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use crate::Client;

/// Clients whose way is remembered at a time.
const REMEMBERED_MAX: usize = 2000;

/// Where a request for a token has the client's id and secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientAuthentication {
    /// In the body.
    #[default]
    Body,
    /// In the `Authorization` header, by HTTP's Basic scheme.
    Basic,
}

impl ClientAuthentication {
    /// The other way.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Body => Self::Basic,
            Self::Basic => Self::Body,
        }
    }

    /// The `Authorization` header, where the client is named in one.
    pub(crate) fn header(self, client: &Client<'_>) -> Option<HeaderValue> {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let Self::Basic = self else { return None };
        let pair = Zeroizing::new(format!("{}:{}", encoded(client.id), encoded(client.secret.expose_secret())));
        let header = Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())));
        let mut header = HeaderValue::from_str(&header).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

/// The way that worked last, by the digest of what a token is asked for with.
#[derive(Debug, Default)]
pub(crate) struct Ways(Mutex<HashMap<[u8; 32], ClientAuthentication>>);

impl Ways {
    pub(crate) fn get(&self, digest: &[u8; 32]) -> ClientAuthentication {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).copied().unwrap_or_default()
    }

    pub(crate) fn put(&self, digest: [u8; 32], way: ClientAuthentication) {
        let mut ways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ways.len() >= REMEMBERED_MAX {
            ways.clear();
        }
        ways.insert(digest, way);
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
        let client = Client { organization, token_url: "https://auth.example/token", id: "a:b", secret: &secret };
        let header = ClientAuthentication::Basic.header(&client).unwrap();
        let pair = BASE64.decode(header.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(pair, b"a%3Ab:p%3A%C3%A4%2F%2B+");
        assert!(header.is_sensitive());
        assert_eq!(ClientAuthentication::Body.header(&client), None);
    }
}
