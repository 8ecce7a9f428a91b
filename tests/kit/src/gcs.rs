//! The part of Google Cloud Storage's XML API that deliveries use, because no independent
//! implementation requires credentials. It stores objects in memory, verifies that a token was
//! signed with the service account's key, and supports preconditions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, ETAG, LAST_MODIFIED};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use servers::google::{EMAIL, ServiceAccount};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The bucket of the server.
pub const BUCKET: &str = "reports";

/// An object that the server stores.
#[derive(Debug, Clone)]
pub struct Object {
    /// The content. Objects over 64 MiB are counted and not stored.
    pub bytes: Bytes,
    /// The size of the content in bytes.
    pub size_bytes: u64,
    /// The headers of the request.
    pub headers: HeaderMap,
    /// The generation of the object.
    pub generation: u64,
}

/// A running server. Dropping it ends it.
pub struct Gcs {
    /// The URL of the server.
    pub endpoint: String,
    /// The key file of the service account that the server accepts.
    pub service_account: Value,
    state: Arc<State>,
    server: JoinHandle<()>,
}

struct State {
    public_key: Vec<u8>,
    /// Whether the account may write.
    writable: bool,
    objects: Mutex<BTreeMap<String, Object>>,
}

const KEPT_BYTES_MAX: u64 = 64 << 20;

impl Gcs {
    /// Starts a server with an empty bucket that the service account may write to.
    pub async fn start() -> Self {
        Self::launch(true).await
    }

    /// Starts a server whose account may only read.
    pub async fn start_read_only() -> Self {
        Self::launch(false).await
    }

    async fn launch(writable: bool) -> Self {
        let ServiceAccount {
            public_key,
            file: service_account,
        } = ServiceAccount::generate();
        let state = Arc::new(State {
            public_key,
            writable,
            objects: Mutex::default(),
        });
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
            service_account,
            state,
            server,
        }
    }

    /// Returns the object at a key of the bucket.
    pub fn object(&self, key: &str) -> Option<Object> {
        self.state
            .objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&format!("/{BUCKET}/{key}"))
            .cloned()
    }

    /// Returns how many objects there are.
    pub fn count(&self) -> usize {
        self.state
            .objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

impl Drop for Gcs {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Returns the key file of a service account that no server accepts.
pub fn stranger() -> Value {
    ServiceAccount::generate().file
}

type Answer = Response<Full<Bytes>>;

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, hyper::Error> {
        let (parts, mut body) = request.into_parts();
        let path = percent_decode_str(parts.uri.path())
            .decode_utf8_lossy()
            .into_owned();
        if !self.believes(&parts.headers) {
            return Ok(refusal(StatusCode::UNAUTHORIZED, "AuthenticationRequired"));
        }
        if !path.starts_with(&format!("/{BUCKET}/")) {
            return Ok(refusal(StatusCode::NOT_FOUND, "NoSuchBucket"));
        }
        let found = || {
            self.objects
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&path)
                .cloned()
        };
        let answer = match (&parts.method, found()) {
            (&Method::PUT | &Method::DELETE, _) if !self.writable => {
                refusal(StatusCode::FORBIDDEN, "AccessDenied")
            }
            (&Method::PUT, _) => {
                let mut bytes = Vec::new();
                let mut size_bytes = 0;
                while let Some(frame) = body.frame().await {
                    // An interrupted body creates no object.
                    let Ok(data) = frame?.into_data() else {
                        continue;
                    };
                    size_bytes += data.len() as u64;
                    if size_bytes <= KEPT_BYTES_MAX {
                        bytes.extend_from_slice(&data);
                    }
                }
                self.put(
                    path,
                    Object {
                        bytes: bytes.into(),
                        size_bytes,
                        headers: parts.headers,
                        generation: 0,
                    },
                )
            }
            (&Method::GET | &Method::HEAD, Some(object)) => {
                described(&object, parts.method == Method::HEAD)
            }
            (&Method::DELETE, Some(_)) => {
                self.objects
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&path);
                status(StatusCode::NO_CONTENT)
            }
            (_, None) => refusal(StatusCode::NOT_FOUND, "NoSuchKey"),
            _ => refusal(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        };
        Ok(answer)
    }

    fn put(&self, path: String, mut object: Object) -> Answer {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let before = objects.get(&path).map_or(0, |object| object.generation);
        let condition = object
            .headers
            .get("x-goog-if-generation-match")
            .and_then(|value| value.to_str().ok());
        if condition.is_some_and(|generation| generation != before.to_string()) {
            return refusal(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
        }
        object.generation = before + 1;
        let answer = described(&object, true);
        objects.insert(path, object);
        answer
    }

    /// Whether the token is signed with the key of its subject and is recent (RFC 7515).
    fn believes(&self, headers: &HeaderMap) -> bool {
        let token = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        let Some((signed, signature)) = token.and_then(|token| token.rsplit_once('.')) else {
            return false;
        };
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else {
            return false;
        };
        if UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public_key)
            .verify(signed.as_bytes(), &signature)
            .is_err()
        {
            return false;
        }
        let claims = signed
            .split_once('.')
            .and_then(|(_, claims)| URL_SAFE_NO_PAD.decode(claims).ok());
        let claims: Value = claims
            .and_then(|claims| serde_json::from_slice(&claims).ok())
            .unwrap_or_default();
        claims["iss"] == EMAIL
            && claims["sub"] == EMAIL
            && claims["scope"]
                .as_str()
                .is_some_and(|scope| scope.contains("googleapis.com/auth"))
    }
}

fn described(object: &Object, head: bool) -> Answer {
    let mut answer = status(StatusCode::OK);
    let headers = answer.headers_mut();
    headers.insert(
        ETAG,
        format!("\"generation-{}\"", object.generation)
            .parse()
            .expect("ASCII"),
    );
    headers.insert(
        LAST_MODIFIED,
        "Tue, 24 Nov 2026 03:00:00 GMT".parse().expect("ASCII"),
    );
    headers.insert("x-goog-generation", object.generation.into());
    for (name, value) in object
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-goog-meta-"))
    {
        headers.insert(name, value.clone());
    }
    if head {
        headers.insert(CONTENT_LENGTH, object.size_bytes.into());
        return answer;
    }
    *answer.body_mut() = Full::new(object.bytes.clone());
    answer
}

fn status(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

fn refusal(code: StatusCode, name: &str) -> Answer {
    let body = format!(
        "<?xml version='1.0' \
         encoding='UTF-8'?><Error><Code>{name}</Code><Message>{name}.</Message></Error>"
    );
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = code;
    answer
}
