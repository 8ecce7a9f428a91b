//! API keys: each an item that requests read, and a line in its organization's list, or in the operators'.

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
use crate::{Created, Routes, Store, StoreError, organization, routes};

/// Beside the document, for it is all that changes.
const LAST_USED: &str = "used";
/// The key that was removed because this one stays.
const STAYS_FOR: &str = "stays_for";
/// Keys of one list that are read at most: ten times what an organization may have.
const LISTED_MAX: u32 = 1000;

/// Whose a key is, with what was read of its organization.
enum Belonging {
    /// The operator's, which belongs to no organization.
    Operator,
    /// An organization's that was known before the read, with its item if there is one.
    Known(Option<Item>),
    /// Another organization's than was read.
    Unknown,
}

impl Store {
    /// Keeps a new key, unless its organization has as many as it may. Operators' keys have no limit.
    pub async fn create_key(&self, key: &ApiKey) -> Result<Created, StoreError> {
        const ACTION: &str = "create an API key";
        let transaction = || {
            self.transaction()
                .put(document::item(&keys::api_key(key.id), key), absent())
                .put(keys::api_key_listed(key.organization_id, key.id).item(), Condition::default())
        };
        let Some(organization) = key.organization_id else {
            return match self.transact(ACTION, transaction()).await? {
                Transacted::Done => Ok(Created::Done),
                Transacted::Refused { .. } => Ok(Created::Conflict),
            };
        };
        let limit = Limit { tally: &keys::api_keys_tally(organization), amount: 1, most: KEYS_MAX as u64 };
        let within = self.transact_within(ACTION, limit, transaction, || self.count_keys(organization)).await?;
        Ok(match within {
            Within::Done => Created::Done,
            Within::Over => Created::TooMany,
            Within::Refused => Created::Conflict,
        })
    }

    async fn count_keys(&self, organization: OrganizationId) -> Result<u64, StoreError> {
        let listed = self.list("count API keys", self.listed_keys(Some(organization)).consistent_read(true), LISTED_MAX).await?;
        Ok(listed.items.len() as u64)
    }

    fn listed_keys(&self, organization: Option<OrganizationId>) -> QueryFluentBuilder {
        let (partition, prefix) = keys::api_keys_listed(organization);
        let mut lines = Condition::default();
        lines.equals(PK, text(partition)).begins_with(SK, text(prefix));
        self.query(lines)
    }

    /// A key, and whether its organization stands. Read on every request, and never from a cache: a key that was deleted is refused by
    /// the next.
    ///
    /// `organization`: whose the key is, as an earlier read has shown. Without it the answer does not say whether it stands, unless there
    /// is none; [`Store::organization_stands`] does. As many items are read whether the key exists or not, so that the time does not tell.
    pub async fn key_and_standing(
        &self,
        id: KeyId,
        organization: Option<OrganizationId>,
    ) -> Result<Option<(ApiKey, Option<bool>)>, StoreError> {
        let Some((key, item)) = self.read_key(id, organization, keys::organization).await? else { return Ok(None) };
        let stands = match item {
            Belonging::Operator => Some(true),
            Belonging::Known(item) => Some(organization::stands(item.as_ref())?),
            Belonging::Unknown => None,
        };
        Ok(Some((key, stands)))
    }

    /// Like [`Self::key_and_standing`], with the routes of the organization in the same read where the organization is known. An
    /// organization has routes until it ends, so that they also say whether it stands.
    pub async fn key_with_routes(
        &self,
        id: KeyId,
        organization: Option<OrganizationId>,
    ) -> Result<Option<(ApiKey, Option<bool>, Option<Routes>)>, StoreError> {
        let Some((key, item)) = self.read_key(id, organization, keys::routes).await? else { return Ok(None) };
        let (stands, routes) = match item {
            Belonging::Operator => (Some(true), None),
            Belonging::Known(item) => (Some(item.is_some()), item.as_ref().map(routes::read).transpose()?),
            Belonging::Unknown => (None, None),
        };
        Ok(Some((key, stands, routes)))
    }

    /// Reads a key, and an item of its organization where the organization is known.
    async fn read_key(
        &self,
        id: KeyId,
        organization: Option<OrganizationId>,
        along: fn(OrganizationId) -> Key,
    ) -> Result<Option<(ApiKey, Belonging)>, StoreError> {
        let other = organization.unwrap_or_else(|| Ulid::first_at(Timestamp::from_millis(0)).into());
        let mut items = self.get_all("read an API key", &[keys::api_key(id), along(other)]).await?;
        let along = items.pop().flatten();
        let Some(key) = items.pop().flatten().as_ref().map(read).transpose()? else { return Ok(None) };
        let belonging = match key.organization_id {
            None => Belonging::Operator,
            own if own == organization => Belonging::Known(along),
            Some(_) => Belonging::Unknown,
        };
        Ok(Some((key, belonging)))
    }

    /// One key, whether its organization has ended or not.
    pub async fn key(&self, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
        let item = self.get("read an API key", &keys::api_key(id)).await?;
        item.as_ref().map(read).transpose()
    }

    /// An organization's keys, or the operators', oldest first.
    pub async fn keys(&self, organization: Option<OrganizationId>) -> Result<Vec<ApiKey>, StoreError> {
        let listed = self.list("list API keys", self.listed_keys(organization), LISTED_MAX).await?;
        let listed_keys: Result<Vec<Key>, StoreError> = listed.items.iter().map(key_of).collect();
        let items = self.get_all("read API keys", &listed_keys?).await?;
        items.iter().flatten().map(read).collect()
    }

    /// Removes a key of this organization, or of the operator. Was there one?
    pub async fn delete_key(&self, organization: Option<OrganizationId>, id: KeyId) -> Result<bool, StoreError> {
        let transaction = self.deletion(organization, id);
        Ok(matches!(self.transact("delete an API key", transaction).await?, Transacted::Done))
    }

    /// Removes a key while this other one is there; `false`: one of the two is not.
    pub async fn delete_key_beside(&self, organization: OrganizationId, id: KeyId, other: KeyId) -> Result<bool, StoreError> {
        // A write, so that of two keys that are each removed because the other is there, one stays.
        let mut stays = Change::default();
        stays.set(STAYS_FOR, text(id.to_string()));
        stays.when().exists(PK);
        let transaction = self.deletion(Some(organization), id).change(&keys::api_key(other), stays);
        Ok(matches!(self.transact("delete an API key", transaction).await?, Transacted::Done))
    }

    fn deletion(&self, organization: Option<OrganizationId>, id: KeyId) -> Transaction<'_> {
        self.transaction().delete(&keys::api_key_listed(organization, id), present()).delete(&keys::api_key(id), Condition::default())
    }

    /// Notes that a key was used; one that was deleted stays so.
    pub async fn touch_key(&self, id: KeyId, at: Timestamp) -> Result<(), StoreError> {
        let mut change = Change::default();
        change.set(LAST_USED, time(at));
        change.when().exists(PK);
        self.change("note an API key's use", &keys::api_key(id), change).await.map(drop)
    }
}

pub(crate) fn read(item: &Item) -> Result<ApiKey, StoreError> {
    let last_used_at = Reader(item).time_opt(LAST_USED)?;
    Ok(ApiKey { last_used_at, ..document::read(item)? })
}

/// The key that a line of a list leads to.
fn key_of(line: &Item) -> Result<Key, StoreError> {
    let reader = Reader(line);
    keys::api_key_of(reader.text(SK)?).map(keys::api_key).ok_or_else(|| reader.corrupt("names no API key"))
}
