//! Counts what has not arrived: the deliveries in each unsuccessful state, and those that a
//! destination missed since a point in time. The console shows these counts next to lists and
//! before a replay.

use domain::Timestamp;
use domain::delivery::{Delivery, DeliveryStatus};
use domain::input::Errors;
use domain::role::Permission;
use store::DeliveryFilter;

use crate::delivery::take_filter;
use crate::{Context, Operations, Query, Refusal};

/// The states that an index counts without reading a delivery.
const COUNTED: [DeliveryStatus; 4] = [
    DeliveryStatus::Retrying,
    DeliveryStatus::Failed,
    DeliveryStatus::Skipped,
    DeliveryStatus::Cancelled,
];
/// The count at which a list stops to count. It only has to say that there are many.
const COUNTED_MAX: u64 = 1_000;
const READ_AT_ONCE: u32 = 200;
/// The pages after which counting stops, because a long history may hold few that count.
const PAGES_MAX: usize = 25;

/// A number of deliveries, which may be incomplete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// The number of deliveries that were counted.
    pub count: u64,
    /// Whether there may be more than were counted.
    pub more: bool,
}

impl Counted {
    fn up_to(most: u64, count: u64) -> Self {
        Self {
            count: count.min(most),
            more: count >= most,
        }
    }
}

impl Operations {
    /// Counts the deliveries that match the filters of `GET /v1/deliveries`, in each unsuccessful
    /// state. States that can be counted only by reading every delivery are left out.
    pub async fn delivery_counts(
        &self,
        ctx: &Context,
        mut query: Query,
    ) -> Result<Vec<(DeliveryStatus, Counted)>, Refusal> {
        let organization = self
            .enter(ctx, Permission::ReadDeliveries, &mut query)
            .await?;
        let errors = Errors::default();
        let filter = take_filter(&mut query, &errors);
        query.finish(&errors);
        errors.into_result(())?;
        if !self.filter_is_own(ctx, organization, &filter).await {
            return Ok(Vec::new());
        }
        let shards = self.shards(organization).await?;
        let most = i32::try_from(COUNTED_MAX).unwrap_or(i32::MAX);
        let each = COUNTED.map(async |status| {
            let filter = DeliveryFilter {
                statuses: vec![status],
                ..filter.clone()
            };
            let counted = self
                .store
                .count_deliveries_up_to(organization, shards, &filter, most);
            Ok::<_, Refusal>(
                counted
                    .await?
                    .map(|count| (status, Counted::up_to(COUNTED_MAX, count))),
            )
        });
        Ok(futures_util::future::try_join_all(each)
            .await?
            .into_iter()
            .flatten()
            .collect())
    }

    /// Counts the deliveries that a replay since `since` would send again: those that failed or
    /// were skipped, without tests and Waybill's own messages. Each is read, so counting stops at
    /// `most`.
    pub async fn missed(
        &self,
        ctx: &Context,
        id: &str,
        since: Timestamp,
        most: u64,
        mut query: Query,
    ) -> Result<Counted, Refusal> {
        let organization = self.enter(ctx, Permission::Read, &mut query).await?;
        let destination = self.own_destination(ctx, organization, id).await?.id;
        let filter = DeliveryFilter {
            destination: Some(destination),
            statuses: vec![DeliveryStatus::Failed, DeliveryStatus::Skipped],
            ..DeliveryFilter::default()
        };
        let is_missed = |delivery: &&Delivery| {
            let ended = delivery.state.finished_at().is_some_and(|at| at >= since);
            ended && !delivery.message.test && !delivery.message.event_type.is_reserved()
        };
        let shards = self.shards(organization).await?;
        let (mut count, mut after) = (0, None);
        for _ in 0..PAGES_MAX {
            let store = &self.store;
            let page = store.deliveries_page(organization, shards, &filter, after, READ_AT_ONCE);
            let page = page.await?;
            count += page.items.iter().filter(is_missed).count() as u64;
            after = page.next;
            if after.is_none() || count >= most {
                return Ok(Counted::up_to(most, count));
            }
        }
        Ok(Counted { count, more: true })
    }
}
