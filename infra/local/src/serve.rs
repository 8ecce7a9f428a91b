//! Serves HTTP requests with the functions whose routes match them, as API Gateway does.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::function::Frame;
use crate::template::Route;

/// The functions behind the HTTP API.
#[derive(Clone, Default)]
pub struct Gateway {
    functions: Vec<(Route, Arc<HttpFunction>)>,
}

struct HttpFunction {
    frame: Frame,
    router: Router,
}

impl Gateway {
    /// Adds a function with its routes.
    pub fn add(&mut self, routes: &[Route], frame: Frame, router: Router) {
        let function = Arc::new(HttpFunction { frame, router });
        self.functions
            .extend(routes.iter().map(|route| (route.clone(), function.clone())));
    }

    fn find(&self, method: &str, path: &str) -> Option<Arc<HttpFunction>> {
        let fitting = self
            .functions
            .iter()
            .filter_map(|(route, function)| Some((route.fit(method, path)?, function)));
        fitting
            .max_by(|(one, _), (other, _)| one.cmp(other))
            .map(|(_, function)| function.clone())
    }

    /// Handles one request in this process.
    pub async fn answer(&self, request: Request) -> Response {
        answer(
            self.find(request.method().as_str(), request.uri().path()),
            request,
        )
        .await
    }

    /// Accepts connections until `stop`, then waits for the requests in progress. This includes
    /// requests whose sender has disconnected, because an invocation on Lambda also runs to its
    /// end.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "failed to set TCP_NODELAY on a connection");
            }
        });
        let requests = TaskTracker::new();
        let gateway = Arc::new(self);
        let tracked = requests.clone();
        let router = Router::new().fallback(move |request: Request| {
            let answering = tracked.spawn(answer(
                gateway.find(request.method().as_str(), request.uri().path()),
                request,
            ));
            async move {
                answering.await.unwrap_or_else(|_| {
                    refusal(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
                })
            }
        });
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(listener, service)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await;
        requests.close();
        requests.wait().await;
        served
    }
}

async fn answer(function: Option<Arc<HttpFunction>>, mut request: Request) -> Response {
    let Some(function) = function else {
        return refusal(StatusCode::NOT_FOUND, "Not Found");
    };
    request.extensions_mut().insert(function.frame.context());
    match function
        .frame
        .limit(function.router.clone().oneshot(request))
        .await
    {
        Ok(Ok(response)) => response,
        Err(error) => {
            tracing::error!(
                function = function.frame.name(),
                error = %domain::chain(&error),
                "a request failed"
            );
            refusal(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
    }
}

/// Makes API Gateway's own response to a request that reaches no function or gets no response from
/// one.
fn refusal(status: StatusCode, message: &'static str) -> Response {
    (
        status,
        axum::Json(serde_json::json!({ "message": message })),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::function::tests::frame;

    #[expect(
        clippy::disallowed_methods,
        reason = "the test is the client, and the server is its own"
    )]
    async fn get_text(address: SocketAddr, path: &str) -> String {
        let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
        connection
            .write_all(
                format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
            )
            .await
            .unwrap();
        let mut text = String::new();
        connection.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn requests_reach_their_function_and_failures_stay_their_own() {
        let router = Router::new()
            .route(
                "/v1/ok",
                get(
                    |context: axum::Extension<lambda_runtime::Context>| async move {
                        context.invoked_function_arn.clone()
                    },
                ),
            )
            .route(
                "/v1/panic",
                get(|| async {
                    if true {
                        panic!("on purpose")
                    }
                }),
            )
            .route(
                "/v1/hang",
                get(|| async { std::future::pending::<()>().await }),
            );
        let mut gateway = Gateway::default();
        gateway.add(
            &[Route {
                method: None,
                path: Some("/v1/{proxy+}".into()),
            }],
            frame(Duration::from_millis(50)),
            router,
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let serving = tokio::spawn(gateway.serve(listener, stop.clone()));
        let cases = [
            ("/v1/ok", "HTTP/1.1 200", "function:waybill-Test"),
            ("/v1/panic", "HTTP/1.1 500", "Internal Server Error"),
            ("/v1/hang", "HTTP/1.1 500", "Internal Server Error"),
            ("/elsewhere", "HTTP/1.1 404", "Not Found"),
        ];
        for (path, status, body) in cases {
            let answer = get_text(address, path).await;
            assert!(
                answer.starts_with(status) && answer.contains(body),
                "{path}: {answer}"
            );
        }
        stop.cancel();
        serving.await.unwrap().unwrap();
    }
}
