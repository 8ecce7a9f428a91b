//! Portal links. Each is an item that records when its session ends, and it expires once both link
//! and session have ended.

use domain::Timestamp;
use domain::api_key::ApiKey;
use domain::id::{OrganizationId, PortalLinkId};
use domain::limits::PORTAL_LINKS_MAX;
use domain::portal_link::{Maker, PortalLink};
use std::time::Duration;

use crate::attributes::{Item, Put, Reader, number, text, time};
use crate::document;
use crate::expression::{Change, Condition};
use crate::keys::{self, Key, PK, SK, TTL};
use crate::tally::{Limit, Within};
use crate::unreadable::readable;
use crate::{Created, Store, StoreError, Walk, api_key, organization};

/// When the session ends. An attribute of its own, because it is one of the few parts that change.
const SESSION_UNTIL: &str = "until";
/// When the link was revoked, with its session and the links that were created in it.
const REVOKED: &str = "revoked";
/// How long a revoked link is kept: until every link has ended that could have been created in its
/// session. That is twice a day, and an hour for clock differences.
const REVOKED_RETENTION: Duration = Duration::from_secs(49 * 3600);

/// A link that is valid, and what it depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidLink {
    /// The link that was read.
    pub link: PortalLink,
    /// The keys that the link depends on. The caller checks whether they have expired.
    pub keys: Vec<ApiKey>,
}

impl Store {
    /// Saves a new link until neither it nor its session can be used.
    pub async fn create_portal_link(&self, link: &PortalLink) -> Result<(), StoreError> {
        self.put("create a portal link", item(link), Condition::default())
            .await
            .map(drop)
    }

    /// Saves a new link as [`Store::create_portal_link`] does, unless the organization has reached
    /// its limit of links that can still be opened. A link with its id is replaced, unless it was
    /// opened or revoked.
    pub async fn create_portal_link_within(
        &self,
        organization: OrganizationId,
        link: &PortalLink,
    ) -> Result<Created, StoreError> {
        let unopened = || {
            let mut unopened = Condition::default();
            unopened.missing(SESSION_UNTIL).missing(REVOKED);
            unopened
        };
        let transaction = || self.transaction().put(item(link), unopened());
        let tally = &keys::portal_links_tally(organization);
        let limit = Limit {
            tally,
            amount: 1,
            most: PORTAL_LINKS_MAX as u64,
        };
        let count = || self.outstanding_links(organization);
        let within = self
            .transact_within("create a portal link", limit, transaction, count)
            .await?;
        Ok(match within {
            Within::Done => Created::Done,
            Within::Over => Created::TooMany,
            Within::Refused => Created::Conflict,
        })
    }

    async fn outstanding_links(&self, organization: OrganizationId) -> Result<u64, StoreError> {
        let mut partition = Condition::default();
        partition.equals(PK, text(keys::portal_links(Some(organization))));
        let query = self.query(partition).consistent_read(true);
        let found = self.list("count portal links", query, u32::MAX).await?;
        let unopened =
            |item: &&Item| !item.contains_key(REVOKED) && !item.contains_key(SESSION_UNTIL);
        let links: Vec<PortalLink> = readable(found.items.iter().filter(unopened).map(read))?;
        Ok(links
            .iter()
            .filter(|link| self.now() < link.expires_at)
            .count() as u64)
    }

    /// Reads a link, unless it, its organization or anything that created it has ended. Every
    /// request of its session reads this, and never from a cache. `makers` is what created the link
    /// as an earlier read found it, so that one read is enough; if it is wrong, a second read
    /// follows.
    pub async fn standing_portal_link(
        &self,
        organization: Option<OrganizationId>,
        id: PortalLinkId,
        makers: &[Maker],
    ) -> Result<Option<ValidLink>, StoreError> {
        const ACTION: &str = "read a portal link";
        let mut wanted = vec![keys::portal_link(organization, id)];
        wanted.extend(organization.map(keys::organization));
        let makers_from = wanted.len();
        wanted.extend(makers.iter().map(maker_key));
        let mut items = self.get_all(ACTION, &wanted).await?;
        let Some(link) = items[0]
            .as_ref()
            .filter(|item| self.is_alive(item) && !item.contains_key(REVOKED))
        else {
            return Ok(None);
        };
        let link = read(link)?;
        if organization.is_some() && !organization::is_active(items[1].as_ref())? {
            return Ok(None);
        }
        let mut found = items.split_off(makers_from);
        if link.made_by != makers {
            let wanted: Vec<Key> = link.made_by.iter().map(maker_key).collect();
            found = self.get_all(ACTION, &wanted).await?;
        }
        let mut keys = Vec::new();
        for (maker, item) in link.made_by.iter().zip(found) {
            match (maker, item) {
                (Maker::Key(_), Some(item)) => keys.push(api_key::read(&item)?),
                (Maker::Key(_), None) => return Ok(None),
                (Maker::Session { .. }, Some(item)) if item.contains_key(REVOKED) => {
                    return Ok(None);
                }
                // A session that has expired by itself was removed.
                (Maker::Session { .. }, _) => {}
            }
        }
        Ok(Some(ValidLink { link, keys }))
    }

    /// Lists an organization's links that are not revoked, newest first. Whether what created them
    /// is still valid is not checked.
    pub async fn portal_links(
        &self,
        organization: OrganizationId,
        after: Option<PortalLinkId>,
        limit: u32,
    ) -> Result<Walk<PortalLink, PortalLinkId>, StoreError> {
        let mut partition = Condition::default();
        partition.equals(PK, text(keys::portal_links(Some(organization))));
        let start = after.map(|id| keys::portal_link(Some(organization), id).item());
        let query = self
            .query(partition)
            .scan_index_forward(false)
            .set_exclusive_start_key(start);
        let page = self.list("list portal links", query, limit).await?;
        let links = page
            .items
            .iter()
            .filter(|item| !item.contains_key(REVOKED))
            .map(read);
        let last = page.items.last().filter(|_| page.more);
        Ok(Walk {
            items: readable(links)?,
            next: last.map(|item| Reader(item).parsed(SK)).transpose()?,
        })
    }

    /// Opens a link, which is possible only once. Returns whether it was opened by this call.
    pub async fn open_portal_link(
        &self,
        organization: Option<OrganizationId>,
        id: PortalLinkId,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut change = Change::default();
        change.set(SESSION_UNTIL, time(until));
        change
            .when()
            .exists(PK)
            .missing(SESSION_UNTIL)
            .missing(REVOKED);
        Ok(self
            .change(
                "open a portal link",
                &keys::portal_link(organization, id),
                change,
            )
            .await?
            .is_done())
    }

    /// Ends the session of a link. What was created in it stays.
    pub async fn end_session(
        &self,
        organization: Option<OrganizationId>,
        id: PortalLinkId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut change = Change::default();
        change.set(SESSION_UNTIL, time(now));
        change.when().exists(PK);
        self.change(
            "end a session",
            &keys::portal_link(organization, id),
            change,
        )
        .await
        .map(drop)
    }

    /// Revokes a link, its session and the links that were created in it. Returns whether there was
    /// one to revoke.
    pub async fn revoke_portal_link(
        &self,
        organization: Option<OrganizationId>,
        id: PortalLinkId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut change = Change::default();
        change
            .set(REVOKED, time(now))
            .set(TTL, number(now.plus(REVOKED_RETENTION).as_seconds()));
        change.when().exists(PK).missing(REVOKED);
        Ok(self
            .change(
                "revoke a portal link",
                &keys::portal_link(organization, id),
                change,
            )
            .await?
            .is_done())
    }
}

fn item(link: &PortalLink) -> Item {
    let mut item: Item = document::item(&keys::portal_link(link.organization_id, link.id), link);
    let over = link
        .expires_at
        .plus(Duration::from_secs(u64::from(link.session_seconds) + 1));
    item.put(TTL, number(over.as_seconds()));
    item.put_some(SESSION_UNTIL, link.session_until.map(time));
    item
}

fn maker_key(maker: &Maker) -> Key {
    match maker {
        Maker::Key(id) => keys::api_key(*id),
        Maker::Session {
            organization_id,
            id,
        } => keys::portal_link(*organization_id, *id),
    }
}

fn read(item: &Item) -> Result<PortalLink, StoreError> {
    let session_until = Reader(item).time_opt(SESSION_UNTIL)?;
    Ok(PortalLink {
        session_until,
        ..document::read(item)?
    })
}
