//! Determines the service and operation of a request.

use aws_smithy_types::body::SdkBody;
use http::Request;
use http::header::AUTHORIZATION;

use crate::call::Service;
use crate::wire::percent_decoded;
use crate::{functions, s3, ses};

/// A request that no engine handles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unroutable {
    /// The request is not signed, so its service is unknown.
    #[error("{uri} is not a signed AWS request, and no embedded service answers it")]
    NotSigned {
        /// The URL of the request.
        uri: String,
    },
    /// The service is not embedded.
    #[error(
        "local_aws has no engine for {service} ({target}); it offers dynamodb, sqs, s3, kms, \
         secretsmanager, lambda, ses and events"
    )]
    NoEngine {
        /// The name of the service in the credential scope.
        service: String,
        /// The operation or path of the request.
        target: String,
    },
}

/// Returns the service and operation of a request.
pub(super) fn of(request: &Request<SdkBody>) -> Result<(Service, String), Unroutable> {
    let scope = scope_service(request).ok_or_else(|| Unroutable::NotSigned {
        uri: request.uri().to_string(),
    })?;
    let no_engine = |target: &str| Unroutable::NoEngine {
        service: scope.clone(),
        target: target.to_owned(),
    };
    let service = Service::of_scope(&scope)
        .ok_or_else(|| no_engine(target(request).unwrap_or_else(|| request.uri().path())))?;
    let operation = match service {
        Service::S3 => s3::operation(request).to_owned(),
        Service::Lambda => functions::operation(request)
            .ok_or_else(|| no_engine(request.uri().path()))?
            .to_owned(),
        Service::Ses => ses::operation(request.method(), request.uri().path())
            .ok_or_else(|| no_engine(request.uri().path()))?
            .to_owned(),
        Service::DynamoDb
        | Service::Sqs
        | Service::Kms
        | Service::SecretsManager
        | Service::EventBridge => target(request)
            .and_then(|target| target.rsplit('.').next())
            .ok_or_else(|| no_engine("no x-amz-target"))?
            .to_owned(),
    };
    Ok((service, operation))
}

fn target(request: &Request<SdkBody>) -> Option<&str> {
    request.headers().get("x-amz-target")?.to_str().ok()
}

/// Returns the service in the credential scope of a signed or presigned request.
pub(crate) fn scope_service(request: &Request<SdkBody>) -> Option<String> {
    let credential = credential(request)?;
    let mut from_end = credential.rsplit('/');
    from_end.next().filter(|last| *last == "aws4_request")?;
    from_end.next().map(str::to_owned)
}

/// Returns the access key that a request is signed with.
pub(crate) fn access_key(request: &Request<SdkBody>) -> Option<String> {
    credential(request)?.split('/').next().map(str::to_owned)
}

/// Returns `<access key>/<date>/<region>/<service>/aws4_request` from the header or the query.
fn credential(request: &Request<SdkBody>) -> Option<String> {
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let credential = match header {
        Some(header) => header.split_once("Credential=")?.1.split(',').next()?,
        None => request
            .uri()
            .query()?
            .split('&')
            .find_map(|pair| pair.strip_prefix("X-Amz-Credential="))?,
    };
    Some(percent_decoded(credential.trim()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    fn signed(service: &str, target: &str) -> Request<SdkBody> {
        Request::post("https://anywhere/")
            .header("x-amz-target", target)
            .header(
                "authorization",
                format!(
                    "AWS4-HMAC-SHA256 \
                     Credential=AKID/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host"
                ),
            )
            .body(SdkBody::empty())
            .unwrap()
    }

    #[test]
    fn the_credential_scope_names_the_service() {
        assert_eq!(
            of(&signed("dynamodb", "DynamoDB_20120810.PutItem")).unwrap(),
            (Service::DynamoDb, "PutItem".into())
        );
        assert_eq!(
            of(&signed("sqs", "AmazonSQS.SendMessage")).unwrap(),
            (Service::Sqs, "SendMessage".into())
        );
        let presigned =
            Request::get("http://127.0.0.1:9/bucket/key?X-Amz-Credential=AKID%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Expires=60")
                .body(SdkBody::empty())
                .unwrap();
        assert_eq!(of(&presigned).unwrap(), (Service::S3, "GetObject".into()));
    }

    #[test]
    fn a_service_without_an_engine_is_named() {
        let message = of(&signed("kinesis", "Kinesis_20131202.PutRecord"))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("no engine for kinesis (Kinesis_20131202.PutRecord)"),
            "{message}"
        );
    }
}
