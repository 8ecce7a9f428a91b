//! The destination types.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::Lane;
use super::database::Engine;

/// The destination types.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DestinationType {
    /// An HTTP endpoint.
    Webhook,
    /// Mailboxes.
    Email,
    /// A bucket of Amazon S3, or of a store that speaks its protocol.
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
    /// Every type, by its name in JSON.
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

    /// As written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Which worker delivers to it.
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

    /// Which database speaks, of those that are one.
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
