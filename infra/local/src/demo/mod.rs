//! `--demo`: creates a destination of every type, each with its own receiver, and sends a message
//! to each, so that deliveries are visible within a minute.
//!
//! - Webhooks: a receiver that accepts, recovers (refuses each delivery twice before it accepts) or
//!   refuses, depending on the path.
//! - A mailbox and a bucket: Amazon SES and S3 are embedded, and store what they receive in `mail`
//!   and `s3` of the data directory.
//! - An SFTP server ([`sftp`]) and the two other object stores ([`objects`]), which store files in
//!   its `sftp`, `google` and `azure`.
//! - The two databases ([`databases`]), if they are installed.
//!
//! The destinations are created once and updated with the receivers' ports on every start.
//! Everything goes through the HTTP API, as a user's own calls would.

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

/// The paths of the webhook receiver, with the names of their destinations.
const WEBHOOKS: [(&str, &str); 3] = [
    ("accepts", "Demo: accepts"),
    ("recovers", "Demo: refuses twice, then accepts"),
    ("refuses", "Demo: is gone for good"),
];
/// The sender of the e-mails, which the operator grants to the organization.
const SENDER: &str = "demo@waybill.example";
/// The bucket of the demo, which the operator grants too. The template lets workers write to
/// buckets with this name prefix.
pub const BUCKET: &str = "waybill-grantable-demo";
/// How often `recovers` refuses a delivery.
const REFUSALS: u32 = 2;
/// How many deliveries `recovers` remembers.
const REMEMBERED_MAX: usize = 10_000;

/// How often each delivery was refused.
type Refused = Arc<Mutex<BTreeMap<String, u32>>>;

/// A destination to create through the API.
struct Destination {
    external_id: String,
    name: String,
    body: Value,
}

impl Destination {
    fn new(external_id: &str, name: impl Into<String>, body: Value) -> Self {
        Self {
            external_id: format!("demo-{external_id}"),
            name: name.into(),
            body,
        }
    }
}

/// Starts the receivers, creates the destinations and sends a message to each. Files are stored in
/// folders of `data`. Runs until `stop`.
pub async fn run(gateway: Gateway, keys: Keys, data: PathBuf, stop: CancellationToken) {
    let random = system_random();
    let demo = async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let receiving = axum::serve(listener, receiver(&data))
            .with_graceful_shutdown(stop.clone().cancelled_owned());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = sftp::Server::new(data.join("sftp"), password(&random), &random);
        let files = server.destination(listener.local_addr()?);
        let serving = stop.run_until_cancelled(server.serve(listener));
        let operator = Api {
            gateway: gateway.clone(),
            api_key: keys.operator_key,
        };
        let api = Api {
            gateway,
            api_key: keys.organization_key,
        };
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

/// Creates the destinations and sends a message to each. The databases run as long as the returned
/// value.
async fn prepare(
    api: &Api,
    receiver: &str,
    files: Destination,
    random: &Random,
) -> Result<Databases, String> {
    let secret = password(random);
    let starting = tokio::task::spawn_blocking(|| Databases::start(secret));
    let existing = api
        .call(Method::GET, "/v1/destinations?limit=100", None)
        .await?;
    let objects = objects::destinations(receiver, &STANDARD.encode(random.bytes::<32>()));
    for destination in webhooks(receiver)
        .into_iter()
        .chain([mailbox(), bucket(), files])
        .chain(objects)
    {
        greet(api, &existing, destination).await?;
    }
    let databases = starting
        .await
        .map_err(|error| format!("the databases did not start: {error}"))?;
    for destination in databases.destinations() {
        greet(api, &existing, destination).await?;
    }
    Ok(databases)
}

/// Makes a password for a connection within this machine.
fn password(random: &Random) -> String {
    format!("{:032x}", u128::from_be_bytes(random.bytes()))
}

/// Returns a path within a folder; `None` for a path that would leave it.
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
        .route(
            "/refuses",
            post(|| async { (StatusCode::GONE, "this receiver is gone for good") }),
        )
        .with_state(refused)
        .nest("/google", objects::router(data.join("google")))
        .nest("/azure", objects::router(data.join("azure")))
}

async fn recover(State(refused): State<Refused>, headers: HeaderMap) -> (StatusCode, &'static str) {
    let id = headers
        .get("webhook-id")
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let mut refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
    if refused.len() >= REMEMBERED_MAX {
        refused.clear();
    }
    let times = refused.entry(id).or_default();
    *times += 1;
    if *times <= REFUSALS {
        (StatusCode::SERVICE_UNAVAILABLE, "try again")
    } else {
        (StatusCode::OK, "thank you")
    }
}

/// Allows the organization to send as [`SENDER`] and write to [`BUCKET`], in addition to its other
/// grants.
async fn grant(operator: &Api, organization: &str) -> Result<(), String> {
    let path = format!("/v1/organizations/{organization}");
    let granted = operator.call(Method::GET, &path, None).await?["grants"].take();
    let with = |kind: &str, own: &str| {
        let others = granted[kind]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|name| *name != own)
            .cloned();
        others.chain([own.into()]).collect::<Vec<Value>>()
    };
    let grants = json!({"ses_identities": with("ses_identities", SENDER),
        "buckets": with("buckets", BUCKET)});
    operator
        .call(Method::PATCH, &path, Some(json!({"grants": grants})))
        .await
        .map(drop)
}

fn webhooks(receiver: &str) -> [Destination; 3] {
    WEBHOOKS.map(|(path, name)| {
        let settings = json!({"url": format!("{receiver}/{path}"), "check": "connect"});
        Destination::new(path, name, json!({"type": "webhook", "settings": settings}))
    })
}

fn mailbox() -> Destination {
    let subject = "Waybill's demo: {{ event_type }}";
    let settings = json!({"transport": "ses", "from": SENDER, "to": ["you@waybill.example"],
        "subject_template": subject});
    Destination::new(
        "mails",
        "Demo: a mailbox",
        json!({"type": "email", "settings": settings, "credentials": {"kind": "iam"}}),
    )
}

fn bucket() -> Destination {
    let body =
        json!({"type": "s3", "settings": {"bucket": BUCKET}, "credentials": {"kind": "iam"}});
    Destination::new("objects", "Demo: a bucket", body)
}

/// Creates a destination, or updates the one among the `existing` with its receiver, and sends it a
/// message.
async fn greet(
    api: &Api,
    existing: &Value,
    Destination {
        external_id,
        name,
        mut body,
    }: Destination,
) -> Result<(), String> {
    let found = existing["data"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|destination| destination["external_id"] == *external_id);
    let destination = match found.and_then(|destination| destination["id"].as_str()) {
        Some(id) => {
            if let Some(members) = body.as_object_mut() {
                members.remove("type");
            }
            api.call(
                Method::PATCH,
                &format!("/v1/destinations/{id}?skip_check=true"),
                Some(body),
            )
            .await?
        }
        None => {
            body["name"] = name.clone().into();
            body["external_id"] = external_id.into();
            api.call(Method::POST, "/v1/destinations?skip_check=true", Some(body))
                .await?
        }
    };
    let payload = json!({"hello": "from the demo", "receiver": name});
    let message = json!({"event_type": "demo.hello", "payload": payload,
        "destination_ids": [destination["id"]]});
    api.call(Method::POST, "/v1/messages", Some(message))
        .await
        .map(drop)
}

/// A client of the HTTP API in this process.
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
        let bytes = body
            .collect()
            .await
            .map_err(|error| error.to_string())?
            .to_bytes();
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if head.status.is_success() {
            Ok(answer)
        } else {
            Err(format!("{path} answered {}: {answer}", head.status))
        }
    }
}
