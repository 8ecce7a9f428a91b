//! An S3-compatible store with the peculiarities of some real ones: it ignores or refuses
//! conditional writes, requires checksums, or does not allow reading. It stores objects in memory
//! and accepts every signature.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, ETAG, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use md5::{Digest as _, Md5};
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The bucket of the store.
pub const BUCKET: &str = "reports";

/// A refusal of a request: status, code and headers.
pub type Refusal = (u16, &'static str, Vec<(&'static str, &'static str)>);

/// How a store handles `If-None-Match` on writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Conditional {
    /// Writes only if there is no object.
    #[default]
    Honored,
    /// Writes regardless of the condition.
    Ignored,
    /// Honors it in single requests and ignores it when a multipart upload is completed.
    IgnoredInParts,
    /// Responds with 501 to conditional writes.
    Refused,
}

/// The differences between a store and Amazon S3.
#[derive(Debug, Clone, Default)]
pub struct Oddities {
    /// How conditional writes are handled.
    pub conditional: Conditional,
    /// Whether uploads and parts require `Content-MD5`, as in a bucket with Object Lock.
    pub demands_md5: bool,
    /// Whether reading objects is refused.
    pub write_only: bool,
    /// Whether deleting objects and aborting uploads is refused.
    pub keeps_everything: bool,
    /// The refusal of every request to write: status, code and headers.
    pub refuses: Option<Refusal>,
}

/// A running server. Dropping it ends it.
pub struct OddS3 {
    /// The URL of the server.
    pub endpoint: String,
    state: Arc<State>,
    server: JoinHandle<()>,
}

struct State {
    oddities: Oddities,
    objects: Mutex<BTreeMap<String, (HeaderMap, Bytes)>>,
    parts: Mutex<BTreeMap<u32, Bytes>>,
    begun: Mutex<HeaderMap>,
}

type Answer = Response<Full<Bytes>>;

impl OddS3 {
    /// Starts a server with an empty bucket.
    pub async fn start(oddities: Oddities) -> Self {
        let state = State {
            oddities,
            objects: Mutex::default(),
            parts: Mutex::default(),
            begun: Mutex::default(),
        };
        let state = Arc::new(state);
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the loopback has a free port");
        let endpoint = format!(
            "http://{}",
            listener
                .local_addr()
                .expect("a bound listener has an address")
        );
        let served = Arc::clone(&state);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&served);
                let service = service_fn(move |request| {
                    let state = Arc::clone(&state);
                    async move { state.answer(request).await }
                });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Self {
            endpoint,
            state,
            server,
        }
    }

    /// Returns the object at a key of the bucket.
    pub fn object(&self, key: &str) -> Option<Bytes> {
        lock(&self.state.objects)
            .get(&format!("/{BUCKET}/{key}"))
            .map(|(_, bytes)| bytes.clone())
    }

    /// Stores an object regardless of the peculiarities.
    pub fn put(&self, key: &str, bytes: &'static [u8]) {
        lock(&self.state.objects).insert(
            format!("/{BUCKET}/{key}"),
            (HeaderMap::new(), Bytes::from_static(bytes)),
        );
    }

    /// Returns the keys of all objects.
    pub fn keys(&self) -> Vec<String> {
        let start = format!("/{BUCKET}/");
        lock(&self.state.objects)
            .keys()
            .map(|key| key.trim_start_matches(&start).to_owned())
            .collect()
    }
}

impl Drop for OddS3 {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, hyper::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = percent_decode_str(parts.uri.path())
            .decode_utf8_lossy()
            .into_owned();
        let query = parts.uri.query().unwrap_or_default();
        let is_read = parts.method == Method::GET || parts.method == Method::HEAD;
        if !path.starts_with(&format!("/{BUCKET}/")) {
            return Ok(refusal(404, "NoSuchBucket"));
        }
        if let Some((status, code, headers)) = self.oddities.refuses.as_ref().filter(|_| !is_read) {
            let mut answer = refusal(*status, code);
            for (name, value) in headers {
                answer
                    .headers_mut()
                    .insert(*name, value.parse().expect("a header's value"));
            }
            return Ok(answer);
        }
        Ok(match parts.method {
            Method::GET | Method::HEAD if self.oddities.write_only => refusal(403, "AccessDenied"),
            Method::GET | Method::HEAD => self.read(&path, parts.method == Method::HEAD),
            Method::DELETE if self.oddities.keeps_everything => refusal(403, "AccessDenied"),
            Method::DELETE if query.contains("uploadId=") => status(204),
            Method::DELETE => {
                lock(&self.objects).remove(&path);
                status(204)
            }
            Method::POST if query.contains("uploads") => {
                lock(&self.parts).clear();
                *lock(&self.begun) = parts.headers;
                let result = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>";
                Response::new(Full::from(result))
            }
            Method::POST => self.complete(path, &parts.headers),
            Method::PUT if self.oddities.demands_md5 && !has_md5(&parts.headers, &body) => {
                refusal(400, "InvalidRequest")
            }
            Method::PUT => match number(query) {
                Some(number) => {
                    lock(&self.parts).insert(number, body);
                    tagged()
                }
                None => self.put(path, parts.headers, body),
            },
            _ => refusal(405, "MethodNotAllowed"),
        })
    }

    fn read(&self, path: &str, head: bool) -> Answer {
        let Some((headers, bytes)) = lock(&self.objects).get(path).cloned() else {
            return refusal(404, "NoSuchKey");
        };
        let mut answer = tagged();
        for (name, value) in headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("x-amz-meta-"))
        {
            answer.headers_mut().insert(name, value.clone());
        }
        answer
            .headers_mut()
            .insert(CONTENT_LENGTH, bytes.len().into());
        if !head {
            *answer.body_mut() = Full::new(bytes);
        }
        answer
    }

    fn put(&self, path: String, headers: HeaderMap, bytes: Bytes) -> Answer {
        if let Some(refusal) = self.unmet(&path, &headers, false) {
            return refusal;
        }
        lock(&self.objects).insert(path, (headers, bytes));
        tagged()
    }

    fn complete(&self, path: String, headers: &HeaderMap) -> Answer {
        if let Some(refusal) = self.unmet(&path, headers, true) {
            return refusal;
        }
        let bytes: Vec<u8> = lock(&self.parts).values().flatten().copied().collect();
        lock(&self.objects).insert(path, (lock(&self.begun).clone(), bytes.into()));
        let result = "<CompleteMultipartUploadResult><ETag>&quot;1&quot;</ETag></CompleteMultipartUploadResult>";
        Response::new(Full::from(result))
    }

    fn unmet(&self, path: &str, headers: &HeaderMap, in_parts: bool) -> Option<Answer> {
        if !headers.contains_key(IF_NONE_MATCH) {
            return None;
        }
        match self.oddities.conditional {
            Conditional::Refused => Some(refusal(501, "NotImplemented")),
            Conditional::Ignored => None,
            Conditional::IgnoredInParts if in_parts => None,
            Conditional::Honored | Conditional::IgnoredInParts => lock(&self.objects)
                .contains_key(path)
                .then(|| refusal(412, "PreconditionFailed")),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(query: &str) -> Option<u32> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("partNumber="))?
        .parse()
        .ok()
}

fn has_md5(headers: &HeaderMap, body: &[u8]) -> bool {
    headers
        .get("content-md5")
        .is_some_and(|md5| md5.as_bytes() == STANDARD.encode(Md5::digest(body)).as_bytes())
}

fn tagged() -> Answer {
    let mut answer = status(200);
    answer
        .headers_mut()
        .insert(ETAG, "\"1\"".parse().expect("ASCII"));
    answer.headers_mut().insert(
        LAST_MODIFIED,
        "Tue, 24 Nov 2026 03:00:00 GMT".parse().expect("ASCII"),
    );
    answer
}

fn status(code: u16) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::from_u16(code).expect("a status");
    answer
}

fn refusal(code: u16, name: &str) -> Answer {
    let mut answer = status(code);
    *answer.body_mut() = Full::from(format!(
        "<Error><Code>{name}</Code><Message>{name}.</Message></Error>"
    ));
    answer
}
