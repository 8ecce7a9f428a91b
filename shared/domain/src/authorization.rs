//! Authorizations: a user consents that Waybill signs in to a mailbox on their behalf (RFC 6749
//! §4.1, with the proof of RFC 7636).
//!
//! A client **requests** an authorization and gives its URL to a user, who consents at the
//! provider. The provider redirects the user's browser back with a code. The worker **exchanges**
//! the code for a refresh token, which is stored sealed in the authorization. Destinations refer to
//! the authorization, and their access tokens are requested with its refresh token.
//!
//! ```text
//! requested ── the code is exchanged ──▶ granted   (its refresh token is replaced when the provider changes it)
//!     └────── the person, or the provider, refuses ──▶ refused
//! ```

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::Timestamp;
use crate::credentials::Sealed;
use crate::id::{AuthorizationId, DestinationId, Id as _, OrganizationId};

/// The allowed length of the client's id at its provider.
pub const CLIENT_ID_LENGTH: RangeInclusive<usize> = 1..=512;
/// The allowed length of the client's secret.
pub const CLIENT_SECRET_LENGTH: RangeInclusive<usize> = 1..=4096;
/// The allowed length of the requested scopes.
pub const SCOPE_LENGTH: RangeInclusive<usize> = 1..=1024;
/// The maximum number of mail servers of one authorization.
pub const MAIL_SERVERS_MAX: usize = 5;

/// The name under which the client's secret is sealed.
pub const CLIENT_SECRET: &str = "oauth2/client_secret";
/// The name under which the code verifier is sealed (RFC 7636).
pub const VERIFIER: &str = "oauth2/verifier";
/// The name under which the authorization code is sealed on its way to the worker.
pub const CODE: &str = "oauth2/code";
/// The name under which the refresh token is sealed.
pub const REFRESH_TOKEN: &str = "oauth2/refresh_token";

/// A consent that was requested, granted or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// The identifier of the authorization.
    pub id: AuthorizationId,
    /// The organization that owns the authorization.
    pub organization_id: OrganizationId,
    /// The provider at which the user consents.
    pub provider: Provider,
    /// The URL at which codes and refresh tokens are exchanged for tokens.
    pub token_url: String,
    /// The id with which Waybill identifies itself as a client.
    pub client_id: String,
    /// The client's secret, sealed under the name [`CLIENT_SECRET`].
    pub client_secret: Sealed,
    /// The scopes that are requested.
    pub scope: Option<String>,
    /// The mail servers that the access tokens may be sent to, as `host:port`, or as `host` for any
    /// port. If it is `None`, the first mail server that a token is to be sent to becomes the only
    /// one.
    #[serde(default)]
    pub mail_servers: Option<Vec<String>>,
    /// The state of the consent.
    pub consent: Consent,
    /// The number of changes, on which writes are conditional.
    pub revision: u64,
    /// When the authorization was requested.
    pub created_at: Timestamp,
    /// The time until which the user may consent.
    pub expires_at: Timestamp,
}

/// The state of a consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Consent {
    /// The user has not answered yet.
    Requested {
        /// The SHA-256 digest of the secret part of `state`, in lower-case hexadecimal.
        state_sha256: String,
        /// The code verifier, sealed under the name [`VERIFIER`].
        verifier: Sealed,
        /// The URL to which the provider redirects the browser.
        redirect_uri: String,
    },
    /// The user has consented.
    Granted {
        /// The refresh token, sealed under the name [`REFRESH_TOKEN`].
        refresh_token: Sealed,
    },
    /// The user or the provider has refused.
    Refused {
        /// A description of the refusal without secrets.
        detail: String,
    },
}

impl Authorization {
    /// Returns the destination id for which the secrets of an authorization are sealed. It has the
    /// same number as the authorization; no destination with this id exists.
    #[must_use]
    pub fn sealing_id(id: AuthorizationId) -> DestinationId {
        DestinationId::from(id.ulid())
    }

    /// Returns whether an access token may be sent to this mail server (`host:port` with a
    /// normalized host); `None` if that has not been decided yet.
    #[must_use]
    pub fn admits(&self, mail_server: &str) -> Option<bool> {
        let host = mail_server
            .rsplit_once(':')
            .map_or(mail_server, |(host, _)| host);
        let admitted = |listed: &Vec<String>| {
            listed
                .iter()
                .any(|listed| listed == mail_server || listed == host)
        };
        self.mail_servers.as_ref().map(admitted)
    }

    /// Returns a text that lists the mail servers that the access tokens may be sent to.
    #[must_use]
    pub fn mail_servers_in_words(&self) -> String {
        match &self.mail_servers {
            Some(listed) => listed.join(" or "),
            None => "the first mail server that a destination uses it with".to_owned(),
        }
    }

    /// Returns the next revision of the authorization, with this state of the consent.
    #[must_use]
    pub fn with(&self, consent: Consent) -> Self {
        Self {
            consent,
            revision: self.revision + 1,
            ..self.clone()
        }
    }
}

/// The provider at which a user consents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Provider {
    /// The provider of Google Workspace and Gmail.
    Google,
    /// The provider of Microsoft 365 and Outlook.
    Microsoft,
    /// Another provider, whose URLs the client specifies.
    Custom,
}

/// The URLs and requirements of a known provider.
#[derive(Clone, Copy, Debug)]
pub struct ProviderFacts {
    /// The URL at which a user consents.
    pub authorize_url: &'static str,
    /// The URL at which codes are exchanged for tokens.
    pub token_url: &'static str,
    /// The scopes that are required to send mail by SMTP.
    pub scope: &'static str,
    /// The hosts that the URLs of the provider may have.
    pub hosts: &'static [&'static str],
    /// The mail servers of the provider.
    pub mail_servers: &'static [&'static str],
    /// The additional parameters with which the provider issues a refresh token.
    pub parameters: &'static [(&'static str, &'static str)],
}

impl Provider {
    /// Every provider, with its name.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("google", Self::Google),
        ("microsoft", Self::Microsoft),
        ("custom", Self::Custom),
    ];

    /// Returns the name used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the URLs and requirements of the provider; `None` for a custom one.
    #[must_use]
    pub fn facts(self) -> Option<ProviderFacts> {
        match self {
            Self::Google => Some(ProviderFacts {
                authorize_url: "https://accounts.google.com/o/oauth2/v2/auth",
                token_url: "https://oauth2.googleapis.com/token",
                scope: "https://mail.google.com/",
                hosts: &["accounts.google.com", "oauth2.googleapis.com"],
                mail_servers: &["smtp.gmail.com", "smtp-relay.gmail.com"],
                parameters: &[("access_type", "offline"), ("prompt", "consent")],
            }),
            Self::Microsoft => Some(ProviderFacts {
                authorize_url: "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
                token_url: "https://login.microsoftonline.com/common/oauth2/v2.0/token",
                scope: "https://outlook.office.com/SMTP.Send offline_access",
                hosts: &["login.microsoftonline.com"],
                mail_servers: &["smtp.office365.com", "smtp-mail.outlook.com"],
                parameters: &[("prompt", "select_account")],
            }),
            Self::Custom => None,
        }
    }
}

/// The request of the API to the e-mail worker to exchange a code. The API can seal secrets, but
/// cannot open them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExchangeRequest {
    /// The code and what it belongs to.
    pub exchange: Exchange,
}

/// An authorization code that is to be exchanged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exchange {
    /// The organization that owns the authorization.
    pub organization_id: OrganizationId,
    /// The authorization that the code belongs to.
    pub authorization_id: AuthorizationId,
    /// The authorization code, sealed under the name [`CODE`].
    pub code: Sealed,
}

/// The result of an exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeAnswer {
    /// Whether a refresh token was granted.
    pub granted: bool,
    /// Whether the same exchange may be tried again.
    pub retry: bool,
    /// A description of the result without secrets.
    pub detail: String,
}

impl ExchangeAnswer {
    /// Returns the result of an exchange that did not yield a refresh token.
    pub fn refused(retry: bool, detail: impl Into<String>) -> Self {
        Self {
            granted: false,
            retry,
            detail: detail.into(),
        }
    }
}
