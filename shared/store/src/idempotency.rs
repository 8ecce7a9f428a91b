//! Idempotency keys: who came first with one, and what came of it.
//!
//! A request **claims** its key for as long as it may run, its lease, and records what another one needs to take over. It **finishes** the
//! claim with its response or **releases** it. Submitting does neither: the message it commits is its response, which a caller that finds
//! the claim running or takes it over looks for first, and so a submission costs one write here.

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

/// How long a key is remembered (api.md, Conventions).
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// A response that is longer is not kept: an item holds 400 KB. Who asks again gets one made from the record.
const RESPONSE_MAX_BYTES: usize = 300_000;
/// How often a claim that lost a race looks again; each time somebody else got further.
const RACES_MAX: usize = 4;

const REQUEST: &str = "req";
const RECORDED: &str = "rec";
const LEASE: &str = "lease";
const FINISHED: &str = "done";
const RESPONSE: &str = "resp";

/// A request that wants to be the first with its key.
#[derive(Clone, Debug, PartialEq)]
pub struct IdempotencyClaim {
    /// Whose key it is: the same key of two organizations is two keys.
    pub organization: OrganizationId,
    /// A hash of the key.
    pub key_hash: String,
    /// A hash of all that makes two requests the same.
    pub request_hash: String,
    /// When the request is over at the latest, one way or another.
    pub lease_until: Timestamp,
    /// What a take-over needs. It should name something that only this very request made up, such as the message's id.
    pub recorded: Value,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// This request is the first.
    New,
    /// An earlier one is finished.
    Finished {
        /// Which request that was.
        request_hash: String,
        /// What it recorded.
        recorded: Value,
        /// What it answered, if that was kept.
        response: Option<Value>,
    },
    /// An earlier one may be running; or it stopped half-way, and this one, being another request, may not take over.
    Running {
        /// Which request that is.
        request_hash: String,
        /// What it recorded.
        recorded: Value,
    },
    /// The same request came earlier and is not running any more; this one goes on in its place.
    TakenOver {
        /// What the earlier one recorded.
        recorded: Value,
    },
}

impl Store {
    /// Claims a key.
    pub async fn claim(&self, claim: &IdempotencyClaim, now: Timestamp) -> Result<Claim, StoreError> {
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
            if found.finished || found.lease_until > now || found.request_hash != claim.request_hash {
                return Ok(found.into());
            }
            let mut take_over = Change::default();
            take_over.set(LEASE, time(claim.lease_until));
            take_over.when().equals(LEASE, time(found.lease_until)).missing(FINISHED);
            if self.change(ACTION, &key, take_over).await?.is_done() {
                return Ok(Claim::TakenOver { recorded: found.recorded });
            }
        }
        Err(StoreError::Unavailable { action: ACTION, source: described("others are claiming it, too") })
    }

    /// What is known of a key without claiming it: [`Claim::Finished`] or [`Claim::Running`].
    pub async fn find_claim(&self, organization: OrganizationId, key_hash: &str) -> Result<Option<Claim>, StoreError> {
        let item = self.get("read an idempotency key", &keys::idempotency(organization, key_hash)).await?;
        let found = item.as_ref().filter(|item| self.is_alive(item)).map(Found::read).transpose()?;
        Ok(found.map(Claim::from))
    }

    /// The request that holds the claim is done; who repeats it hears this response.
    pub async fn finish_claim(&self, organization: OrganizationId, key_hash: &str, response: Option<Value>) -> Result<(), StoreError> {
        let response = response.map(|response| response.to_string()).filter(|response| response.len() <= RESPONSE_MAX_BYTES);
        let mut change = Change::default();
        change.set(FINISHED, flag()).set_or_remove(RESPONSE, response.map(text));
        change.when().exists(PK);
        self.change("finish an idempotency key", &keys::idempotency(organization, key_hash), change).await.map(drop)
    }

    /// The request that holds the claim stopped half-way and does not know how far it came: the next one takes over at once.
    pub async fn yield_claim(&self, organization: OrganizationId, key_hash: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut change = Change::default();
        change.set(LEASE, time(now));
        change.when().exists(PK).missing(FINISHED);
        self.change("yield an idempotency key", &keys::idempotency(organization, key_hash), change).await.map(drop)
    }

    /// The request that holds the claim did nothing: the key is free. What is finished stays.
    pub async fn release_claim(&self, organization: OrganizationId, key_hash: &str) -> Result<(), StoreError> {
        let mut unfinished = Condition::default();
        unfinished.missing(FINISHED);
        self.delete("release an idempotency key", &keys::idempotency(organization, key_hash), unfinished).await.map(drop)
    }
}

fn item(claim: &IdempotencyClaim, now: Timestamp) -> Item {
    let mut item = keys::idempotency(claim.organization, &claim.key_hash).item();
    item.put(REQUEST, text(&claim.request_hash));
    item.put(RECORDED, json(&claim.recorded));
    item.put(LEASE, time(claim.lease_until));
    item.put(TTL, number(now.plus(REMEMBERED).as_seconds()));
    item
}

/// A claim that is there already.
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

    /// The SDK repeats a call whose answer was lost, and so meets what it wrote itself.
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
        let Found { request_hash, recorded, response, finished, .. } = found;
        if finished { Self::Finished { request_hash, recorded, response } } else { Self::Running { request_hash, recorded } }
    }
}
