//! Idempotency keys: a request that is repeated gets the response of the first one, and nothing is
//! done twice.
//!
//! A POST with a key **claims** it before it runs. It then **concludes** the claim with its
//! response, or releases the key if the request is refused with a 4xx. After a 5xx, which may have
//! changed something, a repeat takes the claim over with the same id. A repeat **replays** the
//! stored response. While the first request is still running, the repeat waits for a short time. `POST
//! /v1/messages` has a cheaper protocol of its own in [`crate::message`], because its claim already
//! records the deliveries that its response is made of.

use std::time::Duration;

use domain::Timestamp;
use domain::id::{DestinationId, Id as _, OrganizationId, Ulid};
use domain::limits::IDEMPOTENCY_KEY;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use store::{Claim, IdempotencyClaim};

use crate::{Context, Operations, Refusal, RefusalCode};

/// How long a repeat waits for the first request to finish.
const WAIT_MAX: Duration = Duration::from_secs(5);
const WAIT_STEP: Duration = Duration::from_millis(100);
/// How much longer a lease lasts than the function that takes it may run.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// The prefixes of the ids of portal links and authorizations, whose URLs are secrets: the first
/// opens the console, and with the second a person consents for the organization.
const SECRET_URLS: &[&str] = &["pln_", "oau_"];
/// Members that are shown once. A replayed response has null in their place.
const SHOWN_ONCE: &[&str] = &["key", "signing_secret", "status_signing_secret"];

/// An idempotency key, which consists of printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Parses a key. Returns a description of the mistake if it is invalid.
    pub fn parse(text: &str) -> Result<Self, String> {
        let good = IDEMPOTENCY_KEY.contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        good.then(|| Self(text.to_owned())).ok_or_else(|| {
            format!(
                "must have {} to {} printable ASCII characters",
                IDEMPOTENCY_KEY.start(),
                IDEMPOTENCY_KEY.end()
            )
        })
    }

    /// Returns the hash under which the key is stored.
    pub(crate) fn hash(&self) -> String {
        crate::message::sha256_hex(self.0.as_bytes())
    }
}

/// The response to a request, as it is stored for repeats.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredAnswer {
    /// The HTTP status of the kept response.
    pub status: u16,
    /// The `Location` header, if there was one.
    pub location: Option<String>,
    /// The `ETag` header, if there was one.
    pub etag: Option<String>,
    /// The body of the kept response.
    pub body: Value,
}

/// How an admitted request ended.
#[derive(Debug)]
pub enum RequestOutcome {
    /// The request succeeded, with this response.
    Succeeded(StoredAnswer),
    /// The request was refused with a 4xx, and changed nothing.
    Refused,
    /// The request failed with a 5xx, and may have changed something.
    Failed,
}

/// Whether a request with an idempotency key is executed.
#[derive(Debug)]
pub enum Admission {
    /// The request is executed. The object that it creates gets this id, and the permit is used to
    /// conclude the claim.
    Run(Permit, Ulid),
    /// The request was executed before, with this response.
    Replay(StoredAnswer),
}

/// The claim of a key by a request that is executed.
#[derive(Debug)]
pub struct Permit {
    organization: OrganizationId,
    key_hash: String,
}

/// What identifies a request with a key: its organization, and the hashes of the key and of the
/// request.
#[derive(Clone, Debug)]
pub(crate) struct RequestFingerprint {
    pub(crate) organization: OrganizationId,
    pub(crate) key_hash: String,
    pub(crate) request_hash: String,
}

impl RequestFingerprint {
    pub(crate) fn of(
        organization: OrganizationId,
        key: &IdempotencyKey,
        request_line: &str,
        body: &[u8],
    ) -> Self {
        let mut hash = Sha256::new();
        // The length prefix separates the two parts.
        hash.update((request_line.len() as u64).to_be_bytes());
        hash.update(request_line.as_bytes());
        hash.update(body);
        let request_hash = hex::encode(hash.finalize());
        Self {
            organization,
            key_hash: key.hash(),
            request_hash,
        }
    }
}

impl RequestFingerprint {
    /// Returns the fingerprint of one message of a batch. No client's key has its hash, because the
    /// hashed text contains a character that is not printable.
    pub(crate) fn of_message(&self, position: usize) -> Self {
        let hashed = format!("{}\n{position}", self.key_hash);
        Self {
            key_hash: crate::message::sha256_hex(hashed.as_bytes()),
            ..self.clone()
        }
    }

    /// Returns the claim, or refuses a key that was used with another request.
    pub(crate) fn checked(&self, claim: Claim) -> Result<Claim, Refusal> {
        match &claim {
            Claim::Finished { request_hash, .. } | Claim::Running { request_hash, .. }
                if *request_hash != self.request_hash =>
            {
                Err(Refusal::idempotency_key_reused())
            }
            _ => Ok(claim),
        }
    }
}

impl Operations {
    /// Claims the request's key, or returns the response that was stored under it. Returns `None`
    /// if the request has no key.
    pub async fn admit(
        &self,
        ctx: &Context,
        organization: Option<OrganizationId>,
        body: &[u8],
    ) -> Result<Option<Admission>, Refusal> {
        let Some(key) = &ctx.idempotency_key else {
            return Ok(None);
        };
        // The operator's requests about organizations themselves belong to none of them.
        let organization =
            organization.unwrap_or_else(|| Ulid::first_at(Timestamp::from_millis(0)).into());
        let fingerprint = RequestFingerprint::of(organization, key, &ctx.request_line, body);
        let reserved = self.ids.mint::<DestinationId>(organization, 1).ulid();
        let deadline = wait_deadline();
        loop {
            let recorded = match self
                .claim(&fingerprint, Value::from(reserved.to_string()))
                .await?
            {
                Claim::New => Value::Null,
                Claim::TakenOver { recorded } => recorded,
                Claim::Finished {
                    response: Some(response),
                    ..
                } => {
                    let answer = serde_json::from_value(response).map_err(Refusal::internal)?;
                    return Ok(Some(Admission::Replay(answer)));
                }
                Claim::Finished { response: None, .. } => {
                    let detail = "the first request was carried out; its answer was too large to \
                         be kept, so read the object itself";
                    return Err(Refusal::new(RefusalCode::IdempotentAnswerNotKept, detail));
                }
                Claim::Running { .. } => {
                    wait_until(deadline).await?;
                    continue;
                }
            };
            let reserved = recorded
                .as_str()
                .and_then(|ulid| ulid.parse().ok())
                .unwrap_or(reserved);
            return Ok(Some(Admission::Run(
                Permit {
                    organization,
                    key_hash: fingerprint.key_hash,
                },
                reserved,
            )));
        }
    }

    /// Concludes the claim of an admitted request. A success is stored for repeats, and a refusal
    /// frees the key. A failure only ends the lease, so that a repeat takes the claim over with the
    /// same reserved id.
    pub async fn conclude(&self, permit: Permit, outcome: RequestOutcome) {
        let Permit {
            organization,
            key_hash,
        } = permit;
        let concluded = match outcome {
            RequestOutcome::Succeeded(mut answer) => {
                hide_secrets(&mut answer.body);
                match serde_json::to_value(answer) {
                    Ok(stored) => {
                        self.store
                            .finish_claim(organization, &key_hash, Some(stored))
                            .await
                    }
                    Err(error) => {
                        tracing::error!(
                            error = %domain::chain(&error),
                            "failed to store a response for repeats of its request"
                        );
                        Ok(())
                    }
                }
            }
            RequestOutcome::Refused => self.store.release_claim(organization, &key_hash).await,
            RequestOutcome::Failed => {
                self.store
                    .yield_claim(organization, &key_hash, self.clock.now())
                    .await
            }
        };
        if let Err(error) = concluded {
            tracing::warn!(
                error = %domain::chain(&error),
                "failed to release an idempotency key; it stays claimed until its lease ends"
            );
        }
    }

    /// Claims a key with one conditional write. Refuses a key that was used with another request.
    pub(crate) async fn claim(
        &self,
        fingerprint: &RequestFingerprint,
        recorded: Value,
    ) -> Result<Claim, Refusal> {
        let now = self.clock.now();
        let lease =
            Duration::from_secs(u64::from(self.settings.function_timeout_seconds)) + LEASE_MARGIN;
        let claim = IdempotencyClaim {
            organization: fingerprint.organization,
            key_hash: fingerprint.key_hash.clone(),
            request_hash: fingerprint.request_hash.clone(),
            lease_until: now.plus(lease),
            recorded,
        };
        fingerprint.checked(self.store.claim(&claim, now).await?)
    }
}

/// Waits for one step for the first request to finish. Returns an error once the deadline has
/// passed.
pub(crate) async fn wait_until(deadline: tokio::time::Instant) -> Result<(), Refusal> {
    if tokio::time::Instant::now() + WAIT_STEP > deadline {
        return Err(Refusal::idempotency_in_progress());
    }
    tokio::time::sleep(WAIT_STEP).await;
    Ok(())
}

/// Returns the deadline of a repeat that waits.
pub(crate) fn wait_deadline() -> tokio::time::Instant {
    tokio::time::Instant::now() + WAIT_MAX
}

fn hide_secrets(body: &mut Value) {
    let Some(members) = body.as_object_mut() else {
        return;
    };
    let has_secret_url = |id: &str| SECRET_URLS.iter().any(|prefix| id.starts_with(prefix));
    if members
        .get("id")
        .and_then(Value::as_str)
        .is_some_and(has_secret_url)
    {
        members.insert("url".to_owned(), Value::Null);
    }
    for name in SHOWN_ONCE {
        if let Some(member) = members.get_mut(*name) {
            *member = Value::Null;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_printable_and_bounded() {
        assert!(IdempotencyKey::parse("order 7/α".trim_end_matches('α')).is_ok());
        assert!(IdempotencyKey::parse(&"k".repeat(255)).is_ok());
        for bad in ["", "a\tb", "α", &"k".repeat(256)] {
            assert!(IdempotencyKey::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn method_path_query_and_body_are_compared() {
        let organization = Ulid::first_at(Timestamp::from_millis(7)).into();
        let key = IdempotencyKey::parse("k").unwrap();
        let hash = |line: &str, body: &str| {
            RequestFingerprint::of(organization, &key, line, body.as_bytes()).request_hash
        };
        let first = hash("POST /v1/messages", "{}");
        assert_eq!(first, hash("POST /v1/messages", "{}"));
        let others = [
            hash("POST /v1/messages", "{ }"),
            hash("POST /v1/messages?x=1", "{}"),
            hash("POST /v1/message", "s{}"),
        ];
        assert!(others.iter().all(|other| *other != first));
    }

    #[test]
    fn a_stored_answer_has_no_secrets() {
        let mut body = json!({"id": "dst_1", "signing_secret": "whsec_x", "settings": {"key": 1}});
        hide_secrets(&mut body);
        assert_eq!(
            body,
            json!({"id": "dst_1", "signing_secret": null, "settings": {"key": 1}})
        );
        for (id, url) in [
            ("pln_1", Value::Null),
            ("oau_1", Value::Null),
            ("msg_1", json!("https://x")),
        ] {
            let mut body = json!({"id": id, "url": "https://x"});
            hide_secrets(&mut body);
            assert_eq!(body["url"], url, "{id}");
        }
    }
}
