//! A client of the API. It sends requests to the handler that Lambda calls, with an idempotency
//! key, and repeats those that got no response.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use domain::id::MessageId;
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::BodyExt as _;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::World;

/// The timeout of the API on Lambda, after which a request has no response.
pub(super) const REQUEST_MAX: Duration = Duration::from_secs(29);

/// A request that submits a message, or a batch of them.
#[derive(Clone, Debug)]
pub struct Request {
    key: String,
    path: &'static str,
    body: Bytes,
}

/// The response to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// For each message of the request, its id and number of deliveries, or `None` if it was not
    /// accepted.
    pub messages: Vec<Option<(MessageId, u16)>>,
    /// Whether the response says that it repeats an earlier one.
    pub replayed: bool,
}

impl Reply {
    /// Whether each message of the request was accepted.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.messages.iter().all(Option::is_some)
    }
}

impl World {
    /// Returns a request for one message to the first `fan_out` destinations.
    #[must_use]
    pub fn request(&self, fan_out: usize, payload_bytes: usize) -> Request {
        self.new_request("/v1/messages", &self.message(fan_out, payload_bytes))
    }

    /// Returns a request for a batch of messages, of which each goes to one more destination than
    /// the one before, as far as there are destinations.
    #[must_use]
    pub fn batch_request(&self, count: usize, payload_bytes: usize) -> Request {
        let messages: Vec<Value> = (0..count)
            .map(|n| self.message(n % self.destinations.len() + 1, payload_bytes))
            .collect();
        self.new_request("/v1/messages/batch", &json!({"messages": messages}))
    }

    fn message(&self, fan_out: usize, payload_bytes: usize) -> Value {
        let destinations: Vec<String> = self.destinations[..fan_out]
            .iter()
            .map(ToString::to_string)
            .collect();
        json!({
            "event_type": "simulated",
            "payload": "x".repeat(payload_bytes),
            "destination_ids": destinations,
        })
    }

    fn new_request(&self, path: &'static str, body: &Value) -> Request {
        let key = self.ids.mint::<MessageId>(self.organization.id, 1);
        Request {
            key: key.to_string(),
            path,
            body: body.to_string().into(),
        }
    }

    /// Sends a request. Returns `None` if it has no response in time, or one that asks to repeat
    /// it. Panics if it is refused.
    pub async fn send(&self, request: &Request) -> Option<Reply> {
        let http = http::Request::post(request.path)
            .header("host", "waybill.example")
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", &request.key)
            .header(
                AUTHORIZATION,
                format!("Bearer {}", self.api_key.expose_secret()),
            )
            .body(Body::from(request.body.clone()))
            .expect("the request is well-formed");
        let answering = async {
            let response = self.api.clone().oneshot(http).await;
            let (parts, body) = response.expect("the router answers").into_parts();
            let body = body.collect().await.expect("the body is in memory");
            (parts, body.to_bytes())
        };
        let (parts, body) = tokio::time::timeout(REQUEST_MAX, answering).await.ok()?;
        let may_be_repeated =
            parts.status.is_server_error() || parts.status == StatusCode::CONFLICT;
        if may_be_repeated {
            return None;
        }
        let body: Value = serde_json::from_slice(&body).expect("the response is JSON");
        assert_eq!(parts.status, StatusCode::ACCEPTED, "{body}");
        let messages = match body["results"].as_array() {
            Some(results) => results.iter().map(|result| &result["message"]).collect(),
            None => vec![&body],
        };
        Some(Reply {
            messages: messages.into_iter().map(accepted).collect(),
            replayed: parts
                .headers
                .get("idempotent-replayed")
                .is_some_and(|value| value == "true"),
        })
    }
}

/// Returns the id of an accepted message and its number of deliveries.
fn accepted(message: &Value) -> Option<(MessageId, u16)> {
    let id = message["id"].as_str()?.parse();
    let id = id.expect("it is the id of a message");
    let deliveries = message["deliveries"]
        .as_array()
        .expect("a message has deliveries");
    Some((id, u16::try_from(deliveries.len()).unwrap_or(u16::MAX)))
}
