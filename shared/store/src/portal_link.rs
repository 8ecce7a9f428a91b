//! Portal links: each an item that says until when its session lasts, and goes when both are over.

use domain::Timestamp;
use domain::id::{OrganizationId, PortalLinkId};
use domain::portal_link::PortalLink;
use std::time::Duration;

use crate::attributes::{Item, Put, Reader, number, time};
use crate::document::{self, present};
use crate::expression::{Change, Condition};
use crate::keys::{self, PK, TTL};
use crate::{Store, StoreError};

/// Beside the document, for it is all that changes.
const SESSION_UNTIL: &str = "until";

impl Store {
    /// Keeps a new link until neither it nor the session it may open can be used.
    pub async fn create_portal_link(&self, link: &PortalLink) -> Result<(), StoreError> {
        let mut item: Item = document::item(&keys::portal_link(link.organization_id, link.id), link);
        let over = link.expires_at.plus(Duration::from_secs(u64::from(link.session_seconds) + 1));
        item.put(TTL, number(over.as_seconds()));
        item.put_some(SESSION_UNTIL, link.session_until.map(time));
        self.put("create a portal link", item, Condition::default()).await.map(drop)
    }

    /// One link. Read on every request of its session, and never from a cache.
    pub async fn portal_link(&self, organization: Option<OrganizationId>, id: PortalLinkId) -> Result<Option<PortalLink>, StoreError> {
        let item = self.get("read a portal link", &keys::portal_link(organization, id)).await?;
        item.as_ref().filter(|item| self.is_alive(item)).map(read).transpose()
    }

    /// Opens a link, which nobody can a second time. Was it opened now?
    pub async fn open_portal_link(
        &self,
        organization: Option<OrganizationId>,
        id: PortalLinkId,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut change = Change::default();
        change.set(SESSION_UNTIL, time(until));
        change.when().exists(PK).missing(SESSION_UNTIL);
        Ok(self.change("open a portal link", &keys::portal_link(organization, id), change).await?.is_done())
    }

    /// Removes a link and so its session. Was there one?
    pub async fn delete_portal_link(&self, organization: Option<OrganizationId>, id: PortalLinkId) -> Result<bool, StoreError> {
        Ok(self.delete("delete a portal link", &keys::portal_link(organization, id), present()).await?.is_done())
    }
}

fn read(item: &Item) -> Result<PortalLink, StoreError> {
    let session_until = Reader(item).time_opt(SESSION_UNTIL)?;
    Ok(PortalLink { session_until, ..document::read(item)? })
}
