//! Authorizations: a person consents that Waybill signs in to a mailbox for them (RFC 6749 §4.1,
//! with the proof of RFC 7636).
//!
//! A client **requests** one and gives its address to a person, who consents at the provider. The
//! provider sends the person's browser back with a code; the worker **exchanges** it for a refresh
//! token, which stays sealed here. Destinations name the authorization, and every token of theirs
//! is asked for with what it holds.
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

/// The length of the id of a client at its provider.
pub const CLIENT_ID_LENGTH: RangeInclusive<usize> = 1..=512;
/// The length of the secret of a client.
pub const CLIENT_SECRET_LENGTH: RangeInclusive<usize> = 1..=4096;
/// The length of the scopes that are requested.
pub const SCOPE_LENGTH: RangeInclusive<usize> = 1..=1024;
/// Mail servers of one authorization.
pub const MAIL_SERVERS_MAX: usize = 5;

/// The client's own secret is sealed under this name.
pub const CLIENT_SECRET: &str = "oauth2/client_secret";
/// What the challenge was made from.
pub const VERIFIER: &str = "oauth2/verifier";
/// What the person's browser brought back, on its way to the worker.
pub const CODE: &str = "oauth2/code";
/// What the provider gave.
pub const REFRESH_TOKEN: &str = "oauth2/refresh_token";

/// One consent, asked for or given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// Its id.
    pub id: AuthorizationId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// At whom.
    pub provider: Provider,
    /// Where codes and refresh tokens are exchanged for tokens.
    pub token_url: String,
    /// As whom Waybill asks.
    pub client_id: String,
    /// The proof, sealed as [`CLIENT_SECRET`].
    pub client_secret: Sealed,
    /// What is asked for.
    pub scope: Option<String>,
    /// The mail servers that its access tokens may be sent to: `host:port`, or `host` for any port.
    /// `None`: not decided yet; the first one that a token is to be sent to becomes the only one.
    #[serde(default)]
    pub mail_servers: Option<Vec<String>>,
    /// How far it is.
    pub consent: Consent,
    /// Counts its changes.
    pub revision: u64,
    /// When it was requested.
    pub created_at: Timestamp,
    /// Until when somebody may consent.
    pub expires_at: Timestamp,
}

/// How far an authorization is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Consent {
    /// Nobody has answered yet.
    Requested {
        /// SHA-256 of the secret part of `state`, lower-case hexadecimal.
        state_sha256: String,
        /// Sealed as [`VERIFIER`].
        verifier: Sealed,
        /// Where the provider sends the browser back to.
        redirect_uri: String,
    },
    /// Somebody has consented.
    Granted {
        /// Sealed as [`REFRESH_TOKEN`].
        refresh_token: Sealed,
    },
    /// Somebody, or the provider, has refused.
    Refused {
        /// In words; no secrets.
        detail: String,
    },
}

impl Authorization {
    /// Secrets are sealed for a destination; those of an authorization for one that has its number
    /// and is none.
    #[must_use]
    pub fn place(id: AuthorizationId) -> DestinationId {
        DestinationId::from(id.ulid())
    }

    /// Whether an access token may be sent to this mail server, `host:port` with the host
    /// normalized; `None` when that is not decided yet.
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

    /// The mail servers that its access tokens may be sent to, for people.
    #[must_use]
    pub fn mail_servers_in_words(&self) -> String {
        match &self.mail_servers {
            Some(listed) => listed.join(" or "),
            None => "the first mail server that a destination uses it with".to_owned(),
        }
    }

    /// The same, one step further.
    #[must_use]
    pub fn with(&self, consent: Consent) -> Self {
        Self {
            consent,
            revision: self.revision + 1,
            ..self.clone()
        }
    }
}

/// Whom a person consents at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Provider {
    /// Google Workspace and Gmail.
    Google,
    /// Microsoft 365 and Outlook.
    Microsoft,
    /// Another, whose addresses the client says.
    Custom,
}

/// What is known of a provider.
#[derive(Clone, Copy, Debug)]
pub struct ProviderFacts {
    /// Where a person consents.
    pub authorize_url: &'static str,
    /// Where codes are exchanged.
    pub token_url: &'static str,
    /// What sending mail by SMTP takes.
    pub scope: &'static str,
    /// The hosts of its addresses.
    pub hosts: &'static [&'static str],
    /// Its mail servers.
    pub mail_servers: &'static [&'static str],
    /// What it needs to be told to give a refresh token.
    pub parameters: &'static [(&'static str, &'static str)],
}

impl Provider {
    /// Every provider, by its name.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("google", Self::Google),
        ("microsoft", Self::Microsoft),
        ("custom", Self::Custom),
    ];

    /// As written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// What is known of it.
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

/// What the api asks the e-mail worker to exchange: the api seals, and opens nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExchangeRequest {
    /// Which code.
    pub exchange: Exchange,
}

/// A code on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exchange {
    /// Whose.
    pub organization_id: OrganizationId,
    /// For which authorization.
    pub authorization_id: AuthorizationId,
    /// Sealed as [`CODE`].
    pub code: Sealed,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeAnswer {
    /// Whether there is a refresh token now.
    pub granted: bool,
    /// Whether the same may be tried again.
    pub retry: bool,
    /// In words; no secrets.
    pub detail: String,
}

impl ExchangeAnswer {
    /// There is none.
    pub fn refused(retry: bool, detail: impl Into<String>) -> Self {
        Self {
            granted: false,
            retry,
            detail: detail.into(),
        }
    }
}
