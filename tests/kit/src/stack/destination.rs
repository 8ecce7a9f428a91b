//! A destination, before and after it is created.

use serde_json::{Map, Value, json};

use super::{Answer, Caller};
use crate::sink::Route;

/// A destination to be created. Without a word it is a webhook without an address.
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
    /// Its id.
    pub id: String,
    /// What creating it answered.
    pub created: Value,
    caller: Caller,
}

impl NewDestination {
    pub(super) fn of(caller: Caller) -> Self {
        let body = Map::from_iter([("type".to_owned(), json!("webhook")), ("name".to_owned(), json!("A receiver"))]);
        Self { caller, body, settings: Map::new(), receiver: None, skip_check: false }
    }

    /// At a sink's receiver.
    pub fn webhook(mut self, receiver: &Route) -> Self {
        self.receiver = Some(receiver.clone());
        self.url(&receiver.url())
    }

    /// At any address.
    pub fn url(self, url: &str) -> Self {
        self.settings(json!({"url": url}))
    }

    /// With these settings, besides the others.
    pub fn settings(mut self, settings: Value) -> Self {
        let Value::Object(settings) = settings else { panic!("settings are an object") };
        self.settings.extend(settings);
        self
    }

    /// With any member.
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.body.insert(member.to_owned(), value.into());
        self
    }

    /// With these credentials.
    pub fn credentials(self, credentials: Value) -> Self {
        self.with("credentials", credentials)
    }

    /// Subscribed to these patterns.
    pub fn event_types<'a>(self, patterns: impl IntoIterator<Item = &'a str>) -> Self {
        self.with("event_types", patterns.into_iter().collect::<Vec<_>>())
    }

    /// With this retry policy.
    pub fn retry(self, policy: Value) -> Self {
        self.with("retry_policy", policy)
    }

    /// With so many retries, a second apart.
    pub fn retries(self, max_retries: u32) -> Self {
        self.retry(json!({"max_retries": max_retries, "initial_seconds": 1, "multiplier": 1}))
    }

    /// Saved without a connection check.
    pub fn skip_check(mut self) -> Self {
        self.skip_check = true;
        self
    }

    /// The request's body.
    pub fn body(&self) -> Value {
        let mut body = self.body.clone();
        body.insert("settings".to_owned(), Value::Object(self.settings.clone()));
        Value::Object(body)
    }

    /// Asks for it, and returns the answer, whatever it is.
    pub async fn asks(&self) -> Answer {
        let path = if self.skip_check { "/v1/destinations?skip_check=true" } else { "/v1/destinations" };
        self.caller.post(path, self.body()).await
    }

    /// Creates it. Its receiver forgets the check, so that from here on it remembers deliveries only.
    pub async fn create(self) -> Destination {
        let created = self.asks().await.ok(201);
        if let Some(receiver) = self.receiver {
            receiver.forget();
        }
        Destination { id: created["id"].as_str().expect("an id").to_owned(), created, caller: self.caller }
    }
}

impl Destination {
    /// Its path in the API.
    pub fn path(&self) -> String {
        format!("/v1/destinations/{}", self.id)
    }

    /// The signing secret that creating it showed.
    pub fn signing_secret(&self) -> &str {
        self.created["signing_secret"].as_str().expect("a generated secret is shown once")
    }

    /// What it is now.
    pub async fn read(&self) -> Value {
        self.caller.get(&self.path()).await.ok(200)
    }

    /// Its health now.
    pub async fn health(&self) -> Value {
        self.read().await["health"].take()
    }

    /// Changes it, without a connection check.
    pub async fn change(&self, patch: Value) -> Value {
        self.caller.patch(&format!("{}?skip_check=true", self.path()), patch).await.ok(200)
    }

    /// Does one of its actions: `enable`, `disable`, `rotate-secret`, `test`, `check`.
    pub async fn action(&self, action: &str, body: Value) -> Answer {
        self.caller.post(&format!("{}/{action}", self.path()), body).await
    }
}
