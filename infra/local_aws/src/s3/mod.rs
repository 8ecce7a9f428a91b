//! Amazon S3, embedded: `s3s` speaks the protocol, `s3s-fs` keeps objects as files.
//!
//! Not there: versions (an overwritten object is gone) and lifecycle rules.

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

/// The buckets.
pub(crate) struct S3 {
    service: S3Service,
    root: PathBuf,
    /// s3s-fs looks whether an object exists, then writes it: creations have to take turns.
    creations: tokio::sync::Mutex<()>,
}

impl S3 {
    /// Opens the folder and creates the buckets it lacks.
    pub(crate) fn open(root: &Path, buckets: &[BucketSpec], secret: &str) -> Result<Self, s3s_fs::Error> {
        for bucket in buckets {
            std::fs::create_dir_all(root.join(&bucket.name))?;
        }
        std::fs::create_dir_all(root)?;
        let mut builder = S3ServiceBuilder::new(FileSystem::new(root)?);
        builder.set_auth(OneSecret(SecretKey::from(secret)));
        builder.set_host(AmazonHosts);
        let mut config = S3Config::default();
        // The engines' clock may be a simulation's; a link's expiry is checked all the same.
        config.presigned_url_max_skew_time_secs = u32::MAX;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        Ok(Self { service: builder.build(), root: root.to_owned(), creations: tokio::sync::Mutex::new(()) })
    }

    /// Answers one request, whose signature it verifies.
    pub(crate) async fn call(&self, mut request: Request<SdkBody>) -> Response {
        if !request.headers().contains_key(HOST) {
            let host = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
            if let Some(host) = host {
                request.headers_mut().insert(HOST, host);
            }
        }
        let head = request.method() == Method::HEAD;
        let creates = request.method() == Method::PUT && request.headers().contains_key(IF_NONE_MATCH);
        let place = address::Address::of(&request);
        let turn = if creates { Some(self.creations.lock().await) } else { None };
        let answered = self.service.call(request.map(received)).await;
        if creates && answered.as_ref().is_ok_and(|response| response.status() == http::StatusCode::BAD_REQUEST) {
            self.take_back(&place);
        }
        drop(turn);
        match answered {
            Ok(response) if head => without_body(response.map(SdkBody::from_body_1_x)),
            Ok(response) => response.map(SdkBody::from_body_1_x),
            Err(error) => {
                tracing::error!(?error, "the embedded S3 failed");
                let mut response = Response::new(SdkBody::empty());
                *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    }
}

impl S3 {
    /// s3s-fs compares hashes once the object is there; what does not match must not stay.
    fn take_back(&self, place: &address::Address) {
        let (Some(bucket), Some(key)) = (&place.bucket, &place.key) else { return };
        if key.split('/').chain([&**bucket]).all(|segment| !matches!(segment, "" | "." | "..")) {
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

/// HEAD answers have no body; s3s-fs puts the object there, and an SDK would wait for the connection to say so.
fn without_body(response: Response) -> Response {
    let length = response.headers().get(CONTENT_LENGTH).cloned();
    let mut response = response.map(|_| SdkBody::empty());
    if let Some(length) = length {
        response.headers_mut().insert(CONTENT_LENGTH, length);
    }
    response
}

/// Every caller signs with the same secret: the access key says who it is, and the policy what it may do.
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
