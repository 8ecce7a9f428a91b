//! A tenant.

use std::ops::Deref;

use http::Method;
use serde_json::{Value, json};

use super::{Answer, Caller, Destination, Message, NewDestination};

/// An organization and its admin. What a [`Caller`] can do, it does with the admin's key.
#[derive(Clone)]
pub struct Organization {
    /// Its id.
    pub id: String,
    admin: Caller,
}

/// An API key with what it opens.
pub struct Key {
    /// Its id.
    pub id: String,
    /// Somebody who has it.
    pub caller: Caller,
}

impl Organization {
    /// A new one, in the hands of an admin key of its own.
    pub async fn create(operator: &Caller, name: &str) -> Self {
        let created = operator.post("/v1/organizations", json!({"name": name})).await.ok(201);
        let id = created["id"].as_str().expect("an id").to_owned();
        let path = format!("/v1/api-keys?organization_id={id}");
        let key = operator.post(&path, json!({"name": "admin", "role": "admin"})).await.ok(201);
        let admin = operator.with_key(key["key"].as_str().expect("the key"));
        Self { id, admin }
    }

    /// One that exists already, in the hands of a caller with its key.
    pub fn existing(id: &str, admin: Caller) -> Self {
        Self { id: id.to_owned(), admin }
    }

    /// A new key of this organization.
    pub async fn key(&self, role: &str) -> Key {
        let created = self.post("/v1/api-keys", json!({"name": role, "role": role})).await.ok(201);
        let text = |name: &str| created[name].as_str().expect("text").to_owned();
        Key { id: text("id"), caller: self.with_key(&text("key")) }
    }

    /// A destination to be described and created.
    pub fn destination(&self) -> NewDestination {
        NewDestination::of(self.admin.clone())
    }

    /// Submits a message that must be accepted.
    pub async fn submit(&self, message: Value) -> Message {
        Message::accepted(self.admin.clone(), &self.post("/v1/messages", message).await)
    }

    /// Submits a message given as text, byte for byte; it must be accepted.
    pub async fn submit_text(&self, message: &str) -> Message {
        let answer = self.call(Method::POST, "/v1/messages").json_text(message.to_owned()).send().await;
        Message::accepted(self.admin.clone(), &answer)
    }

    /// Submits a payload to these destinations, as `report.ready`.
    pub async fn send<'a>(&self, destinations: impl IntoIterator<Item = &'a Destination>, payload: Value) -> Message {
        let ids: Vec<&str> = destinations.into_iter().map(|destination| destination.id.as_str()).collect();
        self.submit(json!({"event_type": "report.ready", "payload": payload, "destination_ids": ids})).await
    }

    /// A message that an answer shows.
    pub fn message(&self, shown: Value) -> Message {
        Message::shown(self.admin.clone(), shown)
    }

    /// Changes the organization's settings.
    pub async fn settings(&self, settings: Value) -> Answer {
        self.patch("/v1/organization", json!({"settings": settings})).await
    }

    /// The actions of its audit trail, newest first, each with its target.
    pub async fn audited(&self, action: &str) -> Vec<Value> {
        self.list(&format!("/v1/audit-events?limit=100&action={action}")).await
    }
}

impl Deref for Organization {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.admin
    }
}
