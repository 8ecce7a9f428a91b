//! Credentials for S3: the function's own, those of a role, or an access key. The library never
//! looks for credentials itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_credential_types::Credentials as Credential;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_types::service_config::ServiceConfigKey;
use domain::check::StepName;
use domain::settings::storage::S3Settings;
use domain::settle::Outcome;
use domain::{Clock, Reason, Timestamp};
use object_store::aws::AwsCredential;
use roles::{NotAssumed, Purpose};
use secrecy::ExposeSecret as _;
use vault::Confidential;
use worker::{ConnectorError, Unavailable, dependency};

use crate::Credentials;
use crate::error::StorageError;
use crate::session_cache::SessionCache;

/// The remaining lifetime that cached credentials must have when an attempt begins. No attempt
/// takes longer.
const LIFE_LEFT_MIN: Duration = Duration::from_secs(15 * 60);
/// How long the function's own credentials are cached at most.
const OWN_CACHED_FOR: Duration = Duration::from_secs(5 * 60);

/// AWS credentials, cached until they expire.
#[derive(Debug)]
pub(crate) struct Aws {
    config: SdkConfig,
    clock: Clock,
    own: Mutex<Option<Session>>,
    roles: SessionCache<Assumed, Session>,
}

/// Role, external id and bucket. A session can use only its bucket.
type Assumed = (String, String, String);

#[derive(Debug, Clone)]
struct Session {
    credential: Arc<AwsCredential>,
    /// Until when an attempt may begin with them.
    until: Timestamp,
}

impl Session {
    /// Returns credentials that an attempt may begin with as long as they outlast it, and at most
    /// until `at_most`.
    fn new(found: &Credential, at_most: Timestamp) -> Self {
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        });
        let until = found.expiry().map_or(at_most, |expiry| {
            at_most.min(timestamp(expiry - LIFE_LEFT_MIN))
        });
        Self { credential, until }
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

impl Aws {
    pub(crate) fn new(config: SdkConfig, clock: Clock) -> Self {
        Self {
            config,
            clock,
            own: Mutex::default(),
            roles: SessionCache::default(),
        }
    }

    /// Returns the bucket's region: that of the settings, or else the function's own.
    pub(crate) fn region<'s>(&'s self, settings: &'s S3Settings) -> &'s str {
        let own = || {
            self.config
                .region()
                .map_or("us-east-1", |region| region.as_ref())
        };
        settings.region.as_deref().unwrap_or_else(own)
    }

    /// Returns the endpoint of a store that is not Amazon's, or the one that the function's own AWS
    /// configuration sets for S3 (AWS SDKs and Tools Reference Guide, Service-specific endpoints).
    pub(crate) fn endpoint(&self, settings: &S3Settings) -> Option<String> {
        let key = ServiceConfigKey::builder()
            .service_id("S3")
            .profile("endpoint_url")
            .env("AWS_ENDPOINT_URL")
            .build();
        let of_s3 = || self.config.service_config()?.load_config(key.ok()?);
        settings
            .endpoint
            .clone()
            .or_else(of_s3)
            .or_else(|| self.config.endpoint_url().map(str::to_owned))
    }

    /// Returns credentials that stay valid for the whole attempt.
    pub(crate) async fn credential(
        &self,
        organization: &str,
        settings: &S3Settings,
        credentials: &Credentials,
    ) -> Result<Arc<AwsCredential>, StorageError> {
        match credentials {
            Credentials::AccessKey {
                access_key_id,
                secret_access_key,
                session_token,
            } => Ok(Arc::new(AwsCredential {
                key_id: access_key_id.clone(),
                secret_key: secret_access_key.expose_secret().to_owned(),
                token: session_token
                    .as_ref()
                    .map(|token| token.expose_secret().to_owned()),
            })),
            Credentials::Iam { .. } | Credentials::IamRole { .. }
                if settings.endpoint.is_some() =>
            {
                // A session's token is sent with every request, so only Amazon may receive it.
                Err(StorageError::misconfigured(
                    "IAM credentials are for Amazon S3 only, not for another endpoint",
                ))
            }
            Credentials::Iam { granted_buckets } if !granted_buckets.contains(&settings.bucket) => {
                {
                    let detail = format!(
                        "the bucket {} is not granted to this organization",
                        settings.bucket
                    );
                    // The caller is authenticated, but may not use this bucket.
                    let error =
                        ConnectorError::new(Outcome::ClientError(Reason::Authorization), detail);
                    Err(error.at(StepName::Authorize).into())
                }
            }
            Credentials::Iam { .. } => self.own().await.inspect(confidential),
            Credentials::IamRole {
                role_arn,
                external_id,
            } => self
                .role(organization, role_arn, external_id, &settings.bucket)
                .await
                .inspect(confidential),
            _ => Err(StorageError::misconfigured(
                "S3 takes iam, iam_role or access_key credentials",
            )),
        }
    }

    async fn own(&self) -> Result<Arc<AwsCredential>, StorageError> {
        let now = self.clock.now();
        let cached = self
            .own
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(cached) = cached.filter(|cached| cached.until > now) {
            return Ok(cached.credential);
        }
        let no_provider = || Unavailable::new("the function has no credentials of its own");
        let provider = self.config.credentials_provider().ok_or_else(no_provider)?;
        let found = dependency(provider.provide_credentials())
            .await
            .map_err(Unavailable::because)?;
        let session = Session::new(&found, now.plus(OWN_CACHED_FOR));
        let credential = Arc::clone(&session.credential);
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
        Ok(credential)
    }

    async fn role(
        &self,
        organization: &str,
        role_arn: &str,
        external_id: &str,
        bucket: &str,
    ) -> Result<Arc<AwsCredential>, StorageError> {
        let now = self.clock.now();
        let name = (
            role_arn.to_owned(),
            external_id.to_owned(),
            bucket.to_owned(),
        );
        if let Some(cached) = self
            .roles
            .get(organization, &name)
            .filter(|cached| cached.until > now)
        {
            return Ok(cached.credential);
        }
        let assumed = dependency(roles::assume(
            &self.config,
            role_arn,
            external_id,
            Purpose::WriteBucket(bucket),
        ))
        .await?;
        // Credentials whose end is not known are used once.
        let session = Session::new(&assumed, assumed.expiry().map_or(now, timestamp));
        let credential = Arc::clone(&session.credential);
        self.roles.put(organization, name, session);
        Ok(credential)
    }
}

/// Redacts credentials that the vault did not open.
fn confidential(credential: &Arc<AwsCredential>) {
    Confidential::add(&credential.secret_key.as_str().into());
    credential
        .token
        .iter()
        .for_each(|token| Confidential::add(&token.as_str().into()));
}

impl From<NotAssumed> for StorageError {
    fn from(why: NotAssumed) -> Self {
        match why {
            NotAssumed::NotARole(_) => Self::misconfigured(why.to_string()),
            NotAssumed::Refused => Self::unauthenticated(why.to_string()),
            NotAssumed::Unavailable(_) => Unavailable::because(why).into(),
        }
    }
}
