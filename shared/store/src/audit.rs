//! The audit log. Events are added and expire; they never change.

use domain::Timestamp;
use domain::audit::AuditEvent;
use domain::id::{AuditId, OrganizationId, Ulid};
use domain::organization::OrganizationSettings;
use std::time::Duration;

use crate::attributes::{Item, Put, number, text};
use crate::document;
use crate::expression::Condition;
use crate::keys::{self, PK, SK, TTL, TroubleKind};
use crate::{Page, Store, StoreError};

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Store {
    /// Adds an event to its organization's trail. It expires after the organization's current audit
    /// retention.
    pub async fn record_audit(&self, event: &AuditEvent) -> Result<(), StoreError> {
        let retention_days = self.audit_retention_days(event.organization_id).await?;
        self.put(
            "record an audit event",
            item(event, retention_days),
            Condition::default(),
        )
        .await
        .map(drop)
    }

    /// Lists an organization's events, newest first. `since` is inclusive, `until` exclusive.
    pub async fn audit_page(
        &self,
        organization: OrganizationId,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        after: Option<AuditId>,
        limit: u32,
    ) -> Result<Page<AuditEvent>, StoreError> {
        let first_at = |time| AuditId::from(Ulid::first_at(time));
        let lowest = first_at(since.unwrap_or(Timestamp::from_millis(0)));
        let bound = until
            .map(first_at)
            .into_iter()
            .chain(after)
            .min()
            .unwrap_or(first_at(Timestamp::from_millis(i64::MAX)));
        if bound <= lowest {
            return Ok(Page {
                items: Vec::new(),
                more: false,
            });
        }
        let mut range = Condition::default();
        range
            .equals(PK, text(keys::audit_partition(organization)))
            .between(SK, text(lowest.to_string()), text(bound.to_string()));
        let query = self.query(range).scan_index_forward(false);
        // Reads one more item, because the bound itself is in the range but not in the page.
        let read = document::read::<AuditEvent>;
        let mut page = self
            .list_as("list audit events", query, limit.saturating_add(1), read)
            .await?;
        page.items.retain(|event| event.id != bound);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = page.more || page.items.len() > limit;
        page.items.truncate(limit);
        Ok(Page {
            items: page.items,
            more,
        })
    }

    /// Returns how many days an organization keeps audit events.
    pub(crate) async fn audit_retention_days(
        &self,
        organization: OrganizationId,
    ) -> Result<u32, StoreError> {
        let settings = self
            .organization(organization)
            .await?
            .map(|organization| organization.settings);
        Ok(settings
            .unwrap_or_else(OrganizationSettings::default)
            .audit_retention_days)
    }
}

/// Makes the item of an event.
pub(crate) fn item(event: &AuditEvent, retention_days: u32) -> Item {
    let key = keys::audit(event.organization_id, event.id);
    let mut item = document::item(&key, event);
    item.put(
        TTL,
        number(event.at.plus(DAY * retention_days).as_seconds()),
    );
    keys::put_trouble(&mut item, TroubleKind::Audit, key.sk);
    item
}
