//! The number of AWS calls that each page of the console makes. It is bounded and does not grow
//! with the amount of data, so that a page takes as long with a million deliveries as with a
//! thousand.

use std::collections::BTreeMap;

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use local::first_start;
use local::instance::Instance;
use local::local_json::Keys;
use local_aws::{Engines, Recorder};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::opened::Opened;

/// The calls that each page makes at most, a tenth more than it made when this was written.
const CALLS_MAX: &[(&str, usize)] = &[
    ("/", 41),
    ("/destinations", 44),
    ("/destinations/{destination}", 42),
    ("/deliveries", 32),
    ("/deliveries?status=skipped", 33),
    ("/deliveries/{delivery}", 30),
    ("/messages", 30),
    ("/messages/{message}", 14),
    ("/alerts", 4),
    ("/jobs", 4),
    ("/audit", 4),
];

/// The functions in this process, triggered only by requests.
struct World {
    instance: Instance,
    keys: Keys,
    recorder: Recorder,
    console: String,
    api: String,
    _engines: Engines,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let Opened {
            template,
            engines,
            directory,
            folder,
        } = Opened::new("127.0.0.0/8", "[]");
        let recorder = Recorder::default();
        let noted = recorder.clone();
        engines.observe(move |call| noted.note(call));
        let instance = Instance::build(
            template.stack().unwrap(),
            &engines,
            None,
            &CancellationToken::new(),
        )
        .unwrap();
        let keys = first_start::keys(&directory, &instance).await.unwrap();
        let functions = template.stack().unwrap().functions;
        let name = |binary: &str| {
            functions
                .iter()
                .find(|function| function.binary == binary)
                .unwrap()
                .name
                .clone()
        };
        let (console, api) = (name("console"), name("api"));
        Self {
            instance,
            keys,
            recorder,
            console,
            api,
            _engines: engines,
            _folder: folder,
        }
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(http::HeaderName, &str)],
        body: String,
    ) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        self.instance
            .gateway
            .answer(request.body(Body::from(body)).unwrap())
            .await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let bearer = format!("Bearer {}", self.keys.organization_key);
        let headers = [
            (AUTHORIZATION, &*bearer),
            (CONTENT_TYPE, "application/json"),
        ];
        let response = self
            .request(Method::POST, path, &headers, body.to_string())
            .await;
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert!(
            status.is_success(),
            "{path}: {status} {}",
            String::from_utf8_lossy(&bytes)
        );
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Creates a destination that refuses connections.
    async fn destination(&self, name: &str) -> String {
        let settings = json!({"url": "http://127.0.0.1:1/hook"});
        let body = json!({"type": "webhook", "name": name, "settings": settings});
        self.post("/v1/destinations?skip_check=true", body).await["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Signs in and returns the cookie of the session.
    async fn signs_in(&self, key: &str) -> String {
        let form = format!("key={key}&next=/");
        let headers = [(CONTENT_TYPE, "application/x-www-form-urlencoded")];
        let response = self.request(Method::POST, "/sign-in", &headers, form).await;
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    /// Returns the calls that the console makes for each page.
    async fn calls(
        &self,
        cookie: &str,
        ids: &[(&str, &str)],
    ) -> BTreeMap<&'static str, Vec<String>> {
        let mut made = BTreeMap::new();
        for (page, _) in CALLS_MAX {
            let path = ids.iter().fold((*page).to_owned(), |path, (name, id)| {
                path.replace(&format!("{{{name}}}"), id)
            });
            made.insert(
                *page,
                self.calls_of(&self.console, &path, (COOKIE, cookie)).await,
            );
        }
        made
    }

    /// The calls that this function makes to answer a GET.
    async fn calls_of(
        &self,
        function: &str,
        path: &str,
        header: (http::HeaderName, &str),
    ) -> Vec<String> {
        self.recorder.take();
        let response = self
            .request(Method::GET, path, &[header], String::new())
            .await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let calls = self
            .recorder
            .take()
            .into_iter()
            .filter(|call| call.caller == function);
        let mut calls: Vec<String> = calls.map(|call| call.operation).collect();
        calls.sort();
        calls
    }
}

#[tokio::test]
async fn a_page_makes_no_more_calls_however_many_deliveries_there_are() {
    let world = World::new().await;
    let mut destinations = Vec::new();
    for n in 0..30 {
        let id = world.destination(&format!("Destination {n}")).await;
        world
            .post(&format!("/v1/destinations/{id}/disable"), json!({}))
            .await;
        destinations.push(id);
    }
    let submit = async |count: usize| {
        let mut last = Value::Null;
        for n in 0..count {
            let body = json!({"event_type": "report.ready", "payload": {"n": n},
                "destination_ids": destinations});
            last = world.post("/v1/messages", body).await;
        }
        last
    };
    let message = submit(30).await;
    let ids = [
        ("destination", destinations[0].as_str()),
        ("message", message["id"].as_str().unwrap()),
        ("delivery", message["deliveries"][0]["id"].as_str().unwrap()),
    ];
    let cookie = world.signs_in(&world.keys.organization_key).await;
    let few = world.calls(&cookie, &ids).await;
    submit(60).await;
    let many = world.calls(&cookie, &ids).await;
    for (page, most) in CALLS_MAX {
        println!("{page}: {} calls", many[page].len());
        for (deliveries, calls) in [(900, &few[page]), (2700, &many[page])] {
            assert!(
                calls.len() <= *most,
                "{page} makes {} calls with {deliveries} deliveries: {calls:?}",
                calls.len()
            );
        }
    }
}

#[tokio::test]
async fn a_list_of_destinations_makes_one_more_call_for_each_that_it_shows() {
    let world = World::new().await;
    let cookie = world.signs_in(&world.keys.organization_key).await;
    let bearer = format!("Bearer {}", world.keys.organization_key);
    let calls = async || {
        let page = world
            .calls_of(&world.console, "/destinations", (COOKIE, &cookie))
            .await;
        let answer = world
            .calls_of(
                &world.api,
                "/v1/destinations?include=health",
                (AUTHORIZATION, &bearer),
            )
            .await;
        [page.len(), answer.len()]
    };
    let mut destinations = Vec::new();
    for n in 0..5 {
        destinations.push(world.destination(&format!("Destination {n}")).await);
    }
    let few = calls().await;
    for n in 5..25 {
        destinations.push(world.destination(&format!("Destination {n}")).await);
    }
    for n in 0..8 {
        world
            .post(
                "/v1/messages",
                json!({"event_type": "report.ready", "payload": {"n": n},
            "destination_ids": destinations}),
            )
            .await;
    }
    let many = calls().await;
    for (few, many) in few.into_iter().zip(many) {
        println!("{few} calls for 5 destinations, {many} for 25");
        assert!(
            many <= few + 20,
            "{few} calls for 5 destinations, {many} for 25 with queued deliveries"
        );
    }
}

#[tokio::test]
async fn a_list_of_organizations_makes_a_bounded_number_of_calls_for_each_that_it_shows() {
    let world = World::new().await;
    let cookie = world.signs_in(&world.keys.operator_key).await;
    let bearer = format!("Bearer {}", world.keys.operator_key);
    let few = world
        .calls_of(&world.console, "/organizations", (COOKIE, &cookie))
        .await
        .len();
    for n in 0..10 {
        let headers = [
            (AUTHORIZATION, &*bearer),
            (CONTENT_TYPE, "application/json"),
        ];
        let body = json!({"name": format!("Organization {n}")}).to_string();
        assert_eq!(
            world
                .request(Method::POST, "/v1/organizations", &headers, body)
                .await
                .status(),
            StatusCode::CREATED
        );
    }
    let many = world
        .calls_of(&world.console, "/organizations", (COOKIE, &cookie))
        .await
        .len();
    println!("{few} calls for 1 organization, {many} for 11");
    assert!(
        many <= few + 10 * 9,
        "{few} calls for one organization, {many} for eleven"
    );
}
