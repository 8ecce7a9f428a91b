//! The parameters of a token request (RFC 6749, RFC 7636).

use domain::id::OrganizationId;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use crate::client_authentication::ClientAuthentication;

/// The client that requests a token.
#[derive(Clone, Copy, Debug)]
pub struct Client<'c> {
    /// The organization. Its tokens are kept separate from those of others, and are limited in
    /// number.
    pub organization: OrganizationId,
    /// The URL of the token endpoint.
    pub token_url: &'c str,
    /// The id of the client.
    pub id: &'c str,
    /// The secret of the client.
    pub secret: &'c SecretString,
}

/// The grant with which a token is requested.
#[derive(Clone, Copy, Debug)]
pub enum Grant<'g> {
    /// The client credentials grant (RFC 6749 §4.4).
    ClientCredentials {
        /// The scope to request, if any.
        scope: Option<&'g str>,
        /// The requested audience, if the server requires one.
        audience: Option<&'g str>,
    },
    /// A refresh token (RFC 6749 §6).
    RefreshToken(&'g SecretString),
    /// An authorization code (RFC 6749 §4.1.3), with the proof key of RFC 7636.
    AuthorizationCode {
        /// The code that the person's browser returned.
        code: &'g SecretString,
        /// The verifier from which the challenge was derived.
        verifier: &'g SecretString,
        /// The URI to which the browser was redirected.
        redirect_uri: &'g str,
    },
}

impl Grant<'_> {
    /// Returns the body of the request.
    pub(crate) fn form(&self, client: &Client<'_>, authentication: ClientAuthentication) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        if authentication == ClientAuthentication::Body {
            form.append_pair("client_id", client.id)
                .append_pair("client_secret", client.secret.expose_secret());
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
                form.append_pair("grant_type", "refresh_token")
                    .append_pair("refresh_token", token.expose_secret());
            }
            Self::AuthorizationCode {
                code,
                verifier,
                redirect_uri,
            } => {
                form.append_pair("grant_type", "authorization_code")
                    .append_pair("code", code.expose_secret());
                form.append_pair("code_verifier", verifier.expose_secret())
                    .append_pair("redirect_uri", redirect_uri);
            }
        }
        form.finish()
    }

    /// Returns a digest that identifies this token request. It includes the secret, so a request
    /// with another secret does not find the token.
    pub(crate) fn digest(&self, client: &Client<'_>) -> [u8; 32] {
        let form = self.form(client, ClientAuthentication::Body);
        Sha256::digest([client.token_url.as_bytes(), b"\0", form.as_bytes()].concat()).into()
    }
}
