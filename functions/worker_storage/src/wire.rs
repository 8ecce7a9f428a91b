//! The object-store library's HTTP client: ours. Every request goes through the egress guard, once.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use egress::{Client, Outgoing, Schemes, Target};
use futures_util::TryStreamExt as _;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Method, Uri};
use http_body_util::BodyDataStream;
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::azure::{AzureAuthorizer, AzureCredential};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody, HttpService,
};
use store::OwnObject;
use tokio::time::Instant;
use url::form_urlencoded;
use worker::Pieces;

use crate::answer::{Answer, etag, is_error_document};
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
    signer: Option<Signer>,
}

/// Signs a request again after headers were added that its signature covers.
#[derive(Debug)]
pub(crate) enum Signer {
    /// With a storage account's key.
    Azure {
        /// The account.
        account: String,
        /// Its key.
        credential: Arc<AzureCredential>,
    },
    /// As AWS does it (Signature Version 4).
    Amazon {
        /// The bucket's region.
        region: String,
        /// Who asks.
        credential: Arc<AwsCredential>,
    },
}

impl Signer {
    fn sign(&self, request: &mut HttpRequest) -> Result<(), Trouble> {
        request.headers_mut().remove(AUTHORIZATION);
        match self {
            Self::Azure { account, credential } => AzureAuthorizer::new(credential, account).try_authorize(request)?,
            Self::Amazon { region, credential } => AwsAuthorizer::new(credential, "s3", region).try_authorize(request, None)?,
        }
        Ok(())
    }
}

/// A request's body, made as it is sent; put into a request's extensions by [`streamed`].
#[derive(Clone)]
struct Streamed(Arc<Mutex<Option<(u64, Pieces)>>>);

/// What an upload is a copy of: the value of `x-amz-copy-source`. Put into a request's extensions by [`copied`].
#[derive(Clone)]
struct Copied(HeaderValue);

/// Extensions that make the library's upload a copy of an object in S3, which S3 makes by itself (CopyObject).
pub(crate) fn copied(source: &OwnObject) -> Option<http::Extensions> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
    let key = source.key.split('/').map(encoded).collect::<Vec<_>>().join("/");
    let version = source.version.as_deref().map(|version| format!("?versionId={}", encoded(version))).unwrap_or_default();
    let mut extensions = http::Extensions::new();
    extensions.insert(Copied(HeaderValue::from_str(&format!("{}/{key}{version}", source.bucket)).ok()?));
    Some(extensions)
}

/// Extensions that make the library's request carry these pieces instead of its own body.
pub(crate) fn streamed(size_bytes: u64, pieces: Pieces) -> http::Extensions {
    let mut extensions = http::Extensions::new();
    extensions.insert(Streamed(Arc::new(Mutex::new(Some((size_bytes, pieces))))));
    extensions
}

impl Wire {
    /// `create_only`: an upload in parts is completed only where there is nothing yet. The library says so for single requests alone.
    pub(crate) fn new(client: Client, schemes: Schemes, deadline: Instant, create_only: bool, signer: Option<Signer>) -> Self {
        Self(Arc::new(Inner { client, schemes, deadline: Mutex::new(deadline), create_only, signer }))
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
        let copied = request.extensions_mut().remove::<Copied>();
        let is_copy = copied.is_some();
        if let Some(Copied(source)) = copied {
            self.make_copy(&mut request, source)?;
        }
        let (mut parts, body) = request.into_parts();
        let target = Target::parse(&parts.uri.to_string(), self.0.schemes).map_err(|refusal| Trouble::address(&refusal))?;
        let instead = parts.extensions.remove::<Streamed>();
        let instead = instead.and_then(|Streamed(slot)| slot.lock().unwrap_or_else(PoisonError::into_inner).take());
        let (size_bytes, body) = match (instead, body.content_length()) {
            (Some((size_bytes, pieces)), _) => (size_bytes, Outgoing::streamed(size_bytes, pieces.map_err(io::Error::other))),
            (None, 0) => (0, Outgoing::from(Bytes::new())),
            (None, length) => (length as u64, Outgoing::streamed(length as u64, BodyDataStream::new(body).map_err(io::Error::other))),
        };
        if parts.method == Method::PUT || parts.method == Method::POST {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(size_bytes));
        }
        let deadline = *self.0.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        let is_told_late = parts.method == Method::POST || is_copy;
        let response = self.0.client.send_body(parts.method, &target, parts.headers, body, deadline).await;
        received(response.map_err(Trouble::Unanswered)?, is_told_late).await
    }

    fn make_copy(&self, request: &mut HttpRequest, source: HeaderValue) -> Result<(), Trouble> {
        let Some(amazon @ Signer::Amazon { .. }) = &self.0.signer else { return Err(Trouble::Unintelligible) };
        *request.body_mut() = HttpRequestBody::empty();
        let headers = request.headers_mut();
        headers.insert("x-amz-copy-source", source);
        for directive in ["x-amz-metadata-directive", "x-amz-tagging-directive"] {
            headers.insert(directive, HeaderValue::from_static("REPLACE"));
        }
        amazon.sign(request)
    }

    fn make_conditional(&self, request: &mut HttpRequest) -> Result<(), Trouble> {
        request.headers_mut().insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        match &self.0.signer {
            // Amazon's signature covers no header but its own.
            None | Some(Signer::Amazon { .. }) => Ok(()),
            Some(azure @ Signer::Azure { .. }) => azure.sign(request),
        }
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

/// `is_told_late`: S3 answers 200 and only then does the work, so that a refusal is in the body, and so is the new object's tag.
async fn received(response: egress::Response, is_told_late: bool) -> Result<HttpResponse, Trouble> {
    let (status, mut headers) = (response.status, response.headers.clone());
    let body = response.read(ANSWER_BYTES_MAX).await;
    let text = String::from_utf8_lossy(&body.bytes);
    if !status.is_success() || (is_told_late && is_error_document(&text)) {
        return Err(Trouble::Refused(Answer::new(status, &headers, &text)));
    }
    if body.truncated {
        return Err(Trouble::BrokenOff);
    }
    if is_told_late && let Some(etag) = etag(&text) {
        headers.insert(ETAG, etag);
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
