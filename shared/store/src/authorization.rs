//! Authorizations: pending ones until they expire, and granted ones.

use domain::authorization::{Authorization, Consent};
use domain::id::{AuthorizationId, OrganizationId};
use domain::limits::AUTHORIZATIONS_MAX;

use crate::attributes::{Item, Put, number, text};
use crate::document::{self, Saved, at_revision, present};
use crate::expression::Condition;
use crate::keys::{self, PK, SK, TTL};
use crate::tally::{Limit, Within};
use crate::unreadable::readable;
use crate::{Store, StoreError};

/// How long an authorization without consent stays readable after it expired, so that the client
/// can learn why.
const UNANSWERED_KEPT_SECONDS: i64 = 86_400;

impl Store {
    /// Saves a new authorization. Returns `false` if its organization has reached its limit. A
    /// repeat of an interrupted request replaces the same authorization.
    pub async fn create_authorization(
        &self,
        authorization: &Authorization,
    ) -> Result<bool, StoreError> {
        let organization = authorization.organization_id;
        let transaction = || {
            self.transaction()
                .put(item(authorization), Condition::default())
        };
        let tally = &keys::authorizations_tally(organization);
        let limit = Limit {
            tally,
            amount: 1,
            most: AUTHORIZATIONS_MAX as u64,
        };
        let count = || self.standing_authorizations(organization);
        let within = self
            .transact_within("request an authorization", limit, transaction, count)
            .await?;
        Ok(matches!(within, Within::Done))
    }

    /// Counts the authorizations of an organization that were granted or still can be.
    async fn standing_authorizations(
        &self,
        organization: OrganizationId,
    ) -> Result<u64, StoreError> {
        let mut range = Condition::default();
        range.equals(PK, text(keys::organization(organization).pk));
        range.begins_with(SK, text(keys::AUTHORIZATION_PREFIX));
        let query = self.query(range).consistent_read(true);
        let found = self.list("count authorizations", query, u32::MAX).await?;
        let all: Vec<Authorization> = readable(found.items.iter().map(document::read))?;
        let stands = |authorization: &&Authorization| match authorization.consent {
            Consent::Granted { .. } => true,
            Consent::Requested { .. } => self.now() < authorization.expires_at,
            Consent::Refused { .. } => false,
        };
        Ok(all.iter().filter(stands).count() as u64)
    }

    /// Reads an authorization of an organization.
    pub async fn authorization(
        &self,
        organization: OrganizationId,
        id: AuthorizationId,
    ) -> Result<Option<Authorization>, StoreError> {
        let item = self
            .get(
                "read an authorization",
                &keys::authorization(organization, id),
            )
            .await?;
        item.filter(|item| self.is_alive(item))
            .as_ref()
            .map(document::read)
            .transpose()
    }

    /// Saves the outcome of an authorization, unless another outcome was saved first.
    pub async fn save_authorization(&self, after: &Authorization) -> Result<Saved, StoreError> {
        let written = self
            .put(
                "save an authorization",
                item(after),
                at_revision(after.revision - 1),
            )
            .await?;
        Ok(if written.is_done() {
            Saved::Done
        } else {
            Saved::Conflict
        })
    }

    /// Deletes an authorization. Returns whether it existed.
    pub async fn delete_authorization(
        &self,
        organization: OrganizationId,
        id: AuthorizationId,
    ) -> Result<bool, StoreError> {
        let deleted = self
            .delete(
                "delete an authorization",
                &keys::authorization(organization, id),
                present(),
            )
            .await?;
        Ok(deleted.is_done())
    }
}

fn item(authorization: &Authorization) -> Item {
    let key = keys::authorization(authorization.organization_id, authorization.id);
    let mut item = document::revised(&key, authorization, authorization.revision);
    if !matches!(authorization.consent, Consent::Granted { .. }) {
        item.put(
            TTL,
            number(authorization.expires_at.as_seconds() + UNANSWERED_KEPT_SECONDS),
        );
    }
    item
}
