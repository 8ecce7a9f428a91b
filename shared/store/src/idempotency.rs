//! Idempotency keys: which request used a key first, and what it returned.
//!
//! A request claims its key for its lease, which is as long as it may run, and records what another
//! request needs to take over. It then finishes the claim with its response or releases it.
//! Submitting does neither: the message that it commits is its response, and a caller that finds
//! the claim running or takes it over looks for that message first. A submission therefore costs
//! one write here.

use std::time::Duration;

use domain::Timestamp;
use domain::id::OrganizationId;
use serde_json::Value;

use crate::attributes::{Item, Put, Reader, flag, json, number, text, time};
use crate::error::described;
use crate::expression::{Change, Condition};
use crate::keys::{self, PK, TTL};
use crate::table::Written;
use crate::{Store, StoreError};

/// How long a key is remembered.
const RETENTION: Duration = Duration::from_secs(24 * 3600);
/// The longest response that is kept, because an item holds 400 KB. The response to a repeat is
/// otherwise made from the record.
const RESPONSE_MAX_BYTES: usize = 300_000;
/// How often a claim that lost a race is tried again; each time another request has progressed.
const RACES_MAX: usize = 4;

const REQUEST: &str = "req";
const RECORDED: &str = "rec";
const LEASE: &str = "lease";
const FINISHED: &str = "done";
const RESPONSE: &str = "resp";

/// A claim of an idempotency key by a request.
#[derive(Clone, Debug, PartialEq)]
pub struct IdempotencyClaim {
    /// The organization that the key belongs to. The same key in two organizations is two keys.
    pub organization: OrganizationId,
    /// A hash of the key.
    pub key_hash: String,
    /// A hash of everything that makes two requests the same.
    pub request_hash: String,
    /// When the request has ended at the latest.
    pub lease_until: Timestamp,
    /// What a take-over needs. It should contain something unique to this request, such as the
    /// message's id.
    pub recorded: Value,
}

/// The outcome of a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// This request is the first with the key.
    New,
    /// An earlier request with the key has finished.
    Finished {
        /// The hash of the earlier request.
        request_hash: String,
        /// What the earlier request recorded.
        recorded: Value,
        /// The response of the earlier request, if it was kept.
        response: Option<Value>,
    },
    /// An earlier request may still be running; or it stopped midway, and this one must not take
    /// over because it differs.
    Running {
        /// The hash of the earlier request.
        request_hash: String,
        /// What the earlier request recorded.
        recorded: Value,
    },
    /// The same request came earlier and no longer runs; this one continues it.
    TakenOver {
        /// What the earlier request recorded.
        recorded: Value,
    },
}

impl Store {
    /// Claims an idempotency key.
    pub async fn claim(
        &self,
        claim: &IdempotencyClaim,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        const ACTION: &str = "claim an idempotency key";
        let key = keys::idempotency(claim.organization, &claim.key_hash);
        for _ in 0..RACES_MAX {
            let mut free = Condition::default();
            free.missing_or_at_most(TTL, number(now.as_seconds()));
            let found = match self.put(ACTION, item(claim, now), free).await? {
                Written::Done => return Ok(Claim::New),
                Written::Refused(None) => continue,
                Written::Refused(Some(found)) => Found::read(&found)?,
            };
            if found.is_own(claim) {
                return Ok(Claim::New);
            }
            if found.finished || found.lease_until > now || found.request_hash != claim.request_hash
            {
                return Ok(found.into());
            }
            let mut take_over = Change::default();
            take_over.set(LEASE, time(claim.lease_until));
            take_over
                .when()
                .equals(LEASE, time(found.lease_until))
                .missing(FINISHED);
            if self.change(ACTION, &key, take_over).await?.is_done() {
                return Ok(Claim::TakenOver {
                    recorded: found.recorded,
                });
            }
        }
        Err(StoreError::Unavailable {
            action: ACTION,
            source: described("others are claiming it, too"),
        })
    }

    /// Looks a key up without claiming it. Returns [`Claim::Finished`] or [`Claim::Running`].
    pub async fn find_claim(
        &self,
        organization: OrganizationId,
        key_hash: &str,
    ) -> Result<Option<Claim>, StoreError> {
        let item = self
            .get(
                "read an idempotency key",
                &keys::idempotency(organization, key_hash),
            )
            .await?;
        let found = item
            .as_ref()
            .filter(|item| self.is_alive(item))
            .map(Found::read)
            .transpose()?;
        Ok(found.map(Claim::from))
    }

    /// Finishes a claim. Repeats of the request get `response`.
    pub async fn finish_claim(
        &self,
        organization: OrganizationId,
        key_hash: &str,
        response: Option<Value>,
    ) -> Result<(), StoreError> {
        let response = response
            .map(|response| response.to_string())
            .filter(|response| response.len() <= RESPONSE_MAX_BYTES);
        let mut change = Change::default();
        change
            .set(FINISHED, flag())
            .set_or_remove(RESPONSE, response.map(text));
        change.when().exists(PK);
        self.change(
            "finish an idempotency key",
            &keys::idempotency(organization, key_hash),
            change,
        )
        .await
        .map(drop)
    }

    /// Ends the lease of a request that stopped midway and does not know its outcome: the next
    /// repeat takes over at once.
    pub async fn yield_claim(
        &self,
        organization: OrganizationId,
        key_hash: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut change = Change::default();
        change.set(LEASE, time(now));
        change.when().exists(PK).missing(FINISHED);
        self.change(
            "yield an idempotency key",
            &keys::idempotency(organization, key_hash),
            change,
        )
        .await
        .map(drop)
    }

    /// Frees the key of a request that changed nothing. A finished claim stays.
    pub async fn release_claim(
        &self,
        organization: OrganizationId,
        key_hash: &str,
    ) -> Result<(), StoreError> {
        let mut unfinished = Condition::default();
        unfinished.missing(FINISHED);
        self.delete(
            "release an idempotency key",
            &keys::idempotency(organization, key_hash),
            unfinished,
        )
        .await
        .map(drop)
    }
}

fn item(claim: &IdempotencyClaim, now: Timestamp) -> Item {
    let mut item = keys::idempotency(claim.organization, &claim.key_hash).item();
    item.put(REQUEST, text(&claim.request_hash));
    item.put(RECORDED, json(&claim.recorded));
    item.put(LEASE, time(claim.lease_until));
    item.put(TTL, number(now.plus(RETENTION).as_seconds()));
    item
}

/// A claim that is already stored.
struct Found {
    request_hash: String,
    recorded: Value,
    lease_until: Timestamp,
    finished: bool,
    response: Option<Value>,
}

impl Found {
    fn read(item: &Item) -> Result<Self, StoreError> {
        let reader = Reader(item);
        Ok(Self {
            request_hash: reader.text(REQUEST)?.to_owned(),
            recorded: reader.json(RECORDED)?,
            lease_until: reader.time(LEASE)?,
            finished: reader.flag(FINISHED)?,
            response: reader.json_opt(RESPONSE)?,
        })
    }

    /// The SDK repeats a call whose response was lost, and then finds its own write.
    fn is_own(&self, claim: &IdempotencyClaim) -> bool {
        !self.finished
            && !claim.recorded.is_null()
            && self.recorded == claim.recorded
            && self.lease_until == claim.lease_until
            && self.request_hash == claim.request_hash
    }
}

impl From<Found> for Claim {
    fn from(found: Found) -> Self {
        let Found {
            request_hash,
            recorded,
            response,
            finished,
            ..
        } = found;
        if finished {
            Self::Finished {
                request_hash,
                recorded,
                response,
            }
        } else {
            Self::Running {
                request_hash,
                recorded,
            }
        }
    }
}
