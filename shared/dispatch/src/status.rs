//! Status updates: announces finished deliveries and completed messages to the destinations that
//! the organization chose.

use domain::attempt::Attempt;
use domain::delivery::{Delivery, DeliveryStatus};
use domain::id::IdMint;
use domain::organization::OrganizationSettings;
use serde_json::{Value, json};
use store::{Routes, Store, StoreError};
use tokio::sync::OnceCell;

use crate::announce::{Announcement, existing};
use crate::bus::BusError;
use crate::view::delivery::{DeliveryFacts, DeliveryView, Pauses};
use crate::view::message::MessageView;
use crate::{Dispatcher, Target};

/// The maximum number of attempts in an event about a failed delivery.
const ATTEMPTS_MAX: usize = 20;
/// The maximum size of an event's detail. EventBridge accepts 256 KiB with the rest of the entry.
const EVENT_BYTES_MAX: usize = 255 * 1024;

/// The reason why a status update was not sent.
#[derive(Debug, thiserror::Error)]
pub enum StatusUpdateError {
    /// The table could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event bus did not accept the event.
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// A finished delivery and the data of its status update. Its attempts are read once, and only if
/// an update is sent.
pub struct Ending<'d> {
    delivery: &'d Delivery,
    public_url: &'d str,
    shards: u8,
    data: OnceCell<Value>,
}

impl<'d> Ending<'d> {
    /// Creates the ending of this delivery, whose organization has this many `shards`. Links in the
    /// update start with `public_url`.
    #[must_use]
    pub fn of(delivery: &'d Delivery, public_url: &'d str, shards: u8) -> Self {
        Self {
            delivery,
            public_url,
            shards,
            data: OnceCell::new(),
        }
    }

    /// Returns the data of the delivery's status update.
    async fn data(&self, store: &Store) -> Result<&Value, StoreError> {
        let Self {
            delivery,
            public_url,
            data,
            ..
        } = self;
        data.get_or_try_init(async || {
            let (attempts, omitted) = store.attempts(delivery).await?;
            Ok(json!({
                "delivery": shown(delivery, attempts, omitted, public_url),
                "message_id": delivery.id.message,
                "reference": delivery.message.reference,
                "metadata": delivery.message.metadata,
            }))
        })
        .await
    }

    /// Returns a name of this ending, from which ids are derived. A redelivery increases both
    /// counts, so its ending has another name.
    fn name(&self, event_type: &str) -> String {
        let delivery = self.delivery;
        format!(
            "{event_type}/{}/{}.{}",
            delivery.id, delivery.generation, delivery.attempts
        )
    }
}

/// Renders a finished delivery for status updates: as the API does, but without response bodies.
fn shown(delivery: &Delivery, attempts: Vec<Attempt>, omitted: u32, public_url: &str) -> Value {
    let facts = DeliveryFacts::of(
        delivery,
        &Pauses::default(),
        delivery.updated_at,
        public_url,
    );
    let mut shown = json!(DeliveryView::of(facts, attempts, omitted));
    let attempts = shown["attempts"].as_array_mut().into_iter().flatten();
    for response in attempts.filter_map(|attempt| attempt["response"].as_object_mut()) {
        response.retain(|name, _| !matches!(name.as_str(), "body" | "truncated"));
    }
    shown
}

/// Shortens an event about a delivery to what an event bus accepts: keeps the last attempts, and the
/// headers of as many of them as fit.
fn bounded(mut event: Value) -> Value {
    let delivery = &mut event["data"]["delivery"];
    let Some(attempts) = delivery["attempts"].as_array_mut() else {
        return event;
    };
    let surplus = attempts.len().saturating_sub(ATTEMPTS_MAX);
    attempts.drain(..surplus);
    let shown = attempts.len();
    let omitted = delivery["attempts_omitted"].as_u64().unwrap_or_default();
    delivery["attempts_omitted"] = json!(omitted + surplus as u64);
    for attempt in 0..shown {
        if event.to_string().len() <= EVENT_BYTES_MAX {
            break;
        }
        for part in ["request", "response"] {
            let attempt = &mut event["data"]["delivery"]["attempts"][attempt];
            if let Some(headers) = attempt[part].get_mut("headers") {
                *headers = json!({});
            }
        }
    }
    event
}

/// Returns whether the organization or the message requested updates about this delivery.
#[must_use]
pub fn has_requested_updates(delivery: &Delivery, settings: &OrganizationSettings) -> bool {
    let ours = delivery.message.test || delivery.message.event_type.is_reserved();
    let is_requested =
        delivery.message.status_callback.is_some() || !settings.status_destination_ids.is_empty();
    !ours && delivery.status().is_finished() && is_requested && !settings.status_events.is_empty()
}

impl Dispatcher {
    /// Announces a finished delivery, and its message if this was the last delivery. A repeat
    /// announces the same messages.
    pub async fn send_status_updates(
        &self,
        ids: &IdMint,
        ending: &Ending<'_>,
    ) -> Result<(), StoreError> {
        let delivery = ending.delivery;
        let Some(routes) = self.store.routes(delivery.organization).await? else {
            return Ok(());
        };
        let wants = |event: &str| {
            routes
                .settings
                .status_events
                .iter()
                .any(|wanted| wanted == event)
        };
        match delivery.status() {
            DeliveryStatus::Succeeded if wants("delivery.succeeded") => {
                self.send_delivery_update(ids, &routes, ending, "waybill.delivery.succeeded")
                    .await?;
            }
            DeliveryStatus::Failed if wants("delivery.failed") => {
                self.send_delivery_update(ids, &routes, ending, "waybill.delivery.failed")
                    .await?;
            }
            _ => {}
        }
        if wants("message.completed") {
            self.send_completed_update(ids, &routes, delivery, ending.public_url)
                .await
        } else {
            Ok(())
        }
    }

    /// Publishes a failed delivery on the event bus, if there is one. The event has the id of the
    /// status update about the same failure.
    pub async fn put_failed(
        &self,
        ids: &IdMint,
        ending: &Ending<'_>,
    ) -> Result<(), StatusUpdateError> {
        let delivery = ending.delivery;
        let Some(bus) = self
            .bus()
            .filter(|_| delivery.status() == DeliveryStatus::Failed && !delivery.message.test)
        else {
            return Ok(());
        };
        let event_type = "waybill.delivery.failed";
        let occurred_at = delivery.state.finished_at().unwrap_or(delivery.updated_at);
        let id: domain::id::MessageId = ids.derive(
            delivery.organization,
            ending.shards,
            occurred_at,
            &ending.name(event_type),
        );
        let data = ending.data(&self.store).await?;
        let body = json!({"type": event_type, "id": id, "occurred_at": occurred_at,
            "organization_id": delivery.organization, "data": data});
        Ok(bus.put("Delivery Failed", &bounded(body)).await?)
    }

    async fn send_delivery_update(
        &self,
        ids: &IdMint,
        routes: &Routes,
        ending: &Ending<'_>,
        event_type: &'static str,
    ) -> Result<(), StoreError> {
        let data = ending.data(&self.store).await?.clone();
        self.send_update(
            ids,
            routes,
            ending.delivery,
            event_type,
            &ending.name(event_type),
            data,
        )
        .await
    }

    /// Announces a completed message. When several deliveries finish at the same time, the process
    /// that writes last finds all of them finished. If two processes do, they announce the same
    /// message.
    async fn send_completed_update(
        &self,
        ids: &IdMint,
        routes: &Routes,
        delivery: &Delivery,
        public_url: &str,
    ) -> Result<(), StoreError> {
        // Read even for a message to one destination, because a fallback or another destination may
        // have been added since the delivery was read.
        let deliveries = self
            .store
            .message(delivery.organization, delivery.id.message)
            .await?
            .unwrap_or_default();
        if deliveries
            .iter()
            .any(|delivery| !delivery.status().is_finished())
        {
            return Ok(());
        }
        let Some(last) = deliveries
            .iter()
            .max_by_key(|delivery| delivery.state.finished_at())
        else {
            return Ok(());
        };
        let sum = |of: fn(&Delivery) -> u32| {
            deliveries
                .iter()
                .map(|delivery| u64::from(of(delivery)))
                .sum::<u64>()
        };
        let event_type = "waybill.message.completed";
        let (generations, attempts) = (
            sum(|delivery| delivery.generation),
            sum(|delivery| delivery.attempts),
        );
        let name = format!(
            "{event_type}/{}/{generations}.{attempts}",
            delivery.id.message
        );
        let message = MessageView::of(&deliveries, &Pauses::default(), last.updated_at, public_url);
        let data = json!({"message": message});
        self.send_update(ids, routes, last, event_type, &name, data)
            .await
    }

    async fn send_update(
        &self,
        ids: &IdMint,
        routes: &Routes,
        delivery: &Delivery,
        event_type: &'static str,
        name: &str,
        data: Value,
    ) -> Result<(), StoreError> {
        let occurred_at = delivery.state.finished_at().unwrap_or(delivery.updated_at);
        let organization = delivery.organization;
        let id: domain::id::MessageId = ids.derive(organization, routes.shards, occurred_at, name);
        let body = json!({"type": event_type, "id": id, "occurred_at": occurred_at,
            "organization_id": organization, "data": data});
        let reference = delivery.message.reference.clone();
        let callback = delivery.message.status_callback.clone();
        let mut targets: Vec<Target> =
            existing(routes, &routes.settings.status_destination_ids).collect();
        if let Some(callback) = &callback {
            let own = self
                .callback_target(ids, routes, organization, callback)
                .await?;
            // A destination that is named twice is notified once.
            targets.extend(own.filter(|own| {
                targets
                    .iter()
                    .all(|target| target.destination != own.destination)
            }));
        }
        let trace = delivery.message.trace;
        let announcement = Announcement {
            organization,
            event_type,
            occurred_at,
            name,
            reference,
            trace,
            body,
            callback,
        };
        self.announce_to(ids, routes, announcement, targets)
            .await
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(attempts: usize, header_bytes: usize) -> Value {
        let attempt = |number| {
            json!({"number": number, "request": {"headers": {"a": "1"}},
                "response": {"status": 500, "headers": {"x": "h".repeat(header_bytes)}}})
        };
        let attempts: Vec<Value> = (1..=attempts).map(attempt).collect();
        json!({"data": {"delivery": {"attempts": attempts, "attempts_omitted": 3}}})
    }

    #[test]
    fn an_event_with_few_attempts_is_unchanged() {
        assert_eq!(bounded(event(20, 100)), event(20, 100));
    }

    #[test]
    fn an_event_that_is_too_large_keeps_the_last_attempts_and_the_headers_that_fit() {
        let short = bounded(event(25, 32 * 1024));
        assert!(short.to_string().len() <= EVENT_BYTES_MAX);
        let delivery = &short["data"]["delivery"];
        assert_eq!(delivery["attempts_omitted"], 8);
        let attempts = delivery["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), ATTEMPTS_MAX);
        assert_eq!(attempts[0]["number"], 6);
        assert_eq!(attempts[0]["response"]["headers"], json!({}));
        assert_eq!(
            attempts[19],
            event(25, 32 * 1024)["data"]["delivery"]["attempts"][24]
        );
    }
}
