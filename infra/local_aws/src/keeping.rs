//! The data directory, and the keys and secrets that are created on its first use.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::resources::{GenerateSecretString, KeySpec, SecretSpec, SecretValue};
use crate::snapshotted::Snapshotted;
use crate::{Durability, ServiceError, sqs};

/// Why the engines cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory cannot be created or written.
    #[error("the data directory {} cannot be written", dir.display())]
    DataDirectory {
        /// The path of the directory.
        dir: PathBuf,
        /// The cause of the failure.
        source: io::Error,
    },
    /// Another process uses the directory; two of them would overwrite each other's changes.
    #[error("the data directory {} is in use by another process", dir.display())]
    InUse {
        /// The path of the directory.
        dir: PathBuf,
    },
    /// The tables could not be opened or created.
    #[error("the tables cannot be opened: {0}")]
    DynamoDb(#[from] dynoxide::DynoxideError),
    /// The queues could not be opened or created.
    #[error("the queues cannot be opened")]
    Sqs(#[from] sqs::OpenError),
    /// The folder of the buckets could not be opened.
    #[error("the buckets cannot be opened: {0:?}")]
    S3(s3s_fs::Error),
    /// A snapshot of keys or secrets could not be read.
    #[error("{} cannot be read", file.display())]
    Snapshot {
        /// The path of the snapshot file.
        file: PathBuf,
        /// The cause of the failure.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A key or secret could not be created.
    #[error("{what} cannot be created")]
    Create {
        /// The key or secret.
        what: String,
        /// The refusal of the service.
        source: ServiceError,
    },
    /// The operating system provided no random bytes.
    #[error("the operating system provides no random bytes: {0}")]
    Random(getrandom::Error),
}

impl From<s3s_fs::Error> for OpenError {
    fn from(error: s3s_fs::Error) -> Self {
        Self::S3(error)
    }
}

/// Creates the directory, readable by its owner only. For durable data, the directory is locked as
/// long as the returned file is open.
pub(crate) fn take(dir: &Path, durability: Durability) -> Result<Option<File>, OpenError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let refused = |source| OpenError::DataDirectory {
        dir: dir.to_owned(),
        source,
    };
    builder.create(dir).map_err(refused)?;
    let lock = File::create(dir.join("lock")).map_err(refused)?;
    if durability == Durability::Memory {
        return Ok(None);
    }
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            dir: dir.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(refused(source)),
    }
}

/// Returns a random secret for this run.
#[allow(
    clippy::disallowed_methods,
    reason = "it decides nothing that a simulation could see: it only signs"
)]
pub(crate) fn random_hex() -> Result<String, OpenError> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).map_err(OpenError::Random)?;
    Ok(hex::encode(bytes))
}

/// Finds or creates the keys by their aliases, and returns their ids by name.
pub(crate) fn ensure_keys(
    kms: &Snapshotted,
    keys: &[KeySpec],
) -> Result<BTreeMap<String, String>, OpenError> {
    let ensure = |key: &KeySpec| {
        let alias = format!("alias/{}", key.name);
        let id = match kms.ask("DescribeKey", &json!({"KeyId": alias})) {
            Ok(described) => text(&described["KeyMetadata"]["KeyId"]),
            Err(_) => {
                let created = kms.ask("CreateKey", &json!({"Description": key.name}))?;
                let id = text(&created["KeyMetadata"]["KeyId"]);
                kms.ask(
                    "CreateAlias",
                    &json!({"AliasName": alias, "TargetKeyId": id}),
                )?;
                id
            }
        };
        Ok((key.name.clone(), id))
    };
    let what = |name: &str| format!("the key {name}");
    keys.iter()
        .map(|key| {
            ensure(key).map_err(|source| OpenError::Create {
                what: what(&key.name),
                source,
            })
        })
        .collect()
}

/// A secret of [`Resources`](crate::Resources) that was found or created.
#[derive(Debug)]
pub(crate) struct EnsuredSecret {
    pub(crate) arn: String,
    /// Whether this opening created the secret.
    pub(crate) is_new: bool,
}

/// Finds or creates the secrets, and returns them by name.
pub(crate) fn ensure_secrets(
    service: &Snapshotted,
    secrets: &[SecretSpec],
) -> Result<BTreeMap<String, EnsuredSecret>, OpenError> {
    let ensure = |secret: &SecretSpec| {
        let mut is_new = false;
        let described = match service.ask("DescribeSecret", &json!({"SecretId": secret.name})) {
            Ok(described) => {
                if let Some(SecretValue::Given(value)) = &secret.value {
                    service.ask(
                        "PutSecretValue",
                        &json!({"SecretId": secret.name, "SecretString": value}),
                    )?;
                }
                described
            }
            Err(_) => {
                let mut request = json!({"Name": secret.name});
                if let Some(value) = &secret.value {
                    request["SecretString"] = Value::String(match value {
                        SecretValue::Generated(generate) => generated(service, generate)?,
                        SecretValue::Given(value) => value.clone(),
                    });
                }
                is_new = true;
                service.ask("CreateSecret", &request)?
            }
        };
        Ok((
            secret.name.clone(),
            EnsuredSecret {
                arn: text(&described["ARN"]),
                is_new,
            },
        ))
    };
    let what = |name: &str| format!("the secret {name}");
    secrets
        .iter()
        .map(|secret| {
            ensure(secret).map_err(|source| OpenError::Create {
                what: what(&secret.name),
                source,
            })
        })
        .collect()
}

fn generated(
    service: &Snapshotted,
    generate: &GenerateSecretString,
) -> Result<String, ServiceError> {
    let request = json!({"PasswordLength": generate.length,
        "ExcludePunctuation": generate.exclude_punctuation});
    let random = text(&service.ask("GetRandomPassword", &request)?["RandomPassword"]);
    let Some(key) = &generate.key else {
        return Ok(random);
    };
    let template = generate.template.as_deref().unwrap_or("{}");
    let mut object: Value = serde_json::from_str(template)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| {
            ServiceError::new(
                400,
                "InvalidParameterException",
                "SecretStringTemplate is not a JSON object",
            )
        })?;
    object[key] = Value::String(random);
    Ok(object.to_string())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
