//! The `Invoke` operation of AWS Lambda, on a registry of the functions in this process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::HeaderName;
use http::{HeaderMap, Method, Request};
use serde_json::json;

use crate::ServiceError;
use crate::call::Service;
use crate::wire::{self, Response, percent_decoded};

type Handler = Arc<dyn Fn(Bytes) -> BoxFuture<'static, Result<Bytes, InvokeError>> + Send + Sync>;

/// The error of a function, which is sent as a successful invocation with `X-Amz-Function-Error`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct InvokeError {
    /// The `errorType` of the response.
    pub kind: String,
    /// The `errorMessage` of the response.
    pub message: String,
}

/// The functions that can be invoked. It is filled once all are built, because a function may
/// invoke one that is built later.
#[derive(Clone, Default)]
pub struct Functions(Arc<RwLock<BTreeMap<String, Handler>>>);

impl Functions {
    /// Registers a function under its physical name and replaces an earlier one.
    pub fn register(
        &self,
        name: impl Into<String>,
        handler: impl Fn(Bytes) -> BoxFuture<'static, Result<Bytes, InvokeError>>
        + Send
        + Sync
        + 'static,
    ) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.into(), Arc::new(handler));
    }

    /// Removes all functions and the clients that they hold, because handlers and engines refer to
    /// each other.
    pub fn clear(&self) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Invokes a function with an event without waiting for the outcome.
    pub(crate) fn send(&self, name: &str, payload: Bytes) {
        if let Some(handler) = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
        {
            tokio::spawn(async move {
                if let Err(error) = handler(payload).await {
                    tracing::warn!(%error, "a function failed to handle an event");
                }
            });
        }
    }

    /// Handles one `Invoke` call.
    pub(crate) async fn invoke(
        &self,
        head: &http::request::Parts,
        payload: Bytes,
    ) -> Result<Response, ServiceError> {
        let name = function_name(head.uri.path()).unwrap_or_default();
        let handler = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&name)
            .cloned();
        let handler = handler.ok_or_else(|| {
            ServiceError::new(
                404,
                "ResourceNotFoundException",
                format!("Function not found: {name}"),
            )
        })?;
        match invocation_type(&head.headers) {
            "DryRun" => Ok(wire::json(Service::Lambda, 204, Vec::new())),
            "Event" => {
                // The caller does not wait for the outcome, and the function logs its own failure.
                tokio::spawn(handler(payload));
                Ok(wire::json(Service::Lambda, 202, Vec::new()))
            }
            _ => Ok(answered(handler(payload).await)),
        }
    }
}

fn answered(outcome: Result<Bytes, InvokeError>) -> Response {
    let mut response = match outcome {
        Ok(payload) => wire::json(Service::Lambda, 200, payload.to_vec()),
        Err(error) => {
            let body = json!({"errorType": error.kind, "errorMessage": error.message});
            let mut response = wire::json(Service::Lambda, 200, body.to_string().into_bytes());
            wire::set(
                &mut response,
                HeaderName::from_static("x-amz-function-error"),
                "Unhandled",
            );
            response
        }
    };
    wire::set(
        &mut response,
        HeaderName::from_static("x-amz-executed-version"),
        "$LATEST",
    );
    response
}

fn invocation_type(headers: &HeaderMap) -> &str {
    headers
        .get("x-amz-invocation-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or("RequestResponse")
}

/// Returns the only supported operation.
pub(crate) fn operation(request: &Request<SdkBody>) -> Option<&'static str> {
    (request.method() == Method::POST && function_name(request.uri().path()).is_some())
        .then_some("Invoke")
}

/// Returns the name in `/2015-03-31/functions/<name, partial ARN or ARN>/invocations`, without a
/// qualifier.
pub(crate) fn function_name(path: &str) -> Option<String> {
    let reference = path
        .strip_prefix("/2015-03-31/functions/")?
        .strip_suffix("/invocations")?;
    let reference = percent_decoded(reference);
    let parts: Vec<&str> = reference.split(':').collect();
    let after = parts
        .iter()
        .position(|part| *part == "function")
        .map_or(0, |at| at + 1);
    parts.get(after).map(|name| (*name).to_owned())
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let functions = self.0.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_set().entries(functions.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_by_name_or_arn() {
        for reference in [
            "waybill-W",
            "arn:aws:lambda:us-east-1:000000000000:function:waybill-W",
            "000000000000:function:waybill-W:live",
            "waybill-W:live",
        ] {
            let path = format!(
                "/2015-03-31/functions/{}/invocations",
                reference.replace(':', "%3A")
            );
            assert_eq!(
                function_name(&path).as_deref(),
                Some("waybill-W"),
                "{reference}"
            );
        }
        assert_eq!(function_name("/2015-03-31/functions/waybill-W"), None);
    }
}
