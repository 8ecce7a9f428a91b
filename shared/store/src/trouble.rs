//! Lists across all organizations, for operators: alerts and audit events, newest first, from the
//! `trouble` index. Deliveries are listed the same way in `delivery/list.rs`. What was written
//! before the index existed is only in its organization's lists.

use domain::Timestamp;
use domain::alert::Alert;
use domain::audit::AuditEvent;
use domain::id::{AlertId, AuditId, Id, Ulid};
use serde::de::DeserializeOwned;

use crate::keys::{self, Key, TROUBLE, TROUBLE_PARTITIONS, TroubleKind};
use crate::lane::{Merge, Range, Source};
use crate::unreadable::readable;
use crate::{Page, Store, StoreError, document};

/// Entries that one query of a partition reads.
const QUERY_PAGE: i32 = 25;

impl Store {
    /// Lists the alerts of all organizations that follow `after`, newest first.
    pub async fn alerts_everywhere(
        &self,
        after: Option<AlertId>,
        limit: u32,
    ) -> Result<Page<Alert>, StoreError> {
        self.listed_everywhere(
            TroubleKind::Alert,
            range::<AlertId>(None, None, after),
            limit,
        )
        .await
    }

    /// Lists the audit events of all organizations that follow `after`, newest first. `since` is
    /// inclusive, `until` exclusive.
    pub async fn audit_everywhere(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        after: Option<AuditId>,
        limit: u32,
    ) -> Result<Page<AuditEvent>, StoreError> {
        self.listed_everywhere(TroubleKind::Audit, range(since, until, after), limit)
            .await
    }

    async fn listed_everywhere<T: DeserializeOwned>(
        &self,
        kind: TroubleKind,
        range: Range,
        limit: u32,
    ) -> Result<Page<T>, StoreError> {
        let source = |n| Source {
            index: Some(TROUBLE),
            partition: keys::trouble(kind, n),
            whole_messages: false,
        };
        let mut merge = Merge::new(
            self,
            (0..TROUBLE_PARTITIONS).map(source).collect(),
            range,
            QUERY_PAGE,
        );
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut items = Vec::new();
        while items.len() <= limit {
            let entries = merge.take(limit + 1 - items.len()).await?;
            if entries.is_empty() {
                break;
            }
            let keys: Vec<Key> = entries.into_iter().map(|entry| entry.key).collect();
            let found = self.get_all("read a list", &keys).await?;
            items.extend(readable(
                found
                    .iter()
                    .flatten()
                    .filter(|item| self.is_alive(item))
                    .map(document::read),
            )?);
        }
        let more = items.len() > limit;
        items.truncate(limit);
        Ok(Page { items, more })
    }
}

/// Returns the sort keys of what was created between `since` and `until` (exclusive) and follows
/// `after` in a list.
fn range<T: Id + Ord>(
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    after: Option<T>,
) -> Range {
    let first_at = |time| T::from(Ulid::first_at(time));
    let low = since.map_or_else(
        || format!("{}_0", T::PREFIX),
        |time| first_at(time).to_string(),
    );
    let before = until
        .map(first_at)
        .into_iter()
        .chain(after)
        .min()
        .map(|id| id.to_string());
    // A ULID's first digit is 0 to 7.
    Range {
        low,
        high: format!("{}_8", T::PREFIX),
        before,
    }
    .narrow()
}
