//! API keys. Each key is an item that requests read, and an entry in the list of its organization
//! or of the operators.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use domain::Timestamp;
use domain::api_key::ApiKey;
use domain::id::{KeyId, OrganizationId, Ulid};
use domain::limits::KEYS_MAX;

use crate::attributes::{Item, Reader, text, time};
use crate::document::{self, absent, present};
use crate::expression::{Change, Condition};
use crate::keys::{self, Key, PK, SK};
use crate::tally::{Limit, Within};
use crate::transaction::{Transacted, Transaction};
use crate::unreadable::readable;
use crate::{Created, Routes, Store, StoreError, organization, routes};

/// When the key was last used. An attribute of its own, because it is the only part that changes.
const LAST_USED: &str = "used";
/// The last key that was deleted on condition that this one exists.
const STAYS_FOR: &str = "stays_for";
/// The most keys that are read from one list: ten times what an organization may have.
const LISTED_MAX: u32 = 1000;

/// Whose key it is, with what was read of the organization.
enum KeyOwner {
    /// The key belongs to the operator, not to an organization.
    Operator,
    /// The key belongs to the organization that was read with it. Holds its item if there is one.
    Known(Option<Item>),
    /// The key belongs to an organization other than the one that was read.
    Unknown,
}

impl Store {
    /// Saves a new key, unless its organization has reached its limit. Operators' keys have no
    /// limit.
    pub async fn create_key(&self, key: &ApiKey) -> Result<Created, StoreError> {
        const ACTION: &str = "create an API key";
        let transaction = || {
            self.transaction()
                .put(document::item(&keys::api_key(key.id), key), absent())
                .put(
                    keys::api_key_listed(key.organization_id, key.id).item(),
                    Condition::default(),
                )
        };
        let Some(organization) = key.organization_id else {
            return match self.transact(ACTION, transaction()).await? {
                Transacted::Done => Ok(Created::Done),
                Transacted::Refused { .. } => Ok(Created::Conflict),
            };
        };
        let limit = Limit {
            tally: &keys::api_keys_tally(organization),
            amount: 1,
            most: KEYS_MAX as u64,
        };
        let within = self
            .transact_within(ACTION, limit, transaction, || self.count_keys(organization))
            .await?;
        Ok(match within {
            Within::Done => Created::Done,
            Within::Over => Created::TooMany,
            Within::Refused => Created::Conflict,
        })
    }

    /// Replaces a key that was created and never used by another with its id. Returns whether it
    /// was replaced.
    pub async fn replace_unused_key(&self, key: &ApiKey) -> Result<bool, StoreError> {
        let mut unused = present();
        unused.missing(LAST_USED);
        let item = document::item(&keys::api_key(key.id), key);
        let written = self.put("replace an API key", item, unused).await?;
        Ok(written.is_done())
    }

    async fn count_keys(&self, organization: OrganizationId) -> Result<u64, StoreError> {
        let listed = self
            .list(
                "count API keys",
                self.listed_keys(Some(organization)).consistent_read(true),
                LISTED_MAX,
            )
            .await?;
        Ok(listed.items.len() as u64)
    }

    fn listed_keys(&self, organization: Option<OrganizationId>) -> QueryFluentBuilder {
        let (partition, prefix) = keys::api_keys_listed(organization);
        let mut lines = Condition::default();
        lines
            .equals(PK, text(partition))
            .begins_with(SK, text(prefix));
        self.query(lines)
    }

    /// Reads a key, and whether its organization is active. Every request reads this, and never
    /// from a cache, so that a deleted key is refused by the next request.
    ///
    /// `organization` is the key's organization as an earlier read found it. If it is missing or
    /// wrong, the second value is `None` and the caller asks [`Store::organization_is_active`]. The
    /// same number of items is read whether or not the key exists, so that the duration does not
    /// reveal it.
    pub async fn key_and_standing(
        &self,
        id: KeyId,
        organization: Option<OrganizationId>,
    ) -> Result<Option<(ApiKey, Option<bool>)>, StoreError> {
        let Some((key, item)) = self.read_key(id, organization, keys::organization).await? else {
            return Ok(None);
        };
        let stands = match item {
            KeyOwner::Operator => Some(true),
            KeyOwner::Known(item) => Some(organization::is_active(item.as_ref())?),
            KeyOwner::Unknown => None,
        };
        Ok(Some((key, stands)))
    }

    /// Like [`Self::key_and_standing`], and reads the organization's routes in the same call where
    /// the organization is known. An organization has routes until it ends, so the routes also say
    /// whether it is active.
    pub async fn key_with_routes(
        &self,
        id: KeyId,
        organization: Option<OrganizationId>,
    ) -> Result<Option<(ApiKey, Option<bool>, Option<Routes>)>, StoreError> {
        let Some((key, item)) = self.read_key(id, organization, keys::routes).await? else {
            return Ok(None);
        };
        let (stands, routes) = match item {
            KeyOwner::Operator => (Some(true), None),
            KeyOwner::Known(item) => (
                Some(item.is_some()),
                item.as_ref().map(routes::read).transpose()?,
            ),
            KeyOwner::Unknown => (None, None),
        };
        Ok(Some((key, stands, routes)))
    }

    /// Reads a key, and one item of its organization where the organization is known.
    async fn read_key(
        &self,
        id: KeyId,
        organization: Option<OrganizationId>,
        along: fn(OrganizationId) -> Key,
    ) -> Result<Option<(ApiKey, KeyOwner)>, StoreError> {
        let other =
            organization.unwrap_or_else(|| Ulid::first_at(Timestamp::from_millis(0)).into());
        let mut items = self
            .get_all("read an API key", &[keys::api_key(id), along(other)])
            .await?;
        let along = items.pop().flatten();
        let Some(key) = items.pop().flatten().as_ref().map(read).transpose()? else {
            return Ok(None);
        };
        let belonging = match key.organization_id {
            None => KeyOwner::Operator,
            own if own == organization => KeyOwner::Known(along),
            Some(_) => KeyOwner::Unknown,
        };
        Ok(Some((key, belonging)))
    }

    /// Reads one key, even if its organization has ended.
    pub async fn key(&self, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
        let item = self.get("read an API key", &keys::api_key(id)).await?;
        item.as_ref().map(read).transpose()
    }

    /// Lists the keys of an organization, or of the operators, oldest first. An unreadable one is
    /// logged, counted and left out.
    pub async fn keys(
        &self,
        organization: Option<OrganizationId>,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let listed = self
            .list("list API keys", self.listed_keys(organization), LISTED_MAX)
            .await?;
        let named = readable(listed.items.iter().map(key_of))?;
        let keys: Vec<Key> = named.into_iter().map(keys::api_key).collect();
        let items = self.get_all("read API keys", &keys).await?;
        readable(items.iter().flatten().map(read))
    }

    /// Deletes every key of an organization, including those that are unreadable.
    pub(crate) async fn delete_keys(&self, organization: OrganizationId) -> Result<(), StoreError> {
        let query = self.listed_keys(Some(organization));
        let listed = self.list("list API keys", query, LISTED_MAX).await?;
        for id in readable(listed.items.iter().map(key_of))? {
            self.delete_key(Some(organization), id).await?;
        }
        Ok(())
    }

    /// Deletes a key of this organization, or of the operator. Returns whether it existed.
    pub async fn delete_key(
        &self,
        organization: Option<OrganizationId>,
        id: KeyId,
    ) -> Result<bool, StoreError> {
        let transaction = self.deletion(organization, id);
        Ok(matches!(
            self.transact("delete an API key", transaction).await?,
            Transacted::Done
        ))
    }

    /// Deletes a key if the key `other` exists. Returns `false` if either of the two does not
    /// exist.
    pub async fn delete_key_if_other_exists(
        &self,
        organization: OrganizationId,
        id: KeyId,
        other: KeyId,
    ) -> Result<bool, StoreError> {
        // This writes to the other key, so that when two keys are each deleted because the other
        // exists, one of them stays.
        let mut stays = Change::default();
        stays.set(STAYS_FOR, text(id.to_string()));
        stays.when().exists(PK);
        let transaction = self
            .deletion(Some(organization), id)
            .change(&keys::api_key(other), stays);
        Ok(matches!(
            self.transact("delete an API key", transaction).await?,
            Transacted::Done
        ))
    }

    fn deletion(&self, organization: Option<OrganizationId>, id: KeyId) -> Transaction<'_> {
        self.transaction()
            .delete(&keys::api_key_listed(organization, id), present())
            .delete(&keys::api_key(id), Condition::default())
    }

    /// Records that a key was used, unless it has been deleted.
    pub async fn touch_key(&self, id: KeyId, at: Timestamp) -> Result<(), StoreError> {
        let mut change = Change::default();
        change.set(LAST_USED, time(at));
        change.when().exists(PK);
        self.change("note an API key's use", &keys::api_key(id), change)
            .await
            .map(drop)
    }
}

pub(crate) fn read(item: &Item) -> Result<ApiKey, StoreError> {
    let last_used_at = Reader(item).time_opt(LAST_USED)?;
    Ok(ApiKey {
        last_used_at,
        ..document::read(item)?
    })
}

/// Returns the id of the key that an entry of a list names.
fn key_of(line: &Item) -> Result<KeyId, StoreError> {
    let reader = Reader(line);
    keys::api_key_of(reader.text(SK)?).ok_or_else(|| reader.corrupt("names no API key"))
}
