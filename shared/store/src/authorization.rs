//! Authorizations: kept while somebody may still consent, and from then on.

use domain::authorization::{Authorization, Consent};
use domain::id::{AuthorizationId, OrganizationId};

use crate::attributes::{Item, Put, number};
use crate::document::{self, Saved, at_revision, present};
use crate::expression::Condition;
use crate::keys::{self, TTL};
use crate::{Store, StoreError};

/// How long one that nobody consented to can still be read, so that its client learns why.
const UNANSWERED_KEPT_SECONDS: i64 = 86_400;

impl Store {
    /// Keeps a new authorization. A request that broke off and is repeated makes the same one anew.
    pub async fn create_authorization(&self, authorization: &Authorization) -> Result<(), StoreError> {
        self.put("request an authorization", item(authorization), Condition::default()).await.map(drop)
    }

    /// An authorization of an organization.
    pub async fn authorization(&self, organization: OrganizationId, id: AuthorizationId) -> Result<Option<Authorization>, StoreError> {
        let item = self.get("read an authorization", &keys::authorization(organization, id)).await?;
        item.filter(|item| self.is_alive(item)).as_ref().map(document::read).transpose()
    }

    /// Saves what became of an authorization, unless something else became of it first.
    pub async fn save_authorization(&self, after: &Authorization) -> Result<Saved, StoreError> {
        let written = self.put("save an authorization", item(after), at_revision(after.revision - 1)).await?;
        Ok(if written.is_done() { Saved::Done } else { Saved::Conflict })
    }

    /// Forgets an authorization. Was there one?
    pub async fn delete_authorization(&self, organization: OrganizationId, id: AuthorizationId) -> Result<bool, StoreError> {
        let deleted = self.delete("delete an authorization", &keys::authorization(organization, id), present()).await?;
        Ok(deleted.is_done())
    }
}

fn item(authorization: &Authorization) -> Item {
    let key = keys::authorization(authorization.organization_id, authorization.id);
    let mut item = document::revised(&key, authorization, authorization.revision);
    if !matches!(authorization.consent, Consent::Granted { .. }) {
        item.put(TTL, number(authorization.expires_at.as_seconds() + UNANSWERED_KEPT_SECONDS));
    }
    item
}
