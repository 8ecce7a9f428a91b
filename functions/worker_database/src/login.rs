//! The server, database and login of a delivery, combined from settings and credentials.

use domain::settings::database::connection_string::ConnectionString;
use domain::settings::database::{DatabaseSettings, Engine, TlsMode};
use egress::Host;
use secrecy::{ExposeSecret as _, SecretString};

use crate::credentials::Credentials;
use egress::Identity;
use worker::ConnectorError;

/// A server, a database on it and a login.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) engine: Engine,
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) database: String,
    pub(crate) username: String,
    /// The password, or `None` if a certificate authenticates the user.
    pub(crate) password: Option<SecretString>,
    /// Whether the password is a token that the server must receive unhashed: by MySQL's clear-text
    /// plugin, within TLS.
    pub(crate) is_token: bool,
    pub(crate) identity: Option<Identity>,
    pub(crate) ca_pem: Option<String>,
    pub(crate) tls: TlsMode,
    pub(crate) requires_channel_binding: bool,
}

impl Login {
    /// Describes a connection whose TLS handshake passed: what was verified depends on the mode.
    pub(crate) fn secured(&self) -> String {
        let host = &self.host;
        match self.tls {
            TlsMode::Require => {
                format!("the connection with {host} is encrypted; the certificate is not verified")
            }
            TlsMode::VerifyCa => {
                format!(
                    "the connection with {host} is encrypted and the certificate is accepted; its \
                     name is not verified"
                )
            }
            TlsMode::VerifyFull => format!(
                "the connection with {host} is encrypted and the certificate is valid for {host}"
            ),
        }
    }

    /// Combines settings and credentials. Both were validated when they were saved; a mismatch is
    /// reported as misconfigured.
    pub(crate) fn of(
        engine: Engine,
        settings: &DatabaseSettings,
        credentials: &Credentials,
    ) -> Result<Self, ConnectorError> {
        if let Credentials::ConnectionString {
            connection_string,
            ca_pem,
        } = credentials
        {
            let said = ConnectionString::parse(engine, connection_string.expose_secret());
            let said = said.map_err(|why| ConnectorError::misconfigured(why.to_string()))?;
            return Ok(Self {
                engine,
                host: host(&said.host)?,
                port: said.port,
                database: said.database,
                username: said.username,
                password: Some(said.password.into()),
                is_token: false,
                identity: None,
                ca_pem: ca_pem.clone(),
                tls: said.tls.unwrap_or(settings.tls).max(settings.tls),
                requires_channel_binding: said.requires_channel_binding,
            });
        }
        let missing =
            |name: &str| ConnectorError::misconfigured(format!("the settings have no {name}"));
        let login = Self {
            engine,
            host: host(settings.host.as_deref().ok_or_else(|| missing("host"))?)?,
            port: settings.port.unwrap_or(engine.port()),
            database: settings
                .database
                .clone()
                .ok_or_else(|| missing("database"))?,
            username: String::new(),
            password: None,
            is_token: false,
            identity: None,
            ca_pem: None,
            tls: settings.tls,
            requires_channel_binding: false,
        };
        login.with_login(credentials)
    }

    fn with_login(self, credentials: &Credentials) -> Result<Self, ConnectorError> {
        match credentials {
            Credentials::ConnectionString { .. } => Ok(self),
            Credentials::Password {
                username,
                password,
                ca_pem,
            } => Ok(Self {
                username: username.clone(),
                password: Some(password.clone()),
                ca_pem: ca_pem.clone(),
                ..self
            }),
            Credentials::Iam {
                username,
                token,
                ca_pem,
            } => Ok(Self {
                username: username.clone(),
                password: Some(token.clone()),
                is_token: true,
                ca_pem: ca_pem.clone(),
                ..self
            }),
            Credentials::ClientCertificate {
                username,
                certificate_pem,
                private_key_pem,
                ca_pem,
            } => {
                let identity = Identity::parse(certificate_pem, private_key_pem)
                    .map_err(|why| ConnectorError::misconfigured(why.to_string()))?;
                Ok(Self {
                    username: username.clone(),
                    identity: Some(identity),
                    ca_pem: ca_pem.clone(),
                    ..self
                })
            }
        }
    }

    /// Returns the URL of a table for records and receipts, without the user.
    pub(crate) fn url(&self, table: &impl std::fmt::Display) -> String {
        format!(
            "{}://{}:{}/{}/{table}",
            self.engine.as_str(),
            self.host.to_url_host(),
            self.port,
            self.database
        )
    }
}

fn host(text: &str) -> Result<Host, ConnectorError> {
    Host::parse(text).map_err(|refusal| {
        ConnectorError::misconfigured(format!("the host cannot be used: {refusal}"))
    })
}
