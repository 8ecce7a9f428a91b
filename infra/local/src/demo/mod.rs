//! `--demo`: destinations with a built-in receiver, and a message to each, so that a newcomer sees deliveries within a minute.
//!
//! There are also a mailbox and a bucket: Amazon SES and S3 are embedded, so that what they are sent is kept in the data directory's `mail` and
//! `s3`; and an SFTP server ([`sftp`]), which keeps files in its `sftp`. The two databases are left out: they are not embedded.
//!
//! The receiver **accepts**, **recovers** (refuses each delivery twice before it accepts) or **refuses**, by path. The demo's destinations are
//! made once and pointed at the receiver's port on every start; everything goes through the HTTP API, as a newcomer's own calls would.

mod sftp;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use runtime::platform::system_random;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::local_json::Keys;
use crate::serve::Gateway;

/// Paths of the receiver, with the names of their destinations.
const DESTINATIONS: [(&str, &str); 3] =
    [("accepts", "Demo: accepts"), ("recovers", "Demo: refuses twice, then accepts"), ("refuses", "Demo: is gone for good")];
/// The demo's mailbox, and its sender, which the operator grants to the organization.
const MAILBOX: (&str, &str) = ("mails", "Demo: a mailbox");
const SENDER: &str = "demo@waybill.example";
/// The demo's bucket, which the operator grants, too; the template lets workers write to buckets of such names.
pub const BUCKET: &str = "waybill-grantable-demo";
/// How often `recovers` refuses a delivery.
const REFUSALS: u32 = 2;
/// Deliveries `recovers` remembers.
const REMEMBERED_MAX: usize = 10_000;

/// How often each delivery was refused.
type Refused = Arc<Mutex<BTreeMap<String, u32>>>;

/// Starts the receivers, makes the destinations and sends a message to each. Files arrive in `sftp_folder`. Runs until `stop`.
pub async fn run(gateway: Gateway, keys: Keys, sftp_folder: PathBuf, stop: CancellationToken) {
    let demo = async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let receiving = axum::serve(listener, receiver()).with_graceful_shutdown(stop.clone().cancelled_owned());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = sftp::Server::new(sftp_folder, &system_random());
        let files = files(listener.local_addr()?, &server);
        let serving = stop.run_until_cancelled(server.serve(listener));
        let operator = Api { gateway: gateway.clone(), api_key: keys.operator_key };
        let api = Api { gateway, api_key: keys.organization_key };
        let preparing = async {
            grant(&operator, &keys.organization_id).await?;
            prepare(&api, &url, files).await
        };
        let (received, served, prepared) = tokio::join!(receiving, serving, preparing);
        if let Err(problem) = prepared {
            tracing::warn!(problem, "the demo is incomplete");
        }
        received.and(served.unwrap_or(Ok(())))
    };
    let outcome: io::Result<()> = demo.await;
    if let Err(error) = outcome {
        tracing::warn!(%error, "the demo's receiver stopped");
    }
}

fn receiver() -> Router {
    let refused = Refused::default();
    Router::new()
        .route("/accepts", post(|| async { StatusCode::NO_CONTENT }))
        .route("/recovers", post(recover))
        .route("/refuses", post(|| async { (StatusCode::GONE, "this receiver is gone for good") }))
        .with_state(refused)
}

async fn recover(State(refused): State<Refused>, headers: HeaderMap) -> (StatusCode, &'static str) {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let mut refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
    if refused.len() >= REMEMBERED_MAX {
        refused.clear();
    }
    let times = refused.entry(id).or_default();
    *times += 1;
    if *times <= REFUSALS { (StatusCode::SERVICE_UNAVAILABLE, "try again") } else { (StatusCode::OK, "thank you") }
}

/// Lets the organization send as [`SENDER`] and write to [`BUCKET`], besides what it may already.
async fn grant(operator: &Api, organization: &str) -> Result<(), String> {
    let path = format!("/v1/organizations/{organization}");
    let granted = operator.call(Method::GET, &path, None).await?["grants"].take();
    let with = |kind: &str, own: &str| {
        let others = granted[kind].as_array().into_iter().flatten().filter(|name| *name != own).cloned();
        others.chain([own.into()]).collect::<Vec<Value>>()
    };
    let grants = json!({"ses_identities": with("ses_identities", SENDER), "buckets": with("buckets", BUCKET)});
    operator.call(Method::PATCH, &path, Some(json!({"grants": grants}))).await.map(drop)
}

/// The destination that leads to the SFTP server.
fn files(address: SocketAddr, server: &sftp::Server) -> Value {
    let settings = json!({"host": address.ip(), "port": address.port(), "username": sftp::USERNAME, "host_key": server.fingerprint(),
        "directory_template": "{{ event_type }}", "filename_template": "{{ message_id }}.json"});
    json!({"type": "sftp", "settings": settings, "credentials": {"kind": "password", "password": server.password}})
}

async fn prepare(api: &Api, receiver: &str, files: Value) -> Result<(), String> {
    let existing = api.call(Method::GET, "/v1/destinations?limit=100", None).await?;
    let webhooks = DESTINATIONS.map(|(path, name)| {
        let settings = json!({"url": format!("{receiver}/{path}"), "check": "connect"});
        (path, name, json!({"type": "webhook", "settings": settings}))
    });
    let subject = "Waybill's demo: {{ event_type }}";
    let settings = json!({"transport": "ses", "from": SENDER, "to": ["you@waybill.example"], "subject_template": subject});
    let mailbox = json!({"type": "email", "settings": settings, "credentials": {"kind": "iam"}});
    let bucket = json!({"type": "s3", "settings": {"bucket": BUCKET}, "credentials": {"kind": "iam"}});
    let others = [(MAILBOX.0, MAILBOX.1, mailbox), ("objects", "Demo: a bucket", bucket), ("files", "Demo: an SFTP server", files)];
    for (path, name, mut body) in webhooks.into_iter().chain(others) {
        let external_id = format!("demo-{path}");
        let found = existing["data"].as_array().into_iter().flatten().find(|destination| destination["external_id"] == *external_id);
        let destination = match found.and_then(|destination| destination["id"].as_str()) {
            Some(id) => {
                if let Some(members) = body.as_object_mut() {
                    members.remove("type");
                }
                api.call(Method::PATCH, &format!("/v1/destinations/{id}?skip_check=true"), Some(body)).await?
            }
            None => {
                body["name"] = name.into();
                body["external_id"] = external_id.into();
                api.call(Method::POST, "/v1/destinations?skip_check=true", Some(body)).await?
            }
        };
        let payload = json!({"hello": "from the demo", "receiver": name});
        let message = json!({"event_type": "demo.hello", "payload": payload, "destination_ids": [destination["id"]]});
        api.call(Method::POST, "/v1/messages", Some(message)).await?;
    }
    Ok(())
}

/// The HTTP API, called in this process.
struct Api {
    gateway: Gateway,
    api_key: String,
}

impl Api {
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, String> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.api_key))
            .header("content-type", "application/json")
            .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
            .map_err(|error| error.to_string())?;
        let (head, body) = self.gateway.answer(request).await.into_parts();
        let bytes = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if head.status.is_success() { Ok(answer) } else { Err(format!("{path} answered {}: {answer}", head.status)) }
    }
}
