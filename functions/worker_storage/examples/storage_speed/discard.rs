//! An S3 server that accepts everything and stores nothing, so that only the client is measured.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Starts the server and returns its address.
pub(crate) async fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream.set_nodelay(true));
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::spawn(async move { drop(connection.await) });
        }
    });
    endpoint
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (method, query) = (
        request.method().clone(),
        request.uri().query().unwrap_or_default().to_owned(),
    );
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        drop(frame?);
    }
    let document = match method {
        Method::POST if query.starts_with("uploads") => {
            "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId></InitiateMultipartUploadResult>"
        }
        Method::POST => {
            "<CompleteMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><ETag>\"e\"</ETag></CompleteMultipartUploadResult>"
        }
        _ => "",
    };
    let mut answer = Response::new(Full::from(document));
    answer
        .headers_mut()
        .insert("etag", "\"e\"".parse().unwrap());
    if method == Method::HEAD {
        *answer.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(answer)
}
