//! Sends the telemetry of a process before an invocation ends, because Lambda then freezes the
//! process.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use lambda_runtime::tower::Service;

/// A function that sends its telemetry before it returns. Its error contains the text of all
/// causes, because an invoker receives only a text.
#[derive(Clone, Debug)]
pub struct Observed<S>(pub S);

impl<S, In> Service<In> for Observed<S>
where
    S: Service<In>,
    S::Future: 'static,
    S::Response: 'static,
    S::Error: Into<lambda_runtime::Error> + 'static,
{
    type Response = S::Response;
    type Error = lambda_runtime::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, lambda_runtime::Error>>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), lambda_runtime::Error>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, event: In) -> Self::Future {
        let answer = self.0.call(event);
        Box::pin(async move {
            let answer = answer.await;
            telemetry::flush().await;
            answer.map_err(|error| {
                let error: lambda_runtime::Error = error.into();
                domain::chain(&*error).to_string().into()
            })
        })
    }
}

/// The equivalent of [`Observed`] for HTTP.
pub(crate) async fn observed(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    telemetry::flush().await;
    response
}
