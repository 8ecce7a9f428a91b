//! A destination, before and after it is created.

use serde_json::{Map, Value, json};

use super::{Answer, Caller};
use crate::sink::Route;

/// A destination to create. By default it is a webhook without a URL.
#[must_use]
pub struct NewDestination {
    caller: Caller,
    body: Map<String, Value>,
    settings: Map<String, Value>,
    receiver: Option<Route>,
    skip_check: bool,
}

/// A destination that was created.
pub struct Destination {
    /// The id of the destination.
    pub id: String,
    /// The response to creating it.
    pub created: Value,
    caller: Caller,
}

impl NewDestination {
    pub(super) fn of(caller: Caller) -> Self {
        let body = Map::from_iter([
            ("type".to_owned(), json!("webhook")),
            ("name".to_owned(), json!("A receiver")),
        ]);
        Self {
            caller,
            body,
            settings: Map::new(),
            receiver: None,
            skip_check: false,
        }
    }

    /// Sets the URL of a sink's receiver.
    pub fn webhook(mut self, receiver: &Route) -> Self {
        self.receiver = Some(receiver.clone());
        self.url(&receiver.url())
    }

    /// Sets the URL, which may be any text.
    pub fn url(self, url: &str) -> Self {
        self.settings(json!({"url": url}))
    }

    /// Adds or replaces these settings.
    pub fn settings(mut self, settings: Value) -> Self {
        let Value::Object(settings) = settings else {
            panic!("settings are an object")
        };
        self.settings.extend(settings);
        self
    }

    /// Sets any member of the destination.
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.body.insert(member.to_owned(), value.into());
        self
    }

    /// Sets the credentials of the destination.
    pub fn credentials(self, credentials: Value) -> Self {
        self.with("credentials", credentials)
    }

    /// Subscribes to these patterns.
    pub fn event_types<'a>(self, patterns: impl IntoIterator<Item = &'a str>) -> Self {
        self.with("event_types", patterns.into_iter().collect::<Vec<_>>())
    }

    /// Sets the retry policy.
    pub fn retry(self, policy: Value) -> Self {
        self.with("retry_policy", policy)
    }

    /// Allows this many retries, a second apart.
    pub fn retries(self, max_retries: u32) -> Self {
        self.retry(json!({"max_retries": max_retries, "initial_seconds": 1, "multiplier": 1}))
    }

    /// Skips the connection check.
    pub fn skip_check(mut self) -> Self {
        self.skip_check = true;
        self
    }

    /// Returns the body of the request.
    pub fn body(&self) -> Value {
        let mut body = self.body.clone();
        body.insert("settings".to_owned(), Value::Object(self.settings.clone()));
        Value::Object(body)
    }

    /// Sends the request and returns the response, whatever it is.
    pub async fn asks(&self) -> Answer {
        let path = if self.skip_check {
            "/v1/destinations?skip_check=true"
        } else {
            "/v1/destinations"
        };
        self.caller.post(path, self.body()).await
    }

    /// Creates the destination. Its receiver forgets the check, so that it then only records
    /// deliveries.
    pub async fn create(self) -> Destination {
        let created = self.asks().await.ok(201);
        if let Some(receiver) = self.receiver {
            receiver.forget();
        }
        Destination {
            id: created["id"].as_str().expect("an id").to_owned(),
            created,
            caller: self.caller,
        }
    }
}

impl Destination {
    /// Returns the path of the destination in the API.
    pub fn path(&self) -> String {
        format!("/v1/destinations/{}", self.id)
    }

    /// Returns the signing secret from the response to creating it.
    pub fn signing_secret(&self) -> &str {
        self.created["signing_secret"]
            .as_str()
            .expect("a generated secret is shown once")
    }

    /// Reads the current state of the destination.
    pub async fn read(&self) -> Value {
        self.caller.get(&self.path()).await.ok(200)
    }

    /// Reads the current health of the destination.
    pub async fn health(&self) -> Value {
        self.read().await["health"].take()
    }

    /// Changes the destination without a connection check.
    pub async fn change(&self, patch: Value) -> Value {
        self.caller
            .patch(&format!("{}?skip_check=true", self.path()), patch)
            .await
            .ok(200)
    }

    /// Executes an action: `enable`, `disable`, `rotate-secret`, `test`, `check`.
    pub async fn action(&self, action: &str, body: Value) -> Answer {
        self.caller
            .post(&format!("{}/{action}", self.path()), body)
            .await
    }
}
