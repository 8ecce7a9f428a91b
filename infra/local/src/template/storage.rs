//! Buckets, keys and secrets.

use local_aws::{BucketSpec, GenerateSecretString, SecretSpec, SecretValue};
use serde::Deserialize;

use super::property::{AwsOnly, Number};

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub(super) struct BucketProperties {
    versioning_configuration: Option<Versioning>,
    bucket_encryption: Option<AwsOnly>,
    lifecycle_configuration: Option<AwsOnly>,
    ownership_controls: Option<AwsOnly>,
    public_access_block_configuration: Option<AwsOnly>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Versioning {
    status: VersioningStatus,
}

#[derive(Deserialize, PartialEq)]
enum VersioningStatus {
    Enabled,
    Suspended,
}

impl BucketProperties {
    pub(super) fn spec(self, name: String) -> BucketSpec {
        let versioned = self
            .versioning_configuration
            .is_some_and(|versioning| matches!(versioning.status, VersioningStatus::Enabled));
        BucketSpec { name, versioned }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the list of what is understood; some of it matters on AWS only"
)]
pub(super) struct KeyProperties {
    description: Option<AwsOnly>,
    enable_key_rotation: Option<AwsOnly>,
    key_policy: Option<AwsOnly>,
    pending_window_in_days: Option<AwsOnly>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the list of what is understood; some of it matters on AWS only"
)]
pub(super) struct SecretProperties {
    generate_secret_string: Option<GenerateProperties>,
    secret_string: Option<String>,
    description: Option<AwsOnly>,
    kms_key_id: Option<AwsOnly>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GenerateProperties {
    secret_string_template: Option<String>,
    generate_string_key: Option<String>,
    password_length: Option<Number>,
    #[serde(default)]
    exclude_punctuation: bool,
}

/// The default of Secrets Manager.
const PASSWORD_LENGTH: Number = Number(32);

impl SecretProperties {
    pub(super) fn spec(self, name: String) -> Result<SecretSpec, String> {
        let value = match self.generate_secret_string {
            None => self.secret_string.map(SecretValue::Given),
            Some(properties) => Some(SecretValue::Generated(GenerateSecretString {
                template: properties.secret_string_template,
                key: properties.generate_string_key,
                length: usize::try_from(properties.password_length.unwrap_or(PASSWORD_LENGTH).0)
                    .map_err(|error| error.to_string())?,
                exclude_punctuation: properties.exclude_punctuation,
            })),
        };
        Ok(SecretSpec { name, value })
    }
}
