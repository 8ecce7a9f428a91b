//! A bucket that was opened for one attempt.

use std::sync::Arc;

use async_trait::async_trait;
use domain::receipt::Receipt;
use domain::settings::storage::{
    AzureBlobSettings, GcsSettings, IfExists, KEY_MAX_BYTES, ObjectSettings, S3Settings,
    key_refusal,
};
use egress::Target;
use http::Method;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, S3ConditionalPut};
use object_store::azure::{AzureAuthorizer, AzureCredential, MicrosoftAzureBuilder};
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, CredentialProvider, ObjectStore, ObjectStoreExt as _, RetryConfig,
};
use tokio::time::Instant;
use url::Url;
use worker::Unavailable;

use crate::Credentials;
use crate::error::StorageError;
use crate::storage::Storage;
use crate::wire::{Route, Signer, Wire};
use crate::{azure, google};

const GOOGLE: &str = "https://storage.googleapis.com";

/// The settings for one of the three providers.
#[derive(Debug, Clone, Copy)]
pub enum Settings<'s> {
    /// Amazon S3 or a compatible store.
    S3(&'s S3Settings),
    /// The settings of a Google Cloud Storage destination.
    Gcs(&'s GcsSettings),
    /// The settings of an Azure Blob Storage destination.
    AzureBlob(&'s AzureBlobSettings),
}

impl<'s> Settings<'s> {
    /// Returns the settings that all three providers have.
    pub fn object(self) -> &'s ObjectSettings {
        match self {
            Self::S3(settings) => &settings.object,
            Self::Gcs(settings) => &settings.object,
            Self::AzureBlob(settings) => &settings.object,
        }
    }

    /// Returns a key with the prefix before the template's first variable.
    pub(crate) fn constant_key(self) -> String {
        let template = &self.object().key_template;
        let constant = template
            .find('{')
            .map_or(template.as_str(), |start| &template[..start]);
        let prefix = constant.rsplit_once('/').map_or("", |(prefix, _)| prefix);
        let key = if prefix.is_empty() {
            "waybill".to_owned()
        } else {
            format!("{prefix}/waybill")
        };
        if key.len() < KEY_MAX_BYTES && key_refusal(&key).is_none() {
            key
        } else {
            "waybill".to_owned()
        }
    }

    /// Whether the settings name a server that is not the provider's own and may not honor
    /// conditions on writes.
    pub(crate) fn names_its_server(self) -> bool {
        match self {
            Self::S3(settings) => settings.endpoint.is_some(),
            Self::Gcs(settings) => settings.endpoint.is_some(),
            Self::AzureBlob(settings) => settings.endpoint.is_some(),
        }
    }

    /// Returns the name of the bucket or container.
    pub(crate) fn bucket(self) -> &'s str {
        match self {
            Self::S3(settings) => &settings.bucket,
            Self::Gcs(settings) => &settings.bucket,
            Self::AzureBlob(settings) => &settings.container,
        }
    }
}

/// Credentials that stay the same for the whole attempt. The library asks for them with every
/// request.
#[derive(Debug)]
struct Fixed<T>(Arc<T>);

#[async_trait]
impl<T: std::fmt::Debug + Send + Sync> CredentialProvider for Fixed<T> {
    type Credential = T;

    async fn get_credential(&self) -> object_store::Result<Arc<T>> {
        Ok(Arc::clone(&self.0))
    }
}

/// A bucket that is opened for one attempt.
pub(crate) struct OpenBucket {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) wire: Wire,
    /// The account and credentials for Azure, whose objects are deleted without the library,
    /// because it would send batches.
    azure: Option<(String, Arc<AzureCredential>)>,
}

impl Storage {
    /// Opens the bucket. Sends only the requests that obtain credentials.
    pub(crate) async fn open(
        &self,
        organization: &str,
        settings: Settings<'_>,
        credentials: &Credentials,
        deadline: Instant,
    ) -> Result<OpenBucket, StorageError> {
        let create_only = settings.object().if_exists != IfExists::Replace;
        let looks = settings.names_its_server();
        let (client, schemes, clock) = (self.client.clone(), self.schemes, self.clock.clone());
        let wire = |signer| {
            Wire::new(
                Route {
                    client,
                    schemes,
                    clock,
                    create_only,
                    looks,
                    signer,
                },
                deadline,
            )
        };
        match settings {
            Settings::S3(s3) => {
                let credential = self.aws.credential(organization, s3, credentials).await?;
                let signer = Signer::Amazon {
                    region: self.aws.region(s3).to_owned(),
                    credential: Arc::clone(&credential),
                };
                self.s3(s3, credential, wire(Some(signer)))
            }
            Settings::Gcs(gcs) => google_cloud(gcs, credentials, wire(None)),
            Settings::AzureBlob(blob) => {
                let credential = Arc::new(
                    azure::credential(&self.tokens, organization, credentials, deadline).await?,
                );
                // Tokens and shared access signatures do not sign a request's headers.
                let signs = matches!(*credential, AzureCredential::AccessKey(_));
                let signer = signs.then(|| Signer::Azure {
                    account: blob.account.clone(),
                    credential: Arc::clone(&credential),
                });
                azure_blob(blob, credential, wire(signer))
            }
        }
    }

    fn s3(
        &self,
        settings: &S3Settings,
        credential: Arc<AwsCredential>,
        wire: Wire,
    ) -> Result<OpenBucket, StorageError> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&settings.bucket)
            .with_region(self.aws.region(settings))
            .with_credentials(Arc::new(Fixed(credential)))
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_disable_bulk_delete(true)
            .with_client_options(options())
            .with_retry(once())
            .with_http_connector(wire.clone());
        builder = match self.aws.endpoint(settings) {
            Some(endpoint) => builder
                .with_endpoint(endpoint.trim_end_matches('/'))
                .with_virtual_hosted_style_request(false),
            None => builder.with_virtual_hosted_style_request(is_host_label(&settings.bucket)),
        };
        if let Some(encryption) = settings.server_side_encryption {
            builder = builder.with_config(
                encryption_key("aws_server_side_encryption")?,
                encryption.as_str(),
            );
        }
        if let Some(key) = &settings.kms_key_id {
            builder = builder.with_config(encryption_key("aws_sse_kms_key_id")?, key);
        }
        Ok(OpenBucket {
            store: Arc::new(builder.build()?),
            wire,
            azure: None,
        })
    }

    /// Returns the address of the bucket, which a check probes.
    pub(crate) fn address(&self, settings: Settings<'_>) -> Result<Target, StorageError> {
        let base = self.base(settings);
        Target::parse(&base, self.schemes).map_err(|refusal| StorageError::address(&refusal))
    }

    /// Returns the URL of an object.
    pub(crate) fn url(&self, settings: Settings<'_>, key: &str) -> String {
        let base = self.base(settings);
        object_url(&base, key).map_or(base, String::from)
    }

    /// Returns the receipt for the object at this key.
    pub(crate) fn receipt(
        &self,
        settings: Settings<'_>,
        key: &str,
        version_id: Option<String>,
        etag: Option<String>,
    ) -> Receipt {
        let url = self.url(settings, key);
        let bucket = settings.bucket().to_owned();
        let uri = match settings {
            Settings::S3(_) => format!("s3://{bucket}/{key}"),
            Settings::Gcs(_) => format!("gs://{bucket}/{key}"),
            Settings::AzureBlob(_) => url.clone(),
        };
        let etag = etag.map(|etag| etag.trim_matches('"').to_owned());
        // Some stores report this version for objects in a bucket without versioning.
        let version_id = version_id.filter(|version| version != "null");
        Receipt::Object {
            bucket,
            key: key.to_owned(),
            version_id,
            etag,
            uri,
            url,
        }
    }

    fn base(&self, settings: Settings<'_>) -> String {
        let bucket = settings.bucket();
        match settings {
            Settings::S3(s3) => match self.aws.endpoint(s3) {
                Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
                None if is_host_label(bucket) => {
                    format!("https://{bucket}.s3.{}.amazonaws.com", self.aws.region(s3))
                }
                None => format!("https://s3.{}.amazonaws.com/{bucket}", self.aws.region(s3)),
            },
            Settings::Gcs(gcs) => format!(
                "{}/{bucket}",
                gcs.endpoint
                    .as_deref()
                    .unwrap_or(GOOGLE)
                    .trim_end_matches('/')
            ),
            Settings::AzureBlob(blob) => {
                format!("{}/{bucket}", azure_service(blob).trim_end_matches('/'))
            }
        }
    }

    /// Deletes the object at this key.
    pub(crate) async fn delete(
        &self,
        bucket: &OpenBucket,
        settings: Settings<'_>,
        key: &str,
    ) -> Result<(), StorageError> {
        let Some((account, credential)) = &bucket.azure else {
            return Ok(bucket.store.delete(&path(key)?).await?);
        };
        let url = object_url(&self.base(settings), key).ok_or_else(StorageError::unintelligible)?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = Method::DELETE;
        *request.uri_mut() = url
            .as_str()
            .parse()
            .map_err(|_| StorageError::unintelligible())?;
        AzureAuthorizer::new(credential, account).try_authorize(&mut request)?;
        bucket.wire.send(request).await.map(drop)
    }
}

/// Converts a key to the library's type.
pub(crate) fn path(key: &str) -> Result<Path, StorageError> {
    Path::parse(key)
        .map_err(|_| StorageError::misconfigured(format!("{key:?} cannot be an object's key")))
}

fn google_cloud(
    settings: &GcsSettings,
    credentials: &Credentials,
    wire: Wire,
) -> Result<OpenBucket, StorageError> {
    let key = google::service_account(credentials)?;
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&settings.bucket)
        .with_base_url(
            settings
                .endpoint
                .as_deref()
                .unwrap_or(GOOGLE)
                .trim_end_matches('/'),
        )
        .with_service_account_key(key)
        .with_client_options(options())
        .with_retry(once())
        .with_http_connector(wire.clone());
    let store = builder.build().map_err(|_| {
        StorageError::unauthenticated("the service account's private key cannot be read")
    })?;
    Ok(OpenBucket {
        store: Arc::new(store),
        wire,
        azure: None,
    })
}

fn azure_blob(
    settings: &AzureBlobSettings,
    credential: Arc<AzureCredential>,
    wire: Wire,
) -> Result<OpenBucket, StorageError> {
    let builder = MicrosoftAzureBuilder::new()
        .with_account(&settings.account)
        .with_container_name(&settings.container)
        .with_endpoint(azure_service(settings))
        .with_credentials(Arc::new(Fixed(Arc::clone(&credential))))
        .with_client_options(options())
        .with_retry(once())
        .with_http_connector(wire.clone());
    Ok(OpenBucket {
        store: Arc::new(builder.build()?),
        wire,
        azure: Some((settings.account.clone(), credential)),
    })
}

fn azure_service(settings: &AzureBlobSettings) -> String {
    settings
        .endpoint
        .clone()
        .unwrap_or_else(|| format!("https://{}.blob.core.windows.net", settings.account))
}

/// The library may use any scheme, because the wire decides which ones are allowed.
fn options() -> ClientOptions {
    ClientOptions::new().with_allow_http(true)
}

/// Disables retries in the library.
fn once() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 0,
        retry_timeout: std::time::Duration::ZERO,
    }
}

/// Whether a bucket's name can be a host name under amazonaws.com. A name with dots does not match
/// the wildcard certificate.
fn is_host_label(bucket: &str) -> bool {
    !bucket.contains('.')
}

fn encryption_key(name: &str) -> Result<AmazonS3ConfigKey, StorageError> {
    name.parse().map_err(|_| {
        Unavailable::new(format!("the object-store library has no setting {name}")).into()
    })
}

fn object_url(base: &str, key: &str) -> Option<Url> {
    let mut url = Url::parse(base).ok()?;
    url.path_segments_mut().ok()?.extend(key.split('/'));
    Some(url)
}
