//! Amazon S3, embedded: `s3s` implements the protocol and `s3s-fs` stores objects as files.
//!
//! Versioning (an overwritten object is lost) and lifecycle rules are not supported.

mod address;

pub(crate) use address::{operation, targets};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_smithy_types::body::SdkBody;
use http::header::{CONTENT_LENGTH, HOST, IF_NONE_MATCH};
use http::{HeaderValue, Method, Request};
use s3s::auth::{S3Auth, SecretKey};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::host::{S3Host, VirtualHost};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;

use crate::resources::BucketSpec;
use crate::wire::Response;

/// The embedded S3, with all buckets.
pub(crate) struct S3 {
    service: S3Service,
    root: PathBuf,
    /// s3s-fs checks whether an object exists and then writes it, so creations must not run
    /// concurrently.
    creations: tokio::sync::Mutex<()>,
}

impl S3 {
    /// Opens the folder and creates the buckets that it lacks.
    pub(crate) fn open(
        root: &Path,
        buckets: &[BucketSpec],
        secret: &str,
    ) -> Result<Self, s3s_fs::Error> {
        for bucket in buckets {
            std::fs::create_dir_all(root.join(&bucket.name))?;
        }
        std::fs::create_dir_all(root)?;
        let mut builder = S3ServiceBuilder::new(FileSystem::new(root)?);
        builder.set_auth(OneSecret(SecretKey::from(secret)));
        builder.set_host(AmazonHosts);
        let mut config = S3Config::default();
        // The engines' clock may be that of a simulation. The expiry of links is still checked.
        config.presigned_url_max_skew_time_secs = u32::MAX;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        Ok(Self {
            service: builder.build(),
            root: root.to_owned(),
            creations: tokio::sync::Mutex::new(()),
        })
    }

    /// Handles a request and verifies its signature.
    pub(crate) async fn call(&self, mut request: Request<SdkBody>) -> Response {
        if !request.headers().contains_key(HOST) {
            let host = request
                .uri()
                .authority()
                .and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
            if let Some(host) = host {
                request.headers_mut().insert(HOST, host);
            }
        }
        let head = request.method() == Method::HEAD;
        let creates =
            request.method() == Method::PUT && request.headers().contains_key(IF_NONE_MATCH);
        let address = address::Address::of(&request);
        let turn = if creates {
            Some(self.creations.lock().await)
        } else {
            None
        };
        let answered = self.service.call(request.map(received)).await;
        if creates
            && answered
                .as_ref()
                .is_ok_and(|response| response.status() == http::StatusCode::BAD_REQUEST)
        {
            self.delete_mismatched(&address);
        }
        drop(turn);
        match answered {
            Ok(response) if head => without_body(response.map(SdkBody::from_body_1_x)),
            Ok(response) => response.map(SdkBody::from_body_1_x),
            Err(error) => {
                tracing::error!(?error, "the embedded S3 failed to handle a request");
                let mut response = Response::new(SdkBody::empty());
                *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    }
}

impl S3 {
    /// Deletes an object whose hash does not match. s3s-fs compares hashes only after it has
    /// written the object.
    fn delete_mismatched(&self, address: &address::Address) {
        let (Some(bucket), Some(key)) = (&address.bucket, &address.key) else {
            return;
        };
        if key
            .split('/')
            .chain([&**bucket])
            .all(|segment| !matches!(segment, "" | "." | ".."))
        {
            drop(std::fs::remove_file(self.root.join(bucket).join(key)));
        }
    }
}

fn received(body: SdkBody) -> s3s::Body {
    match body.bytes() {
        Some(bytes) => s3s::Body::from(bytes::Bytes::copy_from_slice(bytes)),
        None => s3s::Body::http_body(body),
    }
}

/// Removes the body of a response to HEAD. s3s-fs includes the object, and an SDK would wait for
/// the end of the connection.
fn without_body(response: Response) -> Response {
    let length = response.headers().get(CONTENT_LENGTH).cloned();
    let mut response = response.map(|_| SdkBody::empty());
    if let Some(length) = length {
        response.headers_mut().insert(CONTENT_LENGTH, length);
    }
    response
}

/// Every caller signs with the same secret. The access key identifies the caller, and its policy
/// determines its permissions.
struct OneSecret(SecretKey);

#[async_trait::async_trait]
impl S3Auth for OneSecret {
    async fn get_secret_key(&self, _access_key: &str) -> s3s::S3Result<SecretKey> {
        Ok(self.0.clone())
    }
}

struct AmazonHosts;

impl S3Host for AmazonHosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> s3s::S3Result<VirtualHost<'a>> {
        Ok(match address::bucket_of_host(host) {
            Some(bucket) => VirtualHost::new(&host[bucket.len() + 1..]).with_bucket(bucket),
            None => VirtualHost::new(host),
        })
    }
}
