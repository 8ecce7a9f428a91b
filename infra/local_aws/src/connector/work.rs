//! A request that is ready for its engine.

use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use http::header::HeaderName;

use super::{Refused, targets};
use crate::call::{Consumed, Service, Target};
use crate::engines::Engine;
use crate::wire::{self, Response};
use crate::{Call, dynamodb, events, functions, s3, ses, sqs};

/// A request, parsed as far as its policy check needs.
pub(super) enum ParsedRequest {
    DynamoDb(Result<Box<dynamodb::Request>, dynamodb::Answer>),
    Sqs(Bytes),
    Kms(Bytes),
    Secrets(Bytes),
    S3(Box<http::Request<SdkBody>>),
    Lambda(Box<http::request::Parts>, Bytes),
    Ses(Box<http::request::Parts>, Bytes),
    Events(Bytes),
}

impl ParsedRequest {
    pub(super) async fn prepare(
        service: Service,
        operation: &str,
        request: http::Request<SdkBody>,
    ) -> Result<Self, Refused> {
        if service == Service::S3 {
            return Ok(Self::S3(Box::new(request)));
        }
        let (head, body) = request.into_parts();
        let body = read(body).await?;
        Ok(match service {
            Service::DynamoDb => {
                Self::DynamoDb(dynamodb::Request::decode(operation, &body).map(Box::new))
            }
            Service::Sqs => Self::Sqs(body),
            Service::Kms => Self::Kms(body),
            Service::SecretsManager => Self::Secrets(body),
            Service::Ses => Self::Ses(Box::new(head), body),
            Service::EventBridge => Self::Events(body),
            Service::Lambda | Service::S3 => Self::Lambda(Box::new(head), body),
        })
    }

    pub(super) async fn targets(&self, engine: &Engine, operation: &str) -> Vec<Target> {
        match self {
            Self::DynamoDb(Ok(request)) => request.targets(&engine.arns),
            // A request that cannot be parsed has no targets; the engine's refusal is the response.
            Self::DynamoDb(Err(_)) => Vec::new(),
            Self::Sqs(body) => targets::sqs(engine, operation, body),
            Self::Kms(body) => targets::kms(engine, operation, body),
            Self::Secrets(body) => targets::secrets(engine, operation, body).await,
            Self::S3(request) => s3::targets(operation, request),
            Self::Lambda(head, _) => {
                let name = functions::function_name(head.uri.path()).unwrap_or_default();
                vec![Target::new(
                    "lambda:InvokeFunction",
                    engine.arns.function(&name),
                )]
            }
            Self::Events(body) => {
                let buses = events::buses(body).into_iter();
                buses
                    .map(|bus| {
                        Target::new(format!("events:{operation}"), engine.arns.event_bus(&bus))
                    })
                    .collect()
            }
            Self::Ses(head, body) => {
                let identity = ses::identity_of(head.uri.path(), body);
                // Sending from an address is allowed by its own identity or by its domain's.
                let target =
                    Target::new(format!("ses:{operation}"), engine.arns.identity(&identity));
                vec![if operation == "SendEmail" {
                    target.with("ses:FromAddress", &identity)
                } else {
                    target
                }]
            }
        }
    }

    pub(super) async fn run(self, engine: &Engine, call: &Call) -> (Response, Vec<Consumed>) {
        let response = match self {
            Self::DynamoDb(request) => {
                let answer = match request {
                    Ok(request) => engine.dynamodb.run(*request).await,
                    Err(refusal) => refusal,
                };
                return (
                    wire::json(Service::DynamoDb, answer.status, answer.body),
                    answer.consumed,
                );
            }
            Self::Sqs(body) => match engine.sqs.call(&call.operation, &body).await {
                Ok(body) => wire::json(Service::Sqs, 200, body),
                Err(refusal) => {
                    let mut response = wire::error(call, &refusal);
                    wire::set(
                        &mut response,
                        HeaderName::from_static("x-amzn-query-error"),
                        &sqs::query_error(&refusal),
                    );
                    response
                }
            },
            Self::Kms(body) => {
                let (status, body) = engine.kms.call(&call.operation, body).await;
                wire::json(Service::Kms, status, body.to_vec())
            }
            Self::Secrets(body) => {
                let (status, body) = engine.secrets.call(&call.operation, body).await;
                wire::json(Service::SecretsManager, status, body.to_vec())
            }
            Self::S3(request) => engine.s3.call(*request).await,
            Self::Ses(head, body) => match engine.ses.call(&call.operation, head.uri.path(), &body)
            {
                Ok(answer) => wire::json(Service::Ses, 200, answer.to_string().into_bytes()),
                Err(refusal) => wire::error(call, &refusal),
            },
            Self::Events(body) => {
                match engine
                    .events
                    .call(&call.operation, &body, &engine.arns, &engine.functions)
                {
                    Ok(answer) => {
                        wire::json(Service::EventBridge, 200, answer.to_string().into_bytes())
                    }
                    Err(refusal) => wire::error(call, &refusal),
                }
            }
            Self::Lambda(head, payload) => match engine.functions.invoke(&head, payload).await {
                Ok(response) => response,
                Err(refusal) => wire::error(call, &refusal),
            },
        };
        (response, Vec::new())
    }
}

/// Reads a body. SDKs keep small bodies in memory, which need no waiting.
async fn read(body: SdkBody) -> Result<Bytes, Refused> {
    if let Some(bytes) = body.bytes() {
        return Ok(Bytes::copy_from_slice(bytes));
    }
    Ok(ByteStream::new(body)
        .collect()
        .await
        .map_err(Refused::Body)?
        .into_bytes())
}
