//! The HTTP client of the object-store library. Every request passes the egress guard and is sent
//! once.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::Clock;
use domain::percent::{encoded, encoded_path};
use egress::{Client, Outgoing, Schemes, Target};
use futures_util::{FutureExt as _, TryStreamExt as _};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, ETAG, IF_NONE_MATCH};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyDataStream, BodyExt as _};
use md5::{Digest as _, Md5};
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::azure::{AzureAuthorizer, AzureCredential};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use store::OwnObject;
use tokio::time::Instant;
use worker::Pieces;

use crate::answer::{Answer, etag, is_error_document};
use crate::conditions::UNPROTECTED;
use crate::error::StorageError;

/// The largest answer that is read. An answer to an upload is a small document.
const ANSWER_BYTES_MAX: usize = egress::BODY_READ_BYTES_MAX;
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
/// The header with the hash of the body that a signature covers.
const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// Sends the requests of one attempt to one bucket. Cloning it is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Wire(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    route: Route,
    deadline: Mutex<Instant>,
    looks: AtomicBool,
    refuses_conditions: AtomicBool,
    /// Whether the server refuses uploads without `Content-MD5`.
    requires_md5: AtomicBool,
    leaves_parts: AtomicBool,
}

/// How to send requests to one bucket.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) client: Client,
    pub(crate) schemes: Schemes,
    pub(crate) clock: Clock,
    /// Whether completing a multipart upload requires that no object exists. The library sets this
    /// condition only on single requests.
    pub(crate) create_only: bool,
    /// Whether to look for an object before completing, because the server may ignore conditions.
    pub(crate) looks: bool,
    pub(crate) signer: Option<Signer>,
}

/// Whether an object exists at a key.
enum Occupancy {
    Vacant,
    Occupied,
    /// The credentials do not permit a look.
    Unseen,
}

/// Signs a request again after headers were added that its signature covers.
#[derive(Debug)]
pub(crate) enum Signer {
    /// Signs with the key of an Azure storage account.
    Azure {
        /// The name of the account.
        account: String,
        /// The key of the account.
        credential: Arc<AzureCredential>,
    },
    /// Signs for AWS (Signature Version 4).
    Amazon {
        /// The region of the bucket.
        region: String,
        /// The credentials that sign.
        credential: Arc<AwsCredential>,
    },
}

impl Signer {
    fn sign(&self, request: &mut HttpRequest) -> Result<(), StorageError> {
        request.headers_mut().remove(AUTHORIZATION);
        let hash = request
            .headers()
            .get(CONTENT_SHA256)
            .and_then(|hash| from_hex(hash.as_bytes()));
        match self {
            Self::Azure {
                account,
                credential,
            } => AzureAuthorizer::new(credential, account).try_authorize(request)?,
            Self::Amazon { region, credential } => AwsAuthorizer::new(credential, "s3", region)
                .try_authorize(request, hash.as_deref())?,
        }
        Ok(())
    }
}

/// A body that is streamed, which [`streamed`] puts into a request's extensions.
#[derive(Clone)]
struct Streamed(Arc<Mutex<Option<(u64, Pieces)>>>);

/// The source of a copy: the value of `x-amz-copy-source` and the required entity tag, which
/// [`copied`] puts into a request's extensions.
#[derive(Clone)]
struct Copied(HeaderValue, Option<HeaderValue>);

/// Returns extensions that turn the library's upload into a copy of an object within S3
/// (CopyObject).
pub(crate) fn copied(source: &OwnObject) -> Option<http::Extensions> {
    let key = encoded_path(&source.key);
    let version = source
        .version
        .as_deref()
        .map(|version| format!("?versionId={}", encoded(version)))
        .unwrap_or_default();
    let mut extensions = http::Extensions::new();
    let etag = source
        .etag
        .as_deref()
        .map(HeaderValue::from_str)
        .transpose()
        .ok()?;
    extensions.insert(Copied(
        HeaderValue::from_str(&format!("{}/{key}{version}", source.bucket)).ok()?,
        etag,
    ));
    Some(extensions)
}

/// Returns extensions that replace the body of the library's request with these pieces.
pub(crate) fn streamed(size_bytes: u64, pieces: Pieces) -> http::Extensions {
    let mut extensions = http::Extensions::new();
    extensions.insert(Streamed(Arc::new(Mutex::new(Some((size_bytes, pieces))))));
    extensions
}

impl Wire {
    pub(crate) fn new(route: Route, deadline: Instant) -> Self {
        let looks = AtomicBool::new(route.looks);
        let (refuses_conditions, leaves_parts) = (AtomicBool::new(false), AtomicBool::new(false));
        Self(Arc::new(Inner {
            route,
            deadline: Mutex::new(deadline),
            looks,
            refuses_conditions,
            requires_md5: AtomicBool::new(false),
            leaves_parts,
        }))
    }

    /// Stops looking for objects, so that a check finds out how the server handles conditions.
    pub(crate) fn relies_on_conditions(&self) {
        self.0.looks.store(false, Ordering::Relaxed);
    }

    /// Whether the server answered that it does not implement conditions.
    pub(crate) fn refuses_conditions(&self) -> bool {
        self.0.refuses_conditions.load(Ordering::Relaxed)
    }

    /// Records that an unfinished upload could not be aborted.
    pub(crate) fn leaves_parts_behind(&self) {
        self.0.leaves_parts.store(true, Ordering::Relaxed);
    }

    /// Whether an unfinished upload could not be aborted.
    pub(crate) fn left_parts_behind(&self) -> bool {
        self.0.leaves_parts.load(Ordering::Relaxed)
    }

    /// Sets a new deadline for the following requests, so that cleaning up has time after the
    /// attempt's deadline.
    pub(crate) fn extend(&self, time: Duration) {
        *self
            .0
            .deadline
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now() + time;
    }

    /// Sends a request of the library, or an equivalent one.
    pub(crate) async fn send(
        &self,
        mut request: HttpRequest,
    ) -> Result<HttpResponse, StorageError> {
        let route = &self.0.route;
        if route.create_only && completes_an_upload(request.method(), request.uri()) {
            if self.0.looks.load(Ordering::Relaxed)
                && matches!(self.occupancy(&request).await?, Occupancy::Occupied)
            {
                return Err(StorageError::Taken);
            }
            self.make_conditional(&mut request)?;
        }
        let copied = request.extensions_mut().remove::<Copied>();
        let is_copy = copied.is_some();
        if let Some(copied) = copied {
            self.make_copy(&mut request, copied)?;
        }
        let is_amazon = matches!(route.signer, Some(Signer::Amazon { .. }));
        let is_upload = is_amazon && !is_copy && request.method() == Method::PUT;
        if is_upload && self.0.requires_md5.load(Ordering::Relaxed) {
            add_content_md5(&mut request);
        }
        let may_fail_in_body = request.method() == Method::POST || is_copy;
        let mut answer = self.exchange(request.clone(), may_fail_in_body).await;
        if is_upload
            && !request.headers().contains_key(CONTENT_MD5)
            && matches!(&answer, Err(error) if error.may_require_checksum())
        {
            self.0.requires_md5.store(true, Ordering::Relaxed);
            add_content_md5(&mut request);
            answer = self.exchange(request.clone(), may_fail_in_body).await;
        }
        if is_amazon
            && request.headers().contains_key(IF_NONE_MATCH)
            && matches!(&answer, Err(error) if error.is_not_implemented())
        {
            return self.send_unconditionally(request, may_fail_in_body).await;
        }
        answer
    }

    /// Repeats a request without the condition that the server does not implement, if no object
    /// exists at the key.
    async fn send_unconditionally(
        &self,
        mut request: HttpRequest,
        may_fail_in_body: bool,
    ) -> Result<HttpResponse, StorageError> {
        self.0.refuses_conditions.store(true, Ordering::Relaxed);
        match self.occupancy(&request).await? {
            Occupancy::Occupied => Err(StorageError::Taken),
            Occupancy::Unseen => Err(StorageError::misconfigured(UNPROTECTED)),
            Occupancy::Vacant => {
                request.headers_mut().remove(IF_NONE_MATCH);
                self.sign(&mut request)?;
                self.exchange(request, may_fail_in_body).await
            }
        }
    }

    /// Looks for an object at the key of a request to S3. Other providers honor conditions.
    async fn occupancy(&self, request: &HttpRequest) -> Result<Occupancy, StorageError> {
        if !matches!(self.0.route.signer, Some(Signer::Amazon { .. })) {
            return Ok(Occupancy::Unseen);
        }
        let mut head = HttpRequest::new(HttpRequestBody::empty());
        *head.method_mut() = Method::HEAD;
        let uri = request.uri().to_string();
        let object = uri.split_once('?').map_or(&*uri, |(object, _)| object);
        *head.uri_mut() = object.parse().map_err(|_| StorageError::unintelligible())?;
        self.sign(&mut head)?;
        match self.exchange(head, false).await {
            Ok(_) => Ok(Occupancy::Occupied),
            Err(error) => match error.answer().map(|answer| answer.status) {
                Some(StatusCode::NOT_FOUND) => Ok(Occupancy::Vacant),
                Some(StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST) => Ok(Occupancy::Unseen),
                _ => Err(error),
            },
        }
    }

    fn sign(&self, request: &mut HttpRequest) -> Result<(), StorageError> {
        self.0
            .route
            .signer
            .as_ref()
            .ok_or_else(StorageError::unintelligible)?
            .sign(request)
    }

    /// Sends a request once. `may_fail_in_body` says that a successful status may have an error in
    /// its body.
    async fn exchange(
        &self,
        request: HttpRequest,
        may_fail_in_body: bool,
    ) -> Result<HttpResponse, StorageError> {
        let route = &self.0.route;
        let (mut parts, body) = request.into_parts();
        let target = Target::parse(&parts.uri.to_string(), route.schemes)
            .map_err(|refusal| StorageError::address(&refusal))?;
        let instead = parts.extensions.remove::<Streamed>();
        let instead = instead
            .and_then(|Streamed(slot)| slot.lock().unwrap_or_else(PoisonError::into_inner).take());
        let (size_bytes, body) = match (instead, body.content_length()) {
            (Some((size_bytes, pieces)), _) => (
                size_bytes,
                Outgoing::streamed(size_bytes, pieces.map_err(io::Error::other)),
            ),
            (None, 0) => (0, Outgoing::from(Bytes::new())),
            (None, length) => (
                length as u64,
                Outgoing::streamed(
                    length as u64,
                    BodyDataStream::new(body).map_err(io::Error::other),
                ),
            ),
        };
        if parts.method == Method::PUT || parts.method == Method::POST {
            parts
                .headers
                .insert(CONTENT_LENGTH, HeaderValue::from(size_bytes));
        }
        let deadline = *self
            .0
            .deadline
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let response = route
            .client
            .send_body(parts.method, &target, parts.headers, body, deadline)
            .await;
        received(response?, may_fail_in_body, &route.clock).await
    }

    fn make_copy(
        &self,
        request: &mut HttpRequest,
        Copied(source, etag): Copied,
    ) -> Result<(), StorageError> {
        let Some(amazon @ Signer::Amazon { .. }) = &self.0.route.signer else {
            return Err(StorageError::unintelligible());
        };
        *request.body_mut() = HttpRequestBody::empty();
        let headers = request.headers_mut();
        headers.insert("x-amz-copy-source", source);
        if let Some(etag) = etag {
            headers.insert("x-amz-copy-source-if-match", etag);
        }
        for directive in ["x-amz-metadata-directive", "x-amz-tagging-directive"] {
            headers.insert(directive, HeaderValue::from_static("REPLACE"));
        }
        amazon.sign(request)
    }

    fn make_conditional(&self, request: &mut HttpRequest) -> Result<(), StorageError> {
        request
            .headers_mut()
            .insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        match &self.0.route.signer {
            // AWS requires only the host and `x-amz-*` headers to be signed.
            None | Some(Signer::Amazon { .. }) => Ok(()),
            Some(azure @ Signer::Azure { .. }) => azure.sign(request),
        }
    }
}

/// Adds the MD5 of a body in memory. Buckets with Object Lock refuse uploads and parts without it or
/// another checksum (PutObject, Content-MD5); MD5 is the checksum that every server supports. It is
/// sent only to servers that require it: the signature covers the body's SHA-256, so that MD5
/// protects nothing else and would make large uploads slower.
fn add_content_md5(request: &mut HttpRequest) {
    let mut md5 = Md5::new();
    let mut body = request.body().clone();
    while let Some(Some(Ok(frame))) = body.frame().now_or_never() {
        if let Ok(data) = frame.into_data() {
            md5.update(&data);
        }
    }
    if let Ok(md5) = HeaderValue::from_str(&STANDARD.encode(md5.finalize())) {
        request.headers_mut().insert(CONTENT_MD5, md5);
    }
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    hex::decode(text).ok().filter(|digest| digest.len() == 32)
}

/// Whether a request completes an upload: S3's CompleteMultipartUpload, Azure's Put Block List.
fn completes_an_upload(method: &Method, uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default();
    let has = |start: &str| query.split('&').any(|pair| pair.starts_with(start));
    match *method {
        Method::POST => has("uploadId="),
        Method::PUT => has("comp=blocklist"),
        _ => false,
    }
}

/// Reads an answer. `may_fail_in_body` says that S3 may answer 200 before it does the work; the
/// body then holds an error, or the new object's entity tag.
async fn received(
    response: egress::Response,
    may_fail_in_body: bool,
    clock: &Clock,
) -> Result<HttpResponse, StorageError> {
    let (status, mut headers) = (response.status, response.headers.clone());
    let body = response.read(ANSWER_BYTES_MAX).await;
    let text = String::from_utf8_lossy(&body.bytes);
    if !status.is_success() || (may_fail_in_body && is_error_document(&text)) {
        return Err(StorageError::Refused(Answer::new(
            status,
            &headers,
            &text,
            clock.now(),
        )));
    }
    if body.truncated {
        return Err(StorageError::protocol("the store's answer ended early"));
    }
    if may_fail_in_body && let Some(etag) = etag(&text) {
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
        self.send(request)
            .await
            .map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))
    }
}
