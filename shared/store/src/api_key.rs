//! API keys: each an item that requests read, and a line in its organization's list, or in the operators'.

use domain::Timestamp;
use domain::api_key::ApiKey;
use domain::id::{KeyId, OrganizationId};

use crate::attributes::{Item, Reader, text, time};
use crate::document::{self, absent, present};
use crate::expression::{Change, Condition};
use crate::keys::{self, Key, PK, SK};
use crate::transaction::Transacted;
use crate::{Store, StoreError};

/// Beside the document, for it is all that changes.
const LAST_USED: &str = "used";
/// Keys of one list that are read at most: ten times what an organization may have.
const LISTED_MAX: u32 = 1000;

impl Store {
    /// Keeps a new key.
    pub async fn create_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        const ACTION: &str = "create an API key";
        let transaction = self
            .transaction()
            .put(document::item(&keys::api_key(key.id), key), absent())
            .put(keys::api_key_listed(key.organization_id, key.id).item(), Condition::default());
        match self.transact(ACTION, transaction).await? {
            Transacted::Done => Ok(()),
            Transacted::Refused { .. } => Err(StoreError::Refused { action: ACTION, source: "its id is taken".into() }),
        }
    }

    /// One key. Read on every request, and never from a cache: a key that was deleted is refused by the next.
    pub async fn key(&self, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
        let item = self.get("read an API key", &keys::api_key(id)).await?;
        item.as_ref().map(read).transpose()
    }

    /// An organization's keys, or the operators', oldest first.
    pub async fn keys(&self, organization: Option<OrganizationId>) -> Result<Vec<ApiKey>, StoreError> {
        let (partition, prefix) = keys::api_keys_listed(organization);
        let mut lines = Condition::default();
        lines.equals(PK, text(partition)).begins_with(SK, text(prefix));
        let listed = self.list("list API keys", self.query(lines), LISTED_MAX).await?;
        let listed_keys: Result<Vec<Key>, StoreError> = listed.items.iter().map(key_of).collect();
        let items = self.get_all("read API keys", &listed_keys?).await?;
        items.iter().flatten().map(read).collect()
    }

    /// Removes a key of this organization, or of the operator. Was there one?
    pub async fn delete_key(&self, organization: Option<OrganizationId>, id: KeyId) -> Result<bool, StoreError> {
        let transaction =
            self.transaction().delete(&keys::api_key_listed(organization, id), present()).delete(&keys::api_key(id), Condition::default());
        Ok(matches!(self.transact("delete an API key", transaction).await?, Transacted::Done))
    }

    /// Notes that a key was used; one that was deleted stays so.
    pub async fn touch_key(&self, id: KeyId, at: Timestamp) -> Result<(), StoreError> {
        let mut change = Change::default();
        change.set(LAST_USED, time(at));
        change.when().exists(PK);
        self.change("note an API key's use", &keys::api_key(id), change).await.map(drop)
    }
}

fn read(item: &Item) -> Result<ApiKey, StoreError> {
    let last_used_at = Reader(item).time_opt(LAST_USED)?;
    Ok(ApiKey { last_used_at, ..document::read(item)? })
}

/// The key that a line of a list leads to.
fn key_of(line: &Item) -> Result<Key, StoreError> {
    let reader = Reader(line);
    keys::api_key_of(reader.text(SK)?).map(keys::api_key).ok_or_else(|| reader.corrupt("names no API key"))
}
