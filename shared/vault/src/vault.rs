//! Seals, opens and reads secrets.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_kms::Client as Kms;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use aws_sdk_secretsmanager::Client as SecretsManager;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use domain::credentials::Sealed;
use domain::id::{DestinationId, OrganizationId};
use domain::secret_arn::SecretArn;
use domain::signing_secret::SecretRole;
use domain::{Clock, Random};
use roles::{NotAssumed, Purpose};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::cache::Cache;
use crate::data_key::{DataKey, SecretContext};
use crate::envelope::Envelope;
use crate::{Confidential, Recipient, VaultError};

/// The tag of a secret in Secrets Manager that names the organization that owns it.
pub const ORGANIZATION_TAG: &str = "waybill:organization";

/// How long a secret is cached after it was opened or read. A change in Secrets Manager therefore
/// takes effect within five minutes. A change through Waybill has another ciphertext
/// and takes effect immediately.
const CACHED_FOR: Duration = Duration::from_secs(240);
/// How many opened secrets are cached.
const OPENED_MAX: usize = 4096;
/// How many read secrets are cached.
const REFERENCED_MAX: usize = 1024;

const KMS: &str = "KMS";
const SECRETS_MANAGER: &str = "Secrets Manager";

/// Seals, opens and reads secrets. Cloning it is cheap; clones share the cache.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    aws: SdkConfig,
    kms: Kms,
    secrets_manager: SecretsManager,
    kms_key_id: Option<String>,
    clock: Clock,
    random: Random,
    /// Opened secrets by the digest of ciphertext and context.
    opened: Cache<[u8; 32]>,
    /// Read secrets by ARN and the role that reads them.
    referenced: Cache<(String, Option<String>)>,
}

impl Vault {
    /// Creates a vault. It can seal only if it has a KMS key.
    #[must_use]
    pub fn new(aws: &SdkConfig, kms_key_id: Option<String>, clock: Clock, random: Random) -> Self {
        Self(Arc::new(Inner {
            aws: aws.clone(),
            kms: Kms::new(aws),
            secrets_manager: SecretsManager::new(aws),
            kms_key_id,
            clock,
            random,
            opened: Cache::new(OPENED_MAX, CACHED_FOR),
            referenced: Cache::new(REFERENCED_MAX, CACHED_FOR),
        }))
    }

    /// Seals one secret for one field of a destination.
    pub async fn seal(
        &self,
        organization: OrganizationId,
        destination: DestinationId,
        field: &str,
        secret: &SecretString,
    ) -> Result<Sealed, VaultError> {
        let mut sealed = self
            .seal_all(organization, destination, &[(field, secret.clone())])
            .await?;
        Ok(sealed.remove(0))
    }

    /// Seals several fields of a destination with one data key, and returns them in order. Each
    /// opens only as the field that it was sealed for.
    pub async fn seal_all(
        &self,
        organization: OrganizationId,
        destination: DestinationId,
        fields: &[(&str, SecretString)],
    ) -> Result<Vec<Sealed>, VaultError> {
        self.sealed(
            SecretContext {
                organization,
                destination,
                field: "",
                recipient: None,
            },
            fields,
        )
        .await
    }

    /// Seals credentials of a destination like [`Vault::seal_all`], for one recipient. They open
    /// for no other.
    pub async fn seal_for(
        &self,
        recipient: &Recipient,
        organization: OrganizationId,
        destination: DestinationId,
        fields: &[(&str, SecretString)],
    ) -> Result<Vec<Sealed>, VaultError> {
        self.sealed(
            SecretContext {
                organization,
                destination,
                field: "",
                recipient: Some(recipient),
            },
            fields,
        )
        .await
    }

    async fn sealed(
        &self,
        context: SecretContext<'_>,
        fields: &[(&str, SecretString)],
    ) -> Result<Vec<Sealed>, VaultError> {
        if fields.is_empty() {
            return Ok(Vec::new());
        }
        let (key, wrapped_key) = self
            .new_data_key(context.organization, context.destination)
            .await?;
        let seal = |(field, secret): &(&str, SecretString)| {
            let nonce = self.0.random.bytes();
            let ciphertext = key.encrypt(secret, nonce, SecretContext { field, ..context });
            let has_recipient = context.recipient.is_some();
            Envelope {
                has_recipient,
                wrapped_key: wrapped_key.clone(),
                nonce,
                ciphertext,
            }
            .to_sealed()
        };
        Ok(fields.iter().map(seal).collect())
    }

    /// Opens a sealed secret, only for the organization, destination and field that it was sealed
    /// for. A secret that was sealed for a recipient does not open.
    pub async fn open(
        &self,
        organization: OrganizationId,
        destination: DestinationId,
        field: &str,
        sealed: &Sealed,
    ) -> Result<SecretString, VaultError> {
        self.opened(
            SecretContext {
                organization,
                destination,
                field,
                recipient: None,
            },
            sealed,
        )
        .await
    }

    /// Opens a sealed credential, only for its recipient. One that was sealed before recipients
    /// were recorded opens as with [`Vault::open`].
    pub async fn open_for(
        &self,
        recipient: &Recipient,
        organization: OrganizationId,
        destination: DestinationId,
        field: &str,
        sealed: &Sealed,
    ) -> Result<SecretString, VaultError> {
        self.opened(
            SecretContext {
                organization,
                destination,
                field,
                recipient: Some(recipient),
            },
            sealed,
        )
        .await
    }

    async fn opened(
        &self,
        context: SecretContext<'_>,
        sealed: &Sealed,
    ) -> Result<SecretString, VaultError> {
        // NUL occurs neither in base64 nor in ids.
        let digest =
            Sha256::digest([sealed.0.as_bytes(), b"\0", context.binding().as_bytes()].concat());
        // Boxed, because the future of an SDK call is large and seldom needed.
        let opened = self
            .0
            .opened
            .get(
                context.organization,
                digest.into(),
                self.0.clock.now(),
                Box::pin(self.open_uncached(context, sealed)),
            )
            .await;
        opened.inspect(Confidential::add)
    }

    /// Reads a secret that the organization keeps in Secrets Manager.
    ///
    /// A secret that the deployment's own role reads must have the tag [`ORGANIZATION_TAG`] with
    /// the organization's id, so that no organization can read another's secret by naming it. A
    /// customer's `role` is assumed with the organization's external id, which its trust policy
    /// requires for the same reason.
    pub async fn referenced(
        &self,
        arn: &str,
        role: Option<&SecretRole>,
        organization: OrganizationId,
    ) -> Result<SecretString, VaultError> {
        let key = (arn.to_owned(), role.map(|role| role.role_arn.clone()));
        let now = self.0.clock.now();
        let read = match role {
            None => {
                self.0
                    .referenced
                    .get(
                        organization,
                        key,
                        now,
                        Box::pin(self.read(arn, organization)),
                    )
                    .await
            }
            Some(role) => {
                self.0
                    .referenced
                    .get(organization, key, now, Box::pin(self.read_as(arn, role)))
                    .await
            }
        };
        read.inspect(Confidential::add)
    }

    async fn new_data_key(
        &self,
        organization: OrganizationId,
        destination: DestinationId,
    ) -> Result<(DataKey, Vec<u8>), VaultError> {
        let key_id = self.0.kms_key_id.as_ref().ok_or(VaultError::NoKey)?;
        let call = self
            .0
            .kms
            .generate_data_key()
            .key_id(key_id)
            .key_spec(DataKeySpec::Aes256);
        let call = call.encryption_context("organization", organization.to_string());
        let call = call.encryption_context("destination", destination.to_string());
        let made = call
            .send()
            .await
            .map_err(VaultError::unavailable(KMS, "make a data key"))?;
        let (Some(plaintext), Some(wrapped)) = (made.plaintext, made.ciphertext_blob) else {
            return Err(VaultError::unavailable(KMS, "make a data key")(
                "its answer contains none",
            ));
        };
        Ok((
            DataKey::from_plaintext(plaintext.into_inner())?,
            wrapped.into_inner(),
        ))
    }

    async fn open_uncached(
        &self,
        context: SecretContext<'_>,
        sealed: &Sealed,
    ) -> Result<SecretString, VaultError> {
        let envelope = Envelope::read(sealed)?;
        let context = SecretContext {
            recipient: context.recipient.filter(|_| envelope.has_recipient),
            ..context
        };
        let call = self
            .0
            .kms
            .decrypt()
            .ciphertext_blob(Blob::new(envelope.wrapped_key));
        let call = call.encryption_context("organization", context.organization.to_string());
        let call = call.encryption_context("destination", context.destination.to_string());
        let unwrapped = call
            .send()
            .await
            .map_err(|error| match error.as_service_error() {
                Some(refusal)
                    if refusal.is_invalid_ciphertext_exception()
                        || refusal.is_incorrect_key_exception() =>
                {
                    VaultError::Corrupt("its data key was damaged, or made for another record")
                }
                _ => VaultError::unavailable(KMS, "open a data key")(error),
            })?;
        let plaintext = unwrapped.plaintext.ok_or_else(|| {
            VaultError::unavailable(KMS, "open a data key")("its answer contains none")
        })?;
        DataKey::from_plaintext(plaintext.into_inner())?.decrypt(
            &envelope.ciphertext,
            envelope.nonce,
            context,
        )
    }

    async fn read(
        &self,
        arn: &str,
        organization: OrganizationId,
    ) -> Result<SecretString, VaultError> {
        let client = &self.0.secrets_manager;
        let described = client
            .describe_secret()
            .secret_id(arn)
            .send()
            .await
            .map_err(|error| unreadable(arn, error))?;
        let owner = organization.to_string();
        if !described
            .tags()
            .iter()
            .any(|tag| tag.key() == Some(ORGANIZATION_TAG) && tag.value() == Some(&owner))
        {
            return Err(VaultError::Refused {
                arn: arn.to_owned(),
            });
        }
        let read = client
            .get_secret_value()
            .secret_id(arn)
            .send()
            .await
            .map_err(|error| unreadable(arn, error))?;
        read.secret_string
            .map(SecretString::from)
            .ok_or_else(|| VaultError::Missing {
                arn: arn.to_owned(),
            })
    }

    /// Reads a secret with a customer's role, in the region of its ARN.
    async fn read_as(&self, arn: &str, role: &SecretRole) -> Result<SecretString, VaultError> {
        let missing = || VaultError::Missing {
            arn: arn.to_owned(),
        };
        let secret: SecretArn = arn.parse().map_err(|_| missing())?;
        let session = roles::assume(
            &self.0.aws,
            &role.role_arn,
            &role.external_id,
            Purpose::ReadSecret(arn),
        )
        .await;
        let credentials =
            SharedCredentialsProvider::new(session.map_err(|why| not_assumed(role, why))?);
        let region = Region::new(secret.region().to_owned());
        let customers = self
            .0
            .aws
            .to_builder()
            .credentials_provider(credentials)
            .region(region)
            .build();
        let read = SecretsManager::new(&customers)
            .get_secret_value()
            .secret_id(arn)
            .send()
            .await;
        let read = read.map_err(|error| match unreadable(arn, error) {
            VaultError::Refused { arn } => VaultError::RoleMayNotRead {
                arn,
                role_arn: role.role_arn.clone(),
            },
            other => other,
        })?;
        read.secret_string
            .map(SecretString::from)
            .ok_or_else(missing)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

fn not_assumed(role: &SecretRole, why: NotAssumed) -> VaultError {
    match why {
        NotAssumed::Refused | NotAssumed::NotARole(_) => VaultError::RoleRefused {
            role_arn: role.role_arn.clone(),
        },
        NotAssumed::Unavailable(_) => {
            VaultError::unavailable("STS", "assume a customer's role")(why)
        }
    }
}

/// Maps an error of Secrets Manager. Its operations share these codes but no error type.
fn unreadable<E>(arn: &str, error: SdkError<E>) -> VaultError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code)
    {
        // InvalidRequestException: the secret is scheduled for deletion. InvalidParameterException:
        // the text cannot be the name of a secret.
        Some(
            "ResourceNotFoundException"
            | "InvalidRequestException"
            | "InvalidParameterException"
            | "ValidationException",
        ) => VaultError::Missing {
            arn: arn.to_owned(),
        },
        // DecryptionFailure: the owner's key does not permit Waybill to decrypt.
        Some("AccessDeniedException" | "DecryptionFailure") => VaultError::Refused {
            arn: arn.to_owned(),
        },
        _ => VaultError::unavailable(SECRETS_MANAGER, "read a secret")(error),
    }
}
