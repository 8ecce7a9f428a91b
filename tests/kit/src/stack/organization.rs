//! An organization of a test.

use std::ops::Deref;

use http::Method;
use serde_json::{Value, json};

use super::{Answer, Caller, Destination, Message, NewDestination};

/// An organization with its admin key. It dereferences to a [`Caller`] with that key.
#[derive(Clone)]
pub struct Organization {
    /// The id of the organization.
    pub id: String,
    admin: Caller,
}

/// An API key and a caller with it.
pub struct Key {
    /// The id of the key.
    pub id: String,
    /// A caller with the key.
    pub caller: Caller,
}

impl Organization {
    /// Creates an organization with an admin key.
    pub async fn create(operator: &Caller, name: &str) -> Self {
        let created = operator
            .post("/v1/organizations", json!({"name": name}))
            .await
            .ok(201);
        let id = created["id"].as_str().expect("an id").to_owned();
        let path = format!("/v1/api-keys?organization_id={id}");
        let key = operator
            .post(&path, json!({"name": "admin", "role": "admin"}))
            .await
            .ok(201);
        let admin = operator.with_key(key["key"].as_str().expect("the key"));
        Self { id, admin }
    }

    /// Uses an existing organization with a caller that has its key.
    pub fn existing(id: &str, admin: Caller) -> Self {
        Self {
            id: id.to_owned(),
            admin,
        }
    }

    /// Creates a key of this organization.
    pub async fn key(&self, role: &str) -> Key {
        let created = self
            .post("/v1/api-keys", json!({"name": role, "role": role}))
            .await
            .ok(201);
        let text = |name: &str| created[name].as_str().expect("text").to_owned();
        Key {
            id: text("id"),
            caller: self.with_key(&text("key")),
        }
    }

    /// Starts the description of a destination to create.
    pub fn destination(&self) -> NewDestination {
        NewDestination::of(self.admin.clone())
    }

    /// Submits a message that must be accepted.
    pub async fn submit(&self, message: Value) -> Message {
        Message::accepted(
            self.admin.clone(),
            &self.post("/v1/messages", message).await,
        )
    }

    /// Submits a message byte for byte; it must be accepted.
    pub async fn submit_text(&self, message: &str) -> Message {
        let answer = self
            .call(Method::POST, "/v1/messages")
            .json_text(message.to_owned())
            .send()
            .await;
        Message::accepted(self.admin.clone(), &answer)
    }

    /// Submits a payload to these destinations, as `report.ready`.
    pub async fn send<'a>(
        &self,
        destinations: impl IntoIterator<Item = &'a Destination>,
        payload: Value,
    ) -> Message {
        let ids: Vec<&str> = destinations
            .into_iter()
            .map(|destination| destination.id.as_str())
            .collect();
        self.submit(
            json!({"event_type": "report.ready", "payload": payload, "destination_ids": ids}),
        )
        .await
    }

    /// Creates a message of its view in a response.
    pub fn message(&self, shown: Value) -> Message {
        Message::shown(self.admin.clone(), shown)
    }

    /// Changes the settings of the organization.
    pub async fn settings(&self, settings: Value) -> Answer {
        self.patch("/v1/organization", json!({"settings": settings}))
            .await
    }

    /// Returns the audit events with this action, newest first.
    pub async fn audited(&self, action: &str) -> Vec<Value> {
        self.list(&format!("/v1/audit-events?limit=100&action={action}"))
            .await
    }
}

impl Deref for Organization {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.admin
    }
}
