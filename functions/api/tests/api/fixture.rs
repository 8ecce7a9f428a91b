//! A deployment in a temporary directory, and clients that send HTTP requests to its router.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use api::Config;
use axum::Router;
use axum::body::Body;
use domain::Reason;
use domain::check::{CheckReport, CheckRequest, CheckStep, StepName};
use domain::settings::Lane;
use domain::{Clock, Random, Timestamp};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use local_aws::sqs::QueueSpec;
use local_aws::{
    AttributeType, BucketSpec, Caller, Durability, Engines, GenerateSecretString, IndexSpec,
    KeySchema, KeySpec, Mode, Options, Projection, Resources, SecretSpec, SecretValue, TableSpec,
};
use operations::{Operations, bootstrap};
use runtime::{Environment, Platform};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use store::Store;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

const TABLE: &str = "waybill-Table";
const BUCKET: &str = "waybill-Payloads";
const QUEUE: &str = "waybill-WebhookQueue";
const JOBS_QUEUE: &str = "jobs";
pub(crate) const WORKER: &str = "waybill-WorkerWebhook";
const KEY: &str = "waybill-Key";
pub(crate) const SECRET: &str = "waybill-SigningKeys";
const CURSOR_KEYS: &str = "waybill-CursorKeys";
const LINK_KEYS: &str = "waybill-LinkKeys";

/// The whole API with one organization.
pub(crate) struct Deployment {
    router: Router,
    pub(crate) operations: Operations,
    pub(crate) operator: String,
    pub(crate) organization: String,
    pub(crate) admin: String,
    pub(crate) now_ms: Arc<AtomicI64>,
    /// How often the worker was invoked for a check. It refuses hosts that contain `refuses`, and
    /// panics for those that contain `panics`.
    pub(crate) checks: Arc<AtomicUsize>,
    pub(crate) engines: Engines,
    _data: TempDir,
}

/// A response with its complete body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.bytes)))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Returns the problem with everything replaced that differs between runs.
    pub(crate) fn problem(&self) -> Value {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let mut problem = self.json();
        let id = problem["request_id"].take();
        assert_eq!(id.as_str(), self.header("request-id"));
        problem["request_id"] = "[request id]".into();
        problem
    }

    /// Returns the status, the code, and each error as `<where>: <code>`.
    pub(crate) fn refusal(&self) -> (u16, String, Vec<String>) {
        let problem = self.problem();
        let error = |error: &Value| {
            let pointer = error["pointer"]
                .as_str()
                .or(error["parameter"].as_str())
                .unwrap()
                .to_owned();
            format!("{pointer}: {}", error["code"].as_str().unwrap())
        };
        let errors = problem["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(error)
            .collect();
        (
            self.status,
            problem["code"].as_str().unwrap().to_owned(),
            errors,
        )
    }

    pub(crate) fn code(&self) -> String {
        self.refusal().1
    }
}

/// Returns the response with everything masked that differs between runs: ids, times and links.
pub(crate) fn masked(mut answer: Value) -> Value {
    mask(&mut answer);
    answer
}

fn mask(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(members) => {
            members
                .iter_mut()
                .for_each(|(name, value)| match (&**name, &*value) {
                    ("id" | "aws_external_id" | "hint", Value::String(_)) => {
                        *value = format!("[{name}]").into()
                    }
                    (name, Value::String(_)) if name.ends_with("_id") => {
                        *value = format!("[{name}]").into()
                    }
                    (name, Value::String(_)) if name.ends_with("_at") => *value = "[time]".into(),
                    ("url", Value::String(url)) if url.contains("waybill.example") => {
                        *value = "[url]".into()
                    }
                    _ => mask(value),
                })
        }
        _ => {}
    }
}

/// The expected value of [`Answer::refusal`].
pub(crate) fn refused(status: u16, code: &str, errors: &[&str]) -> (u16, String, Vec<String>) {
    (
        status,
        code.to_owned(),
        errors.iter().map(|error| (*error).to_owned()).collect(),
    )
}

impl Deployment {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// Creates a deployment with additional environment variables.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let now_ms = Arc::new(AtomicI64::new(1_764_000_000_000));
        let data = tempfile::tempdir().unwrap();
        let engine_time = Arc::clone(&now_ms);
        let now = Arc::new(move || u64::try_from(engine_time.load(Ordering::Relaxed)).unwrap());
        let options = Options {
            mode: Mode::Thread,
            durability: Durability::Memory,
            now,
        };
        let engines = Engines::open(data.path(), &resources(), options).unwrap();
        let checks = Arc::new(AtomicUsize::new(0));
        register_worker(&engines, &checks);
        let platform = Platform {
            aws: engines.sdk_config(Caller::unlimited("test")),
            clock: clock(&now_ms),
            random: random(),
            shutdown: CancellationToken::new(),
            background: TaskTracker::new(),
        };
        let config = Config::read(&environment(&engines, variables)).unwrap();
        let operations = api::operations(&platform, &config).await.unwrap();
        let operator = bootstrap::first_operator_key(&operations)
            .await
            .unwrap()
            .expose_secret()
            .to_owned();
        let (organization, admin) = bootstrap::organization_with_key(&operations, "Acme")
            .await
            .unwrap();
        Self {
            router: api::build(&platform, config),
            operations,
            operator,
            organization: organization.to_string(),
            admin: admin.expose_secret().to_owned(),
            now_ms,
            checks,
            engines,
            _data: data,
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        self.now_ms.fetch_add(1, Ordering::Relaxed);
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            bytes,
        }
    }

    /// Returns the deployment's table, for what only other functions write.
    pub(crate) fn store(&self) -> Store {
        let aws = self.engines.sdk_config(Caller::unlimited("test"));
        Store::new(&aws, TABLE.to_owned(), None)
    }

    /// Returns a client with the organization's admin key.
    pub(crate) fn admin(&self) -> Client<'_> {
        self.client(&self.admin)
    }

    pub(crate) fn operator(&self) -> Client<'_> {
        self.client(&self.operator)
    }

    pub(crate) fn client(&self, key: &str) -> Client<'_> {
        Client {
            deployment: self,
            key: key.to_owned(),
        }
    }

    /// Returns a client with a new key of this role.
    pub(crate) async fn role(&self, role: &str) -> Client<'_> {
        let made = self
            .admin()
            .post("/v1/api-keys", json!({"name": role, "role": role}))
            .await;
        assert_eq!(made.status, 201, "{made:?}");
        self.client(made.json()["key"].as_str().unwrap())
    }

    /// Returns a client with another organization's admin key.
    pub(crate) async fn stranger(&self) -> Client<'_> {
        let (_, key) = bootstrap::organization_with_key(&self.operations, "Other")
            .await
            .unwrap();
        self.client(key.expose_secret())
    }
}

/// A client with an API key.
#[derive(Clone)]
pub(crate) struct Client<'d> {
    deployment: &'d Deployment,
    pub(crate) key: String,
}

impl Client<'_> {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], Body::empty()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, &[], Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.request(
            "POST",
            path,
            &[(CONTENT_TYPE.as_str(), "application/json")],
            Body::from(body.to_string()),
        )
        .await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.request(
            "PATCH",
            path,
            &[(CONTENT_TYPE.as_str(), "application/json")],
            Body::from(body.to_string()),
        )
        .await
    }

    pub(crate) async fn post_once(&self, path: &str, key: &str, body: Value) -> Answer {
        let headers = [
            (CONTENT_TYPE.as_str(), "application/json"),
            ("idempotency-key", key),
        ];
        self.request("POST", path, &headers, Body::from(body.to_string()))
            .await
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "waybill.example");
        request = request.header(AUTHORIZATION, format!("Bearer {}", self.key));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.deployment.send(request.body(body).unwrap()).await
    }

    /// Saves a webhook destination.
    pub(crate) async fn destination(&self, name: &str) -> Value {
        let made = self.post("/v1/destinations", webhook(name)).await;
        assert_eq!(made.status, StatusCode::CREATED.as_u16(), "{made:?}");
        made.json()
    }
}

/// Returns the body of a request for a webhook destination.
pub(crate) fn webhook(name: &str) -> Value {
    json!({"type": "webhook", "name": name, "settings": {"url": "https://hooks.example.com/in"}})
}

fn register_worker(engines: &Engines, checks: &Arc<AtomicUsize>) {
    let checks = Arc::clone(checks);
    engines.functions().register(WORKER, move |payload| {
        checks.fetch_add(1, Ordering::Relaxed);
        let request: CheckRequest = serde_json::from_slice(&payload).unwrap();
        let settings = request.check.settings.to_json().to_string();
        assert!(!settings.contains("panics"), "the secret is hunter2");
        let refuses = settings.contains("refuses");
        let step = |name, ok: bool, detail: &str| CheckStep {
            name,
            ok: Some(ok),
            detail: detail.to_owned(),
            reason: None,
            duration_ms: 7,
        };
        let mut steps = vec![step(StepName::Resolve, true, "")];
        if settings.contains("resolves-inside") {
            steps[0] = CheckStep {
                ok: Some(false),
                reason: Some(Reason::BlockedAddress),
                ..step(StepName::Resolve, false, "in any words")
            };
        }
        steps.push(step(
            StepName::Connect,
            !refuses,
            if refuses { "connection refused" } else { "" },
        ));
        Box::pin(async move { Ok(serde_json::to_vec(&CheckReport::of(steps)).unwrap().into()) })
    });
}

fn environment(engines: &Engines, variables: &[(&str, &str)]) -> Environment {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    // One queue and one worker serve every lane.
    let lanes = Lane::ALL.map(Lane::in_environment);
    let queues = lanes.map(|lane| (format!("{lane}_QUEUE_URL"), engines.queue_url(QUEUE)));
    let workers = lanes.map(|lane| (format!("WORKER_{lane}_FUNCTION"), WORKER.to_owned()));
    let all = [
        ("TABLE_NAME", TABLE.to_owned()),
        ("BUCKET_NAME", BUCKET.to_owned()),
        ("ACCOUNT_ID", "000000000000".to_owned()),
        ("KMS_KEY_ID", engines.key_arn(KEY).unwrap()),
        (
            "SIGNING_KEYS_SECRET_ARN",
            engines.secret_arn(SECRET).unwrap().to_owned(),
        ),
        (
            "CURSOR_KEYS_SECRET_ARN",
            engines.secret_arn(CURSOR_KEYS).unwrap().to_owned(),
        ),
        (
            "LINK_KEYS_SECRET_ARN",
            engines.secret_arn(LINK_KEYS).unwrap().to_owned(),
        ),
        ("SESSION_KEYS_SECRET_ARN", String::new()),
        (
            "OWN_SECRET_ARNS",
            engines.secret_arn(SECRET).unwrap().to_owned(),
        ),
        ("JOBS_QUEUE_URL", engines.queue_url(JOBS_QUEUE)),
        ("PUBLIC_URL", String::new()),
        ("EGRESS_ALLOW", String::new()),
        ("ALLOW_PLAIN_HTTP", "false".to_owned()),
        ("RATE_LIMITS", "off".to_owned()),
        ("FUNCTION_TIMEOUT_SECONDS", "29".to_owned()),
    ];
    let all = all.map(|(name, value)| (name.to_owned(), value));
    queues
        .into_iter()
        .chain(workers)
        .chain(all)
        .chain(variables.iter().map(own))
        .collect()
}

fn clock(now_ms: &Arc<AtomicI64>) -> Clock {
    let now_ms = Arc::clone(now_ms);
    Clock::new(move || Timestamp::from_millis(now_ms.load(Ordering::Relaxed)))
}

fn random() -> Random {
    let chance = Mutex::new(fastrand::Rng::with_seed(7));
    Random::new(move |buffer| chance.lock().unwrap().fill(buffer))
}

fn resources() -> Resources {
    const TEXTS: [&str; 15] = [
        "pk", "sk", "bd_pk", "bd_sk", "ao_pk", "ao_sk", "ad_pk", "ad_sk", "du_pk", "br_pk",
        "br_sk", "fa_pk", "fa_sk", "tr_pk", "tr_sk",
    ];
    const INDEXES: [(&str, &str, &str); 7] = [
        ("by_destination", "bd_pk", "bd_sk"),
        ("attention_org", "ao_pk", "ao_sk"),
        ("attention_dst", "ad_pk", "ad_sk"),
        ("due", "du_pk", "du_at"),
        ("by_reference", "br_pk", "br_sk"),
        ("failing", "fa_pk", "fa_sk"),
        ("trouble", "tr_pk", "tr_sk"),
    ];
    let key = |hash: &str, range: &str| KeySchema {
        hash: hash.to_owned(),
        range: Some(range.to_owned()),
    };
    let texts = TEXTS.map(|name| (name.to_owned(), AttributeType::Text));
    let index = |(name, hash, range): (&str, &str, &str)| IndexSpec {
        name: name.to_owned(),
        key: key(hash, range),
        projection: Projection::KeysOnly,
    };
    let table = TableSpec {
        name: TABLE.to_owned(),
        attributes: texts
            .into_iter()
            .chain([("du_at".to_owned(), AttributeType::Number)])
            .collect(),
        key: key("pk", "sk"),
        indexes: INDEXES.into_iter().map(index).collect(),
        ttl_attribute: Some("ttl".to_owned()),
    };
    let queue = |name: &str| QueueSpec {
        name: name.to_owned(),
        visibility_timeout_seconds: 540,
        message_retention_seconds: 1_209_600,
        delay_seconds: 0,
        receive_wait_seconds: 0,
        redrive: None,
    };
    let generate = GenerateSecretString {
        template: Some("{}".into()),
        key: Some("root".into()),
        length: 64,
        exclude_punctuation: true,
    };
    let secret = |name: &str| SecretSpec {
        name: name.to_owned(),
        value: Some(SecretValue::Generated(generate.clone())),
    };
    Resources {
        tables: vec![table],
        queues: [QUEUE, JOBS_QUEUE].map(queue).to_vec(),
        buckets: vec![BucketSpec {
            name: BUCKET.to_owned(),
            versioned: true,
        }],
        keys: vec![KeySpec {
            name: KEY.to_owned(),
        }],
        secrets: vec![secret(SECRET), secret(CURSOR_KEYS), secret(LINK_KEYS)],
        functions: vec![WORKER.to_owned()],
        ..Resources::empty()
    }
}
