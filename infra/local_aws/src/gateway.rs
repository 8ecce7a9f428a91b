//! The connector behind a loopback socket, for links in a browser, the AWS CLI, and functions in
//! processes of their own.

use std::convert::Infallible;
use std::net::SocketAddr;

use aws_smithy_types::body::SdkBody;
use http::header::HOST;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::connector::{access_key, scope_service};
use crate::wire::Response;
use crate::{Engines, Service};

/// What a gateway serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ServedEngine {
    /// Access to every embedded service.
    Everything,
    /// Only S3, whose signatures are verified.
    Objects,
}

/// A listener. Dropping it closes its connections.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Gateway {
    /// Returns the address of the listener.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Engines {
    /// Serves every service on `listener` to callers with credentials of [`Engines::credentials`].
    /// The access key alone authenticates a request, because only S3 verifies signatures. This is
    /// therefore for tests and tools on a loopback address.
    pub fn serve(&self, listener: TcpListener) -> std::io::Result<Gateway> {
        self.listen(listener, ServedEngine::Everything)
    }

    /// Serves S3 on `listener`. S3 clients that are built afterwards sign for its address, so that
    /// their presigned links work in a browser.
    pub fn serve_objects(&self, listener: TcpListener) -> std::io::Result<Gateway> {
        let gateway = self.listen(listener, ServedEngine::Objects)?;
        self.engine().move_objects(gateway.address);
        Ok(gateway)
    }

    fn listen(&self, listener: TcpListener, offer: ServedEngine) -> std::io::Result<Gateway> {
        let address = listener.local_addr()?;
        let engines = self.clone();
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => drop(connections.spawn(converse(engines.clone(), stream,
                            offer))),
                        Err(error) => tracing::warn!(%error, "failed to accept a connection"),
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Gateway { address, accepting })
    }
}

async fn converse(engines: Engines, stream: TcpStream, offer: ServedEngine) {
    let service = service_fn(|request| answer(&engines, request, offer));
    if let Err(error) = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(
    engines: &Engines,
    request: Request<Incoming>,
    offer: ServedEngine,
) -> Result<Response, Infallible> {
    let request = request.map(SdkBody::from_body_1_x);
    if !is_for_loopback(&request) {
        return Ok(refusal(
            StatusCode::FORBIDDEN,
            "this address answers to loopback names only",
        ));
    }
    if offer == ServedEngine::Objects
        && scope_service(&request).as_deref() != Some(Service::S3.name())
    {
        return Ok(refusal(
            StatusCode::FORBIDDEN,
            "this address offers signed S3 requests only",
        ));
    }
    let Some(connector) = access_key(&request).and_then(|key| engines.connector_of(&key)) else {
        return Ok(refusal(
            StatusCode::FORBIDDEN,
            "the request has no access key of these engines",
        ));
    };
    Ok(connector
        .answer(request)
        .await
        .unwrap_or_else(|error| refusal(StatusCode::NOT_IMPLEMENTED, &error.to_string())))
}

/// A page whose name was rebound to the loopback address still sends its own name as `Host`.
fn is_for_loopback(request: &Request<SdkBody>) -> bool {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}

fn refusal(status: StatusCode, message: &str) -> Response {
    let mut response = Response::new(SdkBody::from(message));
    *response.status_mut() = status;
    response
}
