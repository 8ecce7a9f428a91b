//! The types of destinations.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::database::Engine;
use super::{CALL_SECONDS, CONFIRMATION_SECONDS, Lane, TRANSFER_SECONDS};

/// The type of a destination.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DestinationType {
    /// An HTTP endpoint that receives requests.
    Webhook,
    /// One or several mailboxes.
    Email,
    /// A bucket of Amazon S3 or of an S3-compatible store.
    S3,
    /// A bucket of Google Cloud Storage.
    Gcs,
    /// A container of Azure Blob Storage.
    AzureBlob,
    /// A directory on an SFTP server.
    Sftp,
    /// A table in PostgreSQL.
    Postgres,
    /// A table in MySQL or MariaDB.
    Mysql,
}

impl DestinationType {
    /// Every type, with its name in JSON.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("webhook", Self::Webhook),
        ("email", Self::Email),
        ("s3", Self::S3),
        ("gcs", Self::Gcs),
        ("azure_blob", Self::AzureBlob),
        ("sftp", Self::Sftp),
        ("postgres", Self::Postgres),
        ("mysql", Self::Mysql),
    ];

    /// Returns the name used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the lane whose worker delivers to destinations of this type.
    #[must_use]
    pub fn lane(self) -> Lane {
        match self {
            Self::Webhook => Lane::Webhook,
            Self::Email => Lane::Email,
            Self::S3 | Self::Gcs | Self::AzureBlob => Lane::Storage,
            Self::Sftp => Lane::Sftp,
            Self::Postgres | Self::Mysql => Lane::Database,
        }
    }

    /// Returns the longest time that an attempt at a destination of this type may take, whatever its
    /// settings are.
    #[must_use]
    pub fn longest_attempt(self) -> Duration {
        let seconds = match self.lane() {
            Lane::Webhook => CALL_SECONDS.max,
            Lane::Email => CALL_SECONDS.max + CONFIRMATION_SECONDS,
            Lane::Storage | Lane::Sftp | Lane::Database => TRANSFER_SECONDS.max,
        };
        Duration::from_secs(seconds.into())
    }

    /// Returns the database engine; `None` for types that are not databases.
    #[must_use]
    pub fn engine(self) -> Option<Engine> {
        match self {
            Self::Postgres => Some(Engine::Postgres),
            Self::Mysql => Some(Engine::Mysql),
            Self::Webhook | Self::Email | Self::S3 | Self::Gcs | Self::AzureBlob | Self::Sftp => {
                None
            }
        }
    }
}
