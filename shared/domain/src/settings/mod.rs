//! The settings of each destination type. Each type has a file, and one enum contains all of them,
//! so that the compiler reports the code that a new type still requires.

mod address;
mod anchor;
pub mod database;
pub mod email;
mod kind;
mod lane;
pub mod sftp;
pub mod storage;
pub mod webhook;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use address::Address;
pub use anchor::{Anchor, NamedAnchor};
pub use kind::DestinationType;
pub use lane::{Lane, PerLane};

use crate::bounds::Bounds;
use crate::credentials::Decides;
use crate::input::{Fields, SchemaRecorder};
use database::{DatabaseSettings, Engine};
use email::EmailSettings;
use sftp::SftpSettings;
use storage::{AzureBlobSettings, GcsSettings, ObjectSettings, S3Settings};
use webhook::WebhookSettings;

/// The time limit of an attempt that consists of one request or one mail, in seconds.
pub const CALL_SECONDS: Bounds<u32> = Bounds::new(1, 60).with_default(15);
/// The time limit of an attempt that transfers a file, an object or rows, in seconds.
pub const TRANSFER_SECONDS: Bounds<u32> = Bounds::new(1, 600).with_default(300);
/// How long a mail server may take to confirm a message, in seconds. RFC 5321 §4.5.3.2.6 requires
/// this time; a client that gives up earlier sends messages again that the server has accepted.
pub const CONFIRMATION_SECONDS: u32 = 600;

/// Reads and describes the time limit of an attempt.
fn read_timeout(fields: &mut Fields<'_>, limit: Bounds<u32>) -> u32 {
    fields.describe("timeout_seconds", Decides::Nothing, || {
        let mut schema = limit.schema();
        schema["description"] = "How long an attempt may take as a whole, in seconds.".into();
        schema
    });
    limit
        .read(fields, "timeout_seconds")
        .unwrap_or(limit.default_value())
}

/// The settings of a destination. They contain no secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Settings {
    /// The settings of a webhook.
    Webhook(WebhookSettings),
    /// The settings of an e-mail destination.
    Email(EmailSettings),
    /// The settings of a bucket of Amazon S3 or of an S3-compatible store.
    S3(S3Settings),
    /// The settings of a bucket of Google Cloud Storage.
    Gcs(GcsSettings),
    /// The settings of a container of Azure Blob Storage.
    AzureBlob(AzureBlobSettings),
    /// The settings of a directory on an SFTP server.
    Sftp(SftpSettings),
    /// The settings of a table in PostgreSQL.
    Postgres(DatabaseSettings),
    /// The settings of a table in MySQL or MariaDB.
    Mysql(DatabaseSettings),
}

/// A template in the settings. It is compiled when the settings are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateText<'s> {
    /// The pointer to the template inside the settings.
    pub name: &'static str,
    /// The source of the template.
    pub source: &'s str,
    /// The kind of text that the template produces.
    pub makes: TemplateKind,
}

/// The kind of text that a template produces. It determines the limits of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateKind {
    /// A single line, such as a name, a key or a subject.
    Line,
    /// The text of a body.
    Text,
    /// The plain text of a mail. The template may use the variable `link`.
    MailText,
    /// The HTML of a mail, in which values are escaped. The template may use the variable `link`.
    MailHtml,
}

impl Settings {
    /// Reads the settings of a destination of the type `kind`.
    pub fn read(kind: DestinationType, fields: &mut Fields<'_>) -> Option<Self> {
        match kind {
            DestinationType::Webhook => WebhookSettings::read(fields).map(Self::Webhook),
            DestinationType::Email => EmailSettings::read(fields).map(Self::Email),
            DestinationType::S3 => S3Settings::read(fields).map(Self::S3),
            DestinationType::Gcs => GcsSettings::read(fields).map(Self::Gcs),
            DestinationType::AzureBlob => AzureBlobSettings::read(fields).map(Self::AzureBlob),
            DestinationType::Sftp => SftpSettings::read(fields).map(Self::Sftp),
            DestinationType::Postgres => {
                DatabaseSettings::read(Engine::Postgres, fields).map(Self::Postgres)
            }
            DestinationType::Mysql => {
                DatabaseSettings::read(Engine::Mysql, fields).map(Self::Mysql)
            }
        }
    }

    /// Returns the JSON Schema of the settings of the type `kind`, as their reader describes it.
    #[must_use]
    pub fn schema(kind: DestinationType) -> Value {
        SchemaRecorder::record(|fields| Self::read(kind, fields))
    }

    /// Returns the destination type of the settings.
    #[must_use]
    pub fn kind(&self) -> DestinationType {
        match self {
            Self::Webhook(_) => DestinationType::Webhook,
            Self::Email(_) => DestinationType::Email,
            Self::S3(_) => DestinationType::S3,
            Self::Gcs(_) => DestinationType::Gcs,
            Self::AzureBlob(_) => DestinationType::AzureBlob,
            Self::Sftp(_) => DestinationType::Sftp,
            Self::Postgres(_) => DestinationType::Postgres,
            Self::Mysql(_) => DestinationType::Mysql,
        }
    }

    /// Returns the settings as responses show them, without the type.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let json = match self {
            Self::Webhook(settings) => serde_json::to_value(settings),
            Self::Email(settings) => serde_json::to_value(settings),
            Self::S3(settings) => serde_json::to_value(settings),
            Self::Gcs(settings) => serde_json::to_value(settings),
            Self::AzureBlob(settings) => serde_json::to_value(settings),
            Self::Sftp(settings) => serde_json::to_value(settings),
            Self::Postgres(settings) | Self::Mysql(settings) => settings.to_json(),
        };
        json.expect("settings have string keys")
    }

    /// Returns the time limit of one attempt, in seconds.
    #[must_use]
    pub fn timeout_seconds(&self) -> u32 {
        match self {
            Self::Webhook(settings) => settings.timeout_seconds,
            Self::Email(settings) => settings.timeout_seconds,
            Self::Sftp(settings) => settings.timeout_seconds,
            Self::Postgres(settings) | Self::Mysql(settings) => settings.timeout_seconds,
            Self::S3(_) | Self::Gcs(_) | Self::AzureBlob(_) => self
                .object()
                .map_or(TRANSFER_SECONDS.default_value(), |object| {
                    object.timeout_seconds
                }),
        }
    }

    /// Returns the settings that all object stores share; `None` for other types.
    #[must_use]
    pub fn object(&self) -> Option<&ObjectSettings> {
        match self {
            Self::S3(settings) => Some(&settings.object),
            Self::Gcs(settings) => Some(&settings.object),
            Self::AzureBlob(settings) => Some(&settings.object),
            Self::Webhook(_)
            | Self::Email(_)
            | Self::Sftp(_)
            | Self::Postgres(_)
            | Self::Mysql(_) => None,
        }
    }

    /// Returns the settings that determine which server receives the secrets. The names are the
    /// same for all values of the settings.
    #[must_use]
    pub fn anchors(&self) -> Vec<NamedAnchor<'_>> {
        match self {
            Self::Webhook(settings) => settings.anchors(),
            Self::Email(settings) => settings.anchors(),
            Self::S3(settings) => settings.anchors(),
            Self::Gcs(settings) => settings.anchors(),
            Self::AzureBlob(settings) => settings.anchors(),
            Self::Sftp(settings) => settings.anchors(),
            Self::Postgres(settings) => settings.anchors(Engine::Postgres),
            Self::Mysql(settings) => settings.anchors(Engine::Mysql),
        }
    }

    /// Returns the addresses to which deliveries are sent, each with its pointer inside the
    /// settings. The egress guard must allow them.
    #[must_use]
    pub fn addresses(&self) -> Vec<(&'static str, Address<'_>)> {
        let address = |(name, anchor)| match anchor {
            Anchor::Address(Some(address)) => Some((name, address)),
            _ => None,
        };
        self.anchors().into_iter().filter_map(address).collect()
    }

    /// Returns the settings that are templates.
    #[must_use]
    pub fn templates(&self) -> Vec<TemplateText<'_>> {
        let line = |name, source| TemplateText {
            name,
            source,
            makes: TemplateKind::Line,
        };
        match self {
            Self::Postgres(_) | Self::Mysql(_) => Vec::new(),
            Self::Webhook(settings) => {
                let body = |source| TemplateText {
                    name: "body_template",
                    source,
                    makes: TemplateKind::Text,
                };
                settings
                    .body_template
                    .as_deref()
                    .map(body)
                    .into_iter()
                    .collect()
            }
            Self::Email(settings) => {
                let texts = [
                    (
                        "subject_template",
                        &settings.subject_template,
                        TemplateKind::Line,
                    ),
                    (
                        "text_template",
                        &settings.text_template,
                        TemplateKind::MailText,
                    ),
                    (
                        "html_template",
                        &settings.html_template,
                        TemplateKind::MailHtml,
                    ),
                ];
                texts
                    .into_iter()
                    .filter_map(|(name, source, makes)| {
                        source.as_deref().map(|source| TemplateText {
                            name,
                            source,
                            makes,
                        })
                    })
                    .collect()
            }
            Self::Sftp(settings) => {
                vec![
                    line("directory_template", &settings.directory_template),
                    line("filename_template", &settings.filename_template),
                ]
            }
            Self::S3(_) | Self::Gcs(_) | Self::AzureBlob(_) => self
                .object()
                .map(|object| line("key_template", object.key_template.as_str()))
                .into_iter()
                .collect(),
        }
    }
}
