//! What a client asks a token for (RFC 6749, RFC 7636).

use domain::id::OrganizationId;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use crate::client_authentication::ClientAuthentication;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Client<'c> {
    /// For whom: an organization's tokens are kept apart from the others', and are limited in number.
    pub organization: OrganizationId,
    /// Where.
    pub token_url: &'c str,
    /// As whom.
    pub id: &'c str,
    /// The proof.
    pub secret: &'c SecretString,
}

/// What the token is asked for with.
#[derive(Clone, Copy, Debug)]
pub enum Grant<'g> {
    /// RFC 6749 §4.4.
    ClientCredentials {
        /// What the token should be good for.
        scope: Option<&'g str>,
        /// Whom it should be good for, where the server asks for that.
        audience: Option<&'g str>,
    },
    /// RFC 6749 §6.
    RefreshToken(&'g SecretString),
    /// RFC 6749 §4.1.3, with the proof of RFC 7636.
    AuthorizationCode {
        /// What the person's browser brought back.
        code: &'g SecretString,
        /// What the challenge was made from.
        verifier: &'g SecretString,
        /// Where the browser was sent back to.
        redirect_uri: &'g str,
    },
}

impl Grant<'_> {
    /// The request's body.
    pub(crate) fn form(&self, client: &Client<'_>, authentication: ClientAuthentication) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        if authentication == ClientAuthentication::Body {
            form.append_pair("client_id", client.id).append_pair("client_secret", client.secret.expose_secret());
        }
        match self {
            Self::ClientCredentials { scope, audience } => {
                form.append_pair("grant_type", "client_credentials");
                for (name, value) in [("scope", scope), ("audience", audience)] {
                    if let Some(value) = value {
                        form.append_pair(name, value);
                    }
                }
            }
            Self::RefreshToken(token) => {
                form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token.expose_secret());
            }
            Self::AuthorizationCode { code, verifier, redirect_uri } => {
                form.append_pair("grant_type", "authorization_code").append_pair("code", code.expose_secret());
                form.append_pair("code_verifier", verifier.expose_secret()).append_pair("redirect_uri", redirect_uri);
            }
        }
        form.finish()
    }

    /// What tells this request's token from every other's: whoever gives another secret never meets the token of the right one.
    pub(crate) fn digest(&self, client: &Client<'_>) -> [u8; 32] {
        let form = self.form(client, ClientAuthentication::Body);
        Sha256::digest([client.token_url.as_bytes(), b"\0", form.as_bytes()].concat()).into()
    }
}
