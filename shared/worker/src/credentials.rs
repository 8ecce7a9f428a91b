//! Opens a destination's credentials for one attempt.

use domain::credentials::sealed_name;
use domain::destination::Destination;
use domain::id::OrganizationId;
use secrecy::SecretString;
use vault::{Recipient, Vault};

use crate::{ConnectorError, dependency};

/// The credentials of a destination. Each secret member is opened when it is requested.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'d> {
    vault: &'d Vault,
    destination: &'d Destination,
}

impl<'d> Opened<'d> {
    /// Creates the view of the credentials of `destination` that opens its secrets with `vault`.
    #[must_use]
    pub fn of(vault: &'d Vault, destination: &'d Destination) -> Self {
        Self { vault, destination }
    }

    /// Returns the organization that owns the destination.
    #[must_use]
    pub fn organization(&self) -> OrganizationId {
        self.destination.organization_id
    }

    /// Returns a member that is not secret.
    pub fn open(&self, name: &str) -> Result<&'d str, ConnectorError> {
        self.open_opt(name).ok_or_else(|| missing(name))
    }

    /// Returns a member that is not secret and may be absent.
    #[must_use]
    pub fn open_opt(&self, name: &str) -> Option<&'d str> {
        self.destination
            .credentials
            .open
            .get(name)
            .map(String::as_str)
    }

    /// Opens a secret member.
    pub async fn secret(&self, name: &str) -> Result<SecretString, ConnectorError> {
        self.secret_opt(name).await?.ok_or_else(|| missing(name))
    }

    /// Opens a secret member that may be absent.
    pub async fn secret_opt(&self, name: &str) -> Result<Option<SecretString>, ConnectorError> {
        let Some(field) = self.destination.credentials.secrets.get(name) else {
            return Ok(None);
        };
        let Destination {
            organization_id,
            id,
            ..
        } = self.destination;
        let recipient = Recipient::of(self.destination);
        let name = sealed_name(name);
        let opening = self
            .vault
            .open_for(&recipient, *organization_id, *id, &name, &field.sealed);
        Ok(Some(dependency(opening).await?))
    }
}

fn missing(name: &str) -> ConnectorError {
    ConnectorError::misconfigured(format!("the credentials have no {name}"))
}
