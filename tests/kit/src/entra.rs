//! The token endpoint of Microsoft Entra ID. It issues tokens to one application that knows its
//! password; Azurite accepts them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::form_urlencoded;

/// The id of the directory.
pub const TENANT_ID: &str = "11111111-2222-3333-4444-555555555555";
/// The id of the application.
pub const CLIENT_ID: &str = "66666666-7777-8888-9999-000000000000";
/// The password of the application.
pub const CLIENT_SECRET: &str = "entra~secret&of=the app";

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct Entra {
    /// The URL that replaces `https://login.microsoftonline.com`.
    pub authority: String,
    issued: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Entra {
    /// Starts a server on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the loopback has a free port");
        let authority = format!(
            "http://{}",
            listener
                .local_addr()
                .expect("a bound listener has an address")
        );
        let issued = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&issued);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counted = Arc::clone(&counted);
                let service = service_fn(move |request| {
                    let counted = Arc::clone(&counted);
                    async move { answer(request, &counted).await }
                });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Self {
            authority,
            issued,
            server,
        }
    }

    /// Returns how many tokens were issued.
    pub fn tokens_issued(&self) -> usize {
        self.issued.load(Ordering::Relaxed)
    }
}

impl Drop for Entra {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    request: Request<Incoming>,
    issued: &AtomicUsize,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let form: BTreeMap<_, _> = form_urlencoded::parse(&body).into_owned().collect();
    let has = |name: &str, value: &str| form.get(name).is_some_and(|found| found == value);
    if path != format!("/{TENANT_ID}/oauth2/v2.0/token") {
        return Ok(json_answer(
            StatusCode::BAD_REQUEST,
            &json!({"error": "invalid_request"}),
        ));
    }
    if !has("grant_type", "client_credentials")
        || !has("scope", "https://storage.azure.com/.default")
    {
        return Ok(json_answer(
            StatusCode::BAD_REQUEST,
            &json!({"error": "invalid_grant"}),
        ));
    }
    if !has("client_id", CLIENT_ID) || !has("client_secret", CLIENT_SECRET) {
        return Ok(json_answer(
            StatusCode::UNAUTHORIZED,
            &json!({"error": "invalid_client", "error_description": "AADSTS7000215"}),
        ));
    }
    issued.fetch_add(1, Ordering::Relaxed);
    Ok(json_answer(
        StatusCode::OK,
        &json!({"token_type": "Bearer", "expires_in": 3599, "access_token": token()}),
    ))
}

/// Azurite checks the claims and not the signature.
#[expect(
    clippy::disallowed_methods,
    reason = "a server of its own has the machine's clock"
)]
fn token() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"aud": "https://storage.azure.com",
        "iss": format!("https://sts.windows.net/{TENANT_ID}/"), "iat": now - 10,
        "nbf": now - 10, "exp": now + 3600, "appid": CLIENT_ID, "oid": CLIENT_ID,
        "tid": TENANT_ID});
    format!(
        "{}.{}.{}",
        part(&json!({"typ": "JWT", "alg": "RS256", "kid": "k"})),
        part(&claims),
        URL_SAFE_NO_PAD.encode("signature")
    )
}

fn json_answer(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(body.to_string()));
    *answer.status_mut() = status;
    answer
}
