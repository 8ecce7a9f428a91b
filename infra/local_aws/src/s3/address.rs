//! Determines the bucket, key and operation of a request in virtual-host or path style.

use aws_smithy_types::body::SdkBody;
use http::header::HOST;
use http::{Method, Request};

use crate::arn;
use crate::call::Target;
use crate::wire::percent_decoded;

/// The bucket and key of an S3 request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) bucket: Option<String>,
    pub(super) key: Option<String>,
}

/// Returns the bucket of a virtual-host name: `<bucket>.s3.<region>.amazonaws.com`.
pub(super) fn bucket_of_host(host: &str) -> Option<&str> {
    let (bucket, rest) = host.split_once(".s3.")?;
    rest.split(':')
        .next()?
        .ends_with("amazonaws.com")
        .then_some(bucket)
}

impl Address {
    pub(super) fn of(request: &Request<SdkBody>) -> Self {
        let header = request
            .headers()
            .get(HOST)
            .and_then(|host| host.to_str().ok());
        let host = header
            .or_else(|| request.uri().authority().map(http::uri::Authority::as_str))
            .unwrap_or_default();
        let path = request.uri().path().trim_start_matches('/');
        let some = |text: &str| (!text.is_empty()).then(|| percent_decoded(text));
        match bucket_of_host(host) {
            Some(bucket) => Self {
                bucket: Some(bucket.to_owned()),
                key: some(path),
            },
            None => {
                let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
                Self {
                    bucket: some(bucket),
                    key: some(key),
                }
            }
        }
    }
}

/// Returns the name of the operation in the SDK.
pub(crate) fn operation(request: &Request<SdkBody>) -> &'static str {
    let address = Address::of(request);
    let query = request.uri().query().unwrap_or_default();
    let has = |name: &str| {
        query
            .split('&')
            .any(|pair| pair.split('=').next() == Some(name))
    };
    let copies = request.headers().contains_key("x-amz-copy-source");
    match (
        address.bucket.is_some(),
        address.key.is_some(),
        request.method(),
    ) {
        (false, _, _) => "ListBuckets",
        (true, false, &Method::GET) if has("list-type") => "ListObjectsV2",
        (true, false, &Method::GET) if has("location") => "GetBucketLocation",
        (true, false, &Method::GET) if has("uploads") => "ListMultipartUploads",
        (true, false, &Method::GET) if has("versions") => "ListObjectVersions",
        (true, false, &Method::GET) => "ListObjects",
        (true, false, &Method::HEAD) => "HeadBucket",
        (true, false, &Method::PUT) => "CreateBucket",
        (true, false, &Method::DELETE) => "DeleteBucket",
        (true, false, _) => "DeleteObjects",
        (true, true, &Method::GET) if has("uploadId") => "ListParts",
        (true, true, &Method::GET) => "GetObject",
        (true, true, &Method::HEAD) => "HeadObject",
        (true, true, &Method::PUT) if has("uploadId") && copies => "UploadPartCopy",
        (true, true, &Method::PUT) if has("uploadId") => "UploadPart",
        (true, true, &Method::PUT) if copies => "CopyObject",
        (true, true, &Method::PUT) => "PutObject",
        (true, true, &Method::DELETE) if has("uploadId") => "AbortMultipartUpload",
        (true, true, &Method::DELETE) => "DeleteObject",
        (true, true, _) if has("uploads") => "CreateMultipartUpload",
        (true, true, _) => "CompleteMultipartUpload",
    }
}

/// Returns what IAM checks. `DeleteObjects` names its keys in the body, so it is checked as
/// deleting any object of the bucket.
pub(crate) fn targets(operation: &str, request: &Request<SdkBody>) -> Vec<Target> {
    let address = Address::of(request);
    let bucket_name = address.bucket.unwrap_or_default();
    let bucket = || arn::bucket(&bucket_name);
    let object = || arn::object(&bucket_name, address.key.as_deref().unwrap_or("*"));
    match operation {
        "ListBuckets" => vec![Target::new("s3:ListAllMyBuckets", "*")],
        "ListObjectsV2" | "ListObjects" | "HeadBucket" => {
            vec![Target::new("s3:ListBucket", bucket())]
        }
        "ListMultipartUploads" => vec![Target::new("s3:ListBucketMultipartUploads", bucket())],
        "ListObjectVersions" => vec![Target::new("s3:ListBucketVersions", bucket())],
        "GetBucketLocation" | "CreateBucket" | "DeleteBucket" => {
            vec![Target::new(format!("s3:{operation}"), bucket())]
        }
        "GetObject" | "HeadObject" => vec![Target::new("s3:GetObject", object())],
        "DeleteObject" | "DeleteObjects" => vec![Target::new("s3:DeleteObject", object())],
        "ListParts" => vec![Target::new("s3:ListMultipartUploadParts", object())],
        "AbortMultipartUpload" => vec![Target::new("s3:AbortMultipartUpload", object())],
        "CopyObject" | "UploadPartCopy" => {
            let source = request
                .headers()
                .get("x-amz-copy-source")
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default();
            let source = percent_decoded(
                source
                    .trim_start_matches('/')
                    .split('?')
                    .next()
                    .unwrap_or_default(),
            );
            vec![
                Target::new("s3:PutObject", object()),
                Target::new("s3:GetObject", format!("arn:aws:s3:::{source}")),
            ]
        }
        _ => vec![Target::new("s3:PutObject", object())],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn both_styles_name_bucket_key_and_operation() {
        for (method, uri, bucket, key, name) in [
            (
                "GET",
                "https://b.s3.us-east-1.amazonaws.com/a/b%20c?x-id=GetObject",
                Some("b"),
                Some("a/b c"),
                "GetObject",
            ),
            (
                "PUT",
                "http://127.0.0.1:1/b/a",
                Some("b"),
                Some("a"),
                "PutObject",
            ),
            (
                "GET",
                "http://127.0.0.1:1/b?list-type=2",
                Some("b"),
                None,
                "ListObjectsV2",
            ),
            (
                "POST",
                "http://127.0.0.1:1/b/a?uploads",
                Some("b"),
                Some("a"),
                "CreateMultipartUpload",
            ),
            (
                "PUT",
                "http://127.0.0.1:1/b/a?partNumber=1&uploadId=u",
                Some("b"),
                Some("a"),
                "UploadPart",
            ),
            (
                "GET",
                "https://s3.us-east-1.amazonaws.com/",
                None,
                None,
                "ListBuckets",
            ),
        ] {
            let request = Request::builder()
                .method(method)
                .uri(uri)
                .body(SdkBody::empty())
                .unwrap();
            let address = Address::of(&request);
            assert_eq!(
                (
                    address.bucket.as_deref(),
                    address.key.as_deref(),
                    operation(&request)
                ),
                (bucket, key, name),
                "{method} {uri}"
            );
        }
    }
}
