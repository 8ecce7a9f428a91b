//! The object-store library's HTTP client: ours. Every request goes through the egress guard, once.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use egress::{Client, Outgoing, Schemes, Target};
use futures_util::TryStreamExt as _;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, IF_NONE_MATCH};
use http::{HeaderValue, Method, Uri};
use http_body_util::BodyDataStream;
use object_store::ClientOptions;
use object_store::azure::{AzureAuthorizer, AzureCredential};
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService};
use tokio::time::Instant;

use crate::answer::{Answer, is_error_document};
use crate::payload::Pieces;
use crate::trouble::Trouble;

/// An answer to an upload is a small document.
const ANSWER_BYTES_MAX: usize = egress::BODY_READ_BYTES_MAX;

/// The way to one bucket during one attempt. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Wire(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    schemes: Schemes,
    deadline: Mutex<Instant>,
    create_only: bool,
    account_key: Option<AccountKey>,
}

/// Signs a request to Azure again after a header was added that its signature covers.
#[derive(Debug)]
pub(crate) struct AccountKey {
    pub(crate) account: String,
    pub(crate) credential: AzureCredential,
}

/// A request's body, made as it is sent; put into a request's extensions by [`streamed`].
#[derive(Clone)]
struct Streamed(Arc<Mutex<Option<(u64, Pieces)>>>);

/// Extensions that make the library's request carry these pieces instead of its own body.
pub(crate) fn streamed(size_bytes: u64, pieces: Pieces) -> http::Extensions {
    let mut extensions = http::Extensions::new();
    extensions.insert(Streamed(Arc::new(Mutex::new(Some((size_bytes, pieces))))));
    extensions
}

impl Wire {
    /// `create_only`: an upload in parts is completed only where there is nothing yet. The library says so for single requests alone.
    pub(crate) fn new(client: Client, schemes: Schemes, deadline: Instant, create_only: bool, account_key: Option<AccountKey>) -> Self {
        Self(Arc::new(Inner { client, schemes, deadline: Mutex::new(deadline), create_only, account_key }))
    }

    /// Gives what is sent from now on this much time, however late it is: for cleaning up.
    pub(crate) fn extend(&self, time: Duration) {
        *self.0.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + time;
    }

    /// Sends a request of the library's, or one like it.
    pub(crate) async fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, Trouble> {
        if self.0.create_only && completes_an_upload(request.method(), request.uri()) {
            self.make_conditional(&mut request)?;
        }
        let (mut parts, body) = request.into_parts();
        let target = Target::parse(&parts.uri.to_string(), self.0.schemes).map_err(|refusal| Trouble::address(&refusal))?;
        let instead = parts.extensions.remove::<Streamed>();
        let instead = instead.and_then(|Streamed(slot)| slot.lock().unwrap_or_else(PoisonError::into_inner).take());
        let (size_bytes, body) = match (instead, body.content_length()) {
            (Some((size_bytes, pieces)), _) => (size_bytes, Outgoing::streamed(size_bytes, pieces)),
            (None, 0) => (0, Outgoing::from(Bytes::new())),
            (None, length) => (length as u64, Outgoing::streamed(length as u64, BodyDataStream::new(body).map_err(io::Error::other))),
        };
        if parts.method == Method::PUT || parts.method == Method::POST {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(size_bytes));
        }
        let deadline = *self.0.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        let is_post = parts.method == Method::POST;
        let response = self.0.client.send_body(parts.method, &target, parts.headers, body, deadline).await;
        received(response.map_err(Trouble::Unanswered)?, is_post).await
    }

    fn make_conditional(&self, request: &mut HttpRequest) -> Result<(), Trouble> {
        request.headers_mut().insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        let Some(AccountKey { account, credential }) = &self.0.account_key else { return Ok(()) };
        request.headers_mut().remove(AUTHORIZATION);
        AzureAuthorizer::new(credential, account).try_authorize(request).map_err(Trouble::from)
    }
}

/// S3's CompleteMultipartUpload, Azure's Put Block List.
fn completes_an_upload(method: &Method, uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default();
    let has = |start: &str| query.split('&').any(|pair| pair.starts_with(start));
    match *method {
        Method::POST => has("uploadId="),
        Method::PUT => has("comp=blocklist"),
        _ => false,
    }
}

async fn received(response: egress::Response, is_post: bool) -> Result<HttpResponse, Trouble> {
    let (status, headers) = (response.status, response.headers.clone());
    let body = response.read(ANSWER_BYTES_MAX).await;
    let text = String::from_utf8_lossy(&body.bytes);
    if !status.is_success() || (is_post && is_error_document(&text)) {
        return Err(Trouble::Refused(Answer::new(status, &headers, &text)));
    }
    if body.truncated {
        return Err(Trouble::BrokenOff);
    }
    let mut answer = HttpResponse::new(HttpResponseBody::from(body.bytes));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(answer)
}

impl HttpConnector for Wire {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.send(request).await.map_err(|trouble| HttpError::new(HttpErrorKind::Unknown, trouble))
    }
}
