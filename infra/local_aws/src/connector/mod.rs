//! The connector: an HTTP client that handles AWS requests in this process.

mod partly;
mod route;
mod targets;
mod work;

pub use route::Unroutable;
pub(crate) use route::{access_key, scope_service};

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use crate::call::Service;
use crate::engines::Engine;
use crate::wire::{self, Response};
use crate::{Call, Caller, Fault, ServiceError};
use partly::RemovedEntries;
use work::ParsedRequest;

/// The HTTP client of an SDK, on behalf of one caller.
#[derive(Clone)]
pub(crate) struct Connector {
    engine: Arc<Engine>,
    caller: Arc<Caller>,
}

impl Connector {
    pub(crate) fn new(engine: Arc<Engine>, caller: Caller) -> Self {
        Self {
            engine,
            caller: Arc::new(caller),
        }
    }

    /// Handles a request: identifies the call, checks the policy, applies faults, runs the engine
    /// and notifies the observers.
    pub(crate) async fn answer(
        &self,
        request: http::Request<SdkBody>,
    ) -> Result<Response, Refused> {
        let (service, operation) = route::of(&request)?;
        let work = ParsedRequest::prepare(service, &operation, request).await?;
        let mut targets = work.targets(&self.engine, &operation).await;
        for target in &mut targets {
            // All resources belong to one account.
            target.context.insert(
                "aws:ResourceAccount".to_owned(),
                vec![self.engine.arns.account.clone()],
            );
        }
        let mut call = Call {
            caller: self.caller.name.clone(),
            service,
            operation,
            targets,
            status: 0,
            consumed: Vec::new(),
        };
        let response = match self.refusal(&call) {
            Some(refusal) => wire::error(&call, &refusal),
            None => self.work(work, &mut call).await,
        };
        call.status = response.status().as_u16();
        self.engine.observers.notify(&call);
        Ok(response)
    }

    fn refusal(&self, call: &Call) -> Option<ServiceError> {
        let refusal = self.caller.policy.refuses(&call.targets)?;
        let message = refusal.message(&self.engine.arns.account, &self.caller.name);
        tracing::warn!(
            caller = call.caller,
            operation = call.operation,
            message,
            "access denied"
        );
        let status = if matches!(
            call.service,
            Service::S3 | Service::Lambda | Service::Sqs | Service::Ses
        ) {
            403
        } else {
            400
        };
        Some(ServiceError::new(status, "AccessDeniedException", message))
    }

    async fn work(&self, mut work: ParsedRequest, call: &mut Call) -> Response {
        let fault = self.engine.faults.about(call);
        let withheld = if fault == Fault::Partly {
            partly::withhold(&mut work)
        } else {
            RemovedEntries::Nothing
        };
        match &fault {
            Fault::Refuse(error) => return wire::error(call, error),
            Fault::Delay(delay) => tokio::time::sleep(*delay).await,
            Fault::HangBefore => std::future::pending().await,
            Fault::None | Fault::Partly | Fault::HangAfter => {}
        }
        let (response, consumed) = work.run(&self.engine, call).await;
        call.consumed = consumed;
        if fault == Fault::HangAfter {
            std::future::pending::<()>().await;
        }
        match withheld {
            RemovedEntries::Nothing => response,
            withheld => withheld.report(response),
        }
    }
}

/// Why a request got no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Unroutable(#[from] Unroutable),
    #[error("the request's body could not be read")]
    Body(#[source] aws_smithy_types::byte_stream::error::Error),
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            let request = request
                .try_into_http1x()
                .map_err(|error| ConnectorError::user(error.into()))?;
            let response = this
                .answer(request)
                .await
                .map_err(|error| ConnectorError::user(error.into()))?;
            HttpResponse::try_from(response)
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

impl HttpClient for Connector {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("caller", &self.caller.name)
            .finish_non_exhaustive()
    }
}
