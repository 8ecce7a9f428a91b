//! `--demo`: a destination of every type, each with a receiver of its own, and a message to each, so that a newcomer sees deliveries within a minute.
//!
//! - Webhooks: a receiver that **accepts**, **recovers** (refuses each delivery twice before it accepts) or **refuses**, by path.
//! - A mailbox and a bucket: Amazon SES and S3 are embedded, so that what they are sent is kept in the data directory's `mail` and `s3`.
//! - An SFTP server ([`sftp`]) and the two other object stores ([`objects`]), which keep files in its `sftp`, `google` and `azure`.
//! - The two databases ([`databases`]), where they are installed.
//!
//! The demo's destinations are made once and pointed at the receivers' ports on every start; everything goes through the HTTP API, as a
//! newcomer's own calls would.

mod databases;
mod objects;
mod sftp;

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::Random;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use runtime::platform::system_random;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::databases::Databases;
use crate::local_json::Keys;
use crate::serve::Gateway;

/// Paths of the receiver of webhooks, with the names of their destinations.
const WEBHOOKS: [(&str, &str); 3] =
    [("accepts", "Demo: accepts"), ("recovers", "Demo: refuses twice, then accepts"), ("refuses", "Demo: is gone for good")];
/// The mailbox's sender, which the operator grants to the organization.
const SENDER: &str = "demo@waybill.example";
/// The demo's bucket, which the operator grants, too; the template lets workers write to buckets of such names.
pub const BUCKET: &str = "waybill-grantable-demo";
/// How often `recovers` refuses a delivery.
const REFUSALS: u32 = 2;
/// Deliveries `recovers` remembers.
const REMEMBERED_MAX: usize = 10_000;

/// How often each delivery was refused.
type Refused = Arc<Mutex<BTreeMap<String, u32>>>;

/// A destination as the API is asked for it.
struct Destination {
    external_id: String,
    name: String,
    body: Value,
}

impl Destination {
    fn new(external_id: &str, name: impl Into<String>, body: Value) -> Self {
        Self { external_id: format!("demo-{external_id}"), name: name.into(), body }
    }
}

/// Starts the receivers, makes the destinations and sends a message to each. Files arrive in folders of `data`. Runs until `stop`.
pub async fn run(gateway: Gateway, keys: Keys, data: PathBuf, stop: CancellationToken) {
    let random = system_random();
    let demo = async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let receiving = axum::serve(listener, receiver(&data)).with_graceful_shutdown(stop.clone().cancelled_owned());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = sftp::Server::new(data.join("sftp"), password(&random), &random);
        let files = server.destination(listener.local_addr()?);
        let serving = stop.run_until_cancelled(server.serve(listener));
        let operator = Api { gateway: gateway.clone(), api_key: keys.operator_key };
        let api = Api { gateway, api_key: keys.organization_key };
        let preparing = async {
            grant(&operator, &keys.organization_id).await?;
            prepare(&api, &url, files, &random).await
        };
        let (received, served, ()) = tokio::join!(receiving, serving, async {
            match stop.run_until_cancelled(preparing).await {
                Some(Ok(_databases)) => stop.cancelled().await,
                Some(Err(problem)) => tracing::warn!(problem, "the demo is incomplete"),
                None => {}
            }
        });
        received.and(served.unwrap_or(Ok(())))
    };
    let outcome: io::Result<()> = demo.await;
    if let Err(error) = outcome {
        tracing::warn!(%error, "the demo's webhook receiver stopped");
    }
}

/// Makes the destinations and sends to each. The databases live as long as what is returned.
async fn prepare(api: &Api, receiver: &str, files: Destination, random: &Random) -> Result<Databases, String> {
    let secret = password(random);
    let starting = tokio::task::spawn_blocking(|| Databases::start(secret));
    let existing = api.call(Method::GET, "/v1/destinations?limit=100", None).await?;
    let objects = objects::destinations(receiver, &STANDARD.encode(random.bytes::<32>()));
    for destination in webhooks(receiver).into_iter().chain([mailbox(), bucket(), files]).chain(objects) {
        greet(api, &existing, destination).await?;
    }
    let databases = starting.await.map_err(|error| format!("the databases did not start: {error}"))?;
    for destination in databases.destinations() {
        greet(api, &existing, destination).await?;
    }
    Ok(databases)
}

/// What goes over a wire that is this machine's own.
fn password(random: &Random) -> String {
    format!("{:032x}", u128::from_be_bytes(random.bytes()))
}

/// A path within a folder; none leads out.
fn within(folder: &Path, path: &str) -> Option<PathBuf> {
    let mut within = folder.to_path_buf();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => within.push(name),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(within)
}

fn receiver(data: &Path) -> Router {
    let refused = Refused::default();
    Router::new()
        .route("/accepts", post(|| async { StatusCode::NO_CONTENT }))
        .route("/recovers", post(recover))
        .route("/refuses", post(|| async { (StatusCode::GONE, "this receiver is gone for good") }))
        .with_state(refused)
        .nest("/google", objects::router(data.join("google")))
        .nest("/azure", objects::router(data.join("azure")))
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

fn webhooks(receiver: &str) -> [Destination; 3] {
    WEBHOOKS.map(|(path, name)| {
        let settings = json!({"url": format!("{receiver}/{path}"), "check": "connect"});
        Destination::new(path, name, json!({"type": "webhook", "settings": settings}))
    })
}

fn mailbox() -> Destination {
    let subject = "Waybill's demo: {{ event_type }}";
    let settings = json!({"transport": "ses", "from": SENDER, "to": ["you@waybill.example"], "subject_template": subject});
    Destination::new("mails", "Demo: a mailbox", json!({"type": "email", "settings": settings, "credentials": {"kind": "iam"}}))
}

fn bucket() -> Destination {
    let body = json!({"type": "s3", "settings": {"bucket": BUCKET}, "credentials": {"kind": "iam"}});
    Destination::new("objects", "Demo: a bucket", body)
}

/// Makes a destination, or points the one among the `existing` to its receiver, and sends it a message.
async fn greet(api: &Api, existing: &Value, Destination { external_id, name, mut body }: Destination) -> Result<(), String> {
    let found = existing["data"].as_array().into_iter().flatten().find(|destination| destination["external_id"] == *external_id);
    let destination = match found.and_then(|destination| destination["id"].as_str()) {
        Some(id) => {
            if let Some(members) = body.as_object_mut() {
                members.remove("type");
            }
            api.call(Method::PATCH, &format!("/v1/destinations/{id}?skip_check=true"), Some(body)).await?
        }
        None => {
            body["name"] = name.clone().into();
            body["external_id"] = external_id.into();
            api.call(Method::POST, "/v1/destinations?skip_check=true", Some(body)).await?
        }
    };
    let payload = json!({"hello": "from the demo", "receiver": name});
    let message = json!({"event_type": "demo.hello", "payload": payload, "destination_ids": [destination["id"]]});
    api.call(Method::POST, "/v1/messages", Some(message)).await.map(drop)
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
