//! Runs functions in processes of their own under the Lambda Runtime API, as they are deployed.
//!
//! A [`Host`] listens for all functions, each at its own path. It starts a function's bootstrap
//! when an invocation finds none idle, up to a limit. A bootstrap asks for the next invocation and
//! responds to it, one at a time. HTTP requests are sent as API Gateway's events ([`http_event`]).
//! AWS is the engines' listener, with credentials that identify the function, so that its policy
//! applies here too.

mod http_event;
mod pool;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::StatusCode;
use local_aws::{Caller, Engines, Policy};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::function::Handler;
use crate::functions::Built;
use crate::template;
use pool::{Invocation, Pool};

/// The version of the Runtime API (AWS Lambda, Runtime API).
const VERSION: &str = "2018-06-01";

/// The pools of processes by function name.
type Pools = Arc<std::sync::RwLock<BTreeMap<String, Arc<Pool>>>>;

/// Starts functions and passes invocations to them. Dropping it ends their processes.
#[derive(Debug)]
pub struct Host {
    folder: PathBuf,
    address: SocketAddr,
    aws: local_aws::Gateway,
    objects: SocketAddr,
    pools: Pools,
    serving: JoinHandle<()>,
}

impl Host {
    /// Starts a host of the binaries in `folder`. Links to objects lead to `objects`.
    pub async fn start(
        folder: PathBuf,
        engines: &Engines,
        objects: SocketAddr,
    ) -> io::Result<Self> {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let aws = engines.serve(TcpListener::bind(loopback).await?)?;
        let listener = TcpListener::bind(loopback).await?;
        let address = listener.local_addr()?;
        let pools = Pools::default();
        let router = Router::new()
            .route(
                &format!("/{{function}}/{VERSION}/runtime/invocation/next"),
                get(next),
            )
            .route(
                &format!("/{{function}}/{VERSION}/runtime/invocation/{{id}}/response"),
                post(answer),
            )
            .route(
                &format!("/{{function}}/{VERSION}/runtime/invocation/{{id}}/error"),
                post(fail),
            )
            .route(
                &format!("/{{function}}/{VERSION}/runtime/init/error"),
                post(no_start),
            )
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(pools.clone());
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the Runtime API stopped");
            }
        });
        Ok(Self {
            folder,
            address,
            aws,
            objects,
            pools,
            serving,
        })
    }

    /// Builds a function of the template as a handler or router that runs it in a process.
    pub fn built(&self, declared: &template::Function, engines: &Engines) -> io::Result<Built> {
        let bootstrap = self.folder.join(&declared.binary);
        if !bootstrap.exists() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!(
                    "{} is missing: cargo build --workspace --bins",
                    bootstrap.display()
                ),
            ));
        }
        let caller = Caller::new(
            declared.name.clone(),
            Policy {
                statements: declared.statements.clone(),
            },
        );
        let pool = Arc::new(Pool::new(
            bootstrap,
            self.environment(declared, engines, &caller),
        ));
        self.pools
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(declared.name.clone(), pool.clone());
        if declared.routes.is_empty() {
            Ok(Built::Events(pool::handler(pool)))
        } else {
            Ok(Built::Http(http_event::router(pool)))
        }
    }

    /// Returns the handler of a function that was [built](Self::built), by its physical name.
    pub fn handler(&self, name: &str) -> Option<Handler> {
        pool(&self.pools, name).ok().map(pool::handler)
    }

    /// Returns the environment of a process: what Lambda sets, what the template sets, and the
    /// address of AWS.
    fn environment(
        &self,
        declared: &template::Function,
        engines: &Engines,
        caller: &Caller,
    ) -> BTreeMap<String, String> {
        let credentials = engines.credentials(caller);
        let mut environment = declared.environment.clone();
        let own = [
            // Lambda sets an address. Here it is a URL, because each function has a path of its
            // own.
            (
                "AWS_LAMBDA_RUNTIME_API",
                format!("http://{}/{}", self.address, declared.name),
            ),
            ("AWS_LAMBDA_FUNCTION_NAME", declared.name.clone()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            (
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
                declared.memory_mb.to_string(),
            ),
            (
                "AWS_LAMBDA_LOG_GROUP_NAME",
                format!("/aws/lambda/{}", declared.name),
            ),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "local".to_owned()),
            ("AWS_REGION", template::REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", credentials.access_key_id().to_owned()),
            (
                "AWS_SECRET_ACCESS_KEY",
                credentials.secret_access_key().to_owned(),
            ),
            ("AWS_ENDPOINT_URL", format!("http://{}", self.aws.address())),
            ("AWS_ENDPOINT_URL_S3", format!("http://{}", self.objects)),
        ];
        // Trusted certificates and telemetry settings, which parameters and layers set on Lambda.
        let process = runtime::Environment::process();
        let said = |name: &&str| {
            name.starts_with("OTEL_")
                || [
                    "SSL_CERT_FILE",
                    "SSL_CERT_DIR",
                    "LOG_LEVEL",
                    "WAYBILL_METRICS",
                ]
                .contains(name)
        };
        let said: BTreeMap<String, String> = process
            .names()
            .filter(said)
            .filter_map(|name| Some((name.to_owned(), process.get(name)?.to_owned())))
            .collect();
        if said.keys().any(|name| name.ends_with("_ENDPOINT")) {
            environment.insert("WAYBILL_METRICS".to_owned(), "otlp".to_owned());
        }
        environment.extend(said);
        environment.extend(own.map(|(name, value)| (name.to_owned(), value)));
        environment
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn pool(pools: &Pools, function: &str) -> Result<Arc<Pool>, StatusCode> {
    pools
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .get(function)
        .cloned()
        .ok_or(StatusCode::NOT_FOUND)
}

/// Waits for the next invocation of a function.
async fn next(
    State(pools): State<Pools>,
    Path(function): Path<String>,
) -> Result<Response, StatusCode> {
    let Invocation {
        id,
        deadline_ms,
        arn,
        payload,
    } = pool(&pools, &function)?
        .next()
        .await
        .ok_or(StatusCode::GONE)?;
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", arn),
        ("content-type", "application/json".to_owned()),
    ];
    Ok((headers, payload).into_response())
}

async fn answer(
    State(pools): State<Pools>,
    Path((function, id)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, StatusCode> {
    pool(&pools, &function)?.answered(&id, Ok(body));
    Ok(StatusCode::ACCEPTED)
}

async fn fail(
    State(pools): State<Pools>,
    Path((function, id)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, StatusCode> {
    pool(&pools, &function)?.answered(&id, Err(String::from_utf8_lossy(&body).into_owned()));
    Ok(StatusCode::ACCEPTED)
}

async fn no_start(State(_): State<Pools>, Path(function): Path<String>, body: Bytes) -> StatusCode {
    tracing::error!(
        function,
        error = %String::from_utf8_lossy(&body),
        "a function failed to start"
    );
    StatusCode::ACCEPTED
}
