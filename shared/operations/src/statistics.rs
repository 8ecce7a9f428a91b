//! The statistics of an organization, which are the sums of its destinations'.

use std::collections::BTreeMap;

use domain::input::Errors;
use domain::role::Permission;
use domain::statistics::Tally;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::destination::health::READS_AT_ONCE;
use crate::view::statistics::{StatisticsGroup, StatisticsView};
use crate::{Context, Operations, Query, Refusal};

#[derive(Clone, Copy, PartialEq, Eq)]
enum GroupBy {
    Type,
    EventType,
    Destination,
}

const GROUPS: &[(&str, GroupBy)] = &[
    ("destination_type", GroupBy::Type),
    ("event_type", GroupBy::EventType),
    ("destination", GroupBy::Destination),
];

impl Operations {
    /// `GET /v1/stats`: returns the statistics of the destinations that exist, of the last 24 hours
    /// unless the request names another period.
    pub async fn statistics(
        &self,
        ctx: &Context,
        mut query: Query,
    ) -> Result<StatisticsView, Refusal> {
        let organization = self.enter(ctx, Permission::Read, &mut query).await?;
        let errors = Errors::default();
        let group_by = query
            .choice("group_by", &errors, GROUPS)
            .unwrap_or(GroupBy::Type);
        let (since, until) = self.span(&mut query, &errors, 1);
        query.finish(&errors);
        errors.into_result(())?;
        let destinations = self
            .store
            .routes(organization)
            .await?
            .map(|routes| routes.destinations)
            .unwrap_or_default();
        let first = domain::statistics::hour_of(since);
        let reads = destinations.iter().map(async |route| {
            Ok::<_, Refusal>((route, self.tally(route.id, first, until).await?))
        });
        let reads: Vec<_> = reads.collect();
        let tallies: Vec<_> = stream::iter(reads)
            .buffered(READS_AT_ONCE)
            .try_collect()
            .await?;
        let mut groups: BTreeMap<String, Tally> = BTreeMap::new();
        for (route, tally) in tallies {
            let group = match group_by {
                GroupBy::Type => route.kind.as_str().to_owned(),
                GroupBy::Destination => route.id.to_string(),
                GroupBy::EventType => String::new(),
            };
            groups.entry(group).or_default().merge(&tally);
        }
        let data: Vec<StatisticsGroup> = if group_by == GroupBy::EventType {
            let all = groups.into_values().next().unwrap_or_default();
            let counted = all.event_types.into_iter();
            counted
                .map(|(event_type, counted)| {
                    StatisticsGroup::counted(event_type, counted.succeeded, counted.failed)
                })
                .collect()
        } else {
            let active = groups
                .into_iter()
                .filter(|(_, tally)| tally.success_rate().is_some());
            active
                .map(|(group, tally)| StatisticsGroup::of(group, &tally))
                .collect()
        };
        let name = GROUPS
            .iter()
            .find(|(_, by)| *by == group_by)
            .map_or("", |(name, _)| *name);
        Ok(StatisticsView {
            group_by: name,
            since,
            until,
            data,
        })
    }
}
