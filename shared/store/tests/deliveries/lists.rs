//! Lists compared with a simple model: every filter and page size, without duplicates or gaps.

use std::time::Duration;

use bytes::Bytes;
use domain::Timestamp;
use domain::delivery::{Delivery, DeliveryStatus};
use domain::event_type::EventType;
use domain::id::{DestinationId, OrganizationId};
use store::{DeliveryFilter, MessageFilter};

use super::words::{PAYLOAD, SHARDS};
use crate::fixture::Fixture;

/// An organization with a history, newest first.
struct History {
    organization: OrganizationId,
    destinations: Vec<DestinationId>,
    deliveries: Vec<Delivery>,
}

async fn history(fixture: &Fixture) -> History {
    let mut chance = fastrand::Rng::with_seed(5);
    let organization = fixture.ids.organization();
    let destinations: Vec<DestinationId> = (0..3)
        .map(|_| fixture.ids.mint(organization, SHARDS))
        .collect();
    let mut deliveries = Vec::new();
    for n in 0..45 {
        let to = &destinations[..chance.usize(1..=3)];
        let mut message = fixture.message_to(organization, to);
        for delivery in &mut message {
            let event_type = ["report.ready", "invoice.paid", "waybill.test"][n % 3];
            delivery.message.event_type = EventType::parse(event_type).unwrap();
            delivery.message.reference = (n % 4 == 0).then(|| format!("order {}", n % 8));
        }
        fixture
            .store
            .commit(
                &message,
                &store::Content::Bytes(Bytes::from_static(PAYLOAD)),
            )
            .await
            .unwrap();
        for delivery in message {
            deliveries.push(match chance.u8(0..4) {
                0 => delivery,
                1 => fixture.fail(&delivery, Duration::from_secs(1)).await,
                2 => cancel(fixture, &delivery).await,
                _ => fixture.succeed(&delivery).await,
            });
        }
    }
    // Deliveries of other organizations, which must not be listed.
    for _ in 0..5 {
        fixture.committed().await;
    }
    deliveries.sort_by_key(|delivery| std::cmp::Reverse(delivery.id));
    History {
        organization,
        destinations,
        deliveries,
    }
}

async fn cancel(fixture: &Fixture, delivery: &Delivery) -> Delivery {
    let cancelled = delivery.clone().cancel(fixture.now()).unwrap();
    assert!(
        fixture
            .store
            .transition(delivery, &cancelled)
            .await
            .unwrap()
    );
    cancelled
}

impl History {
    async fn walk(&self, fixture: &Fixture, filter: &DeliveryFilter, limit: u32) -> Vec<Delivery> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = fixture
                .store
                .deliveries_page(self.organization, SHARDS, filter, after, limit)
                .await
                .unwrap();
            assert!(page.items.len() <= limit as usize);
            found.extend(page.items);
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    }

    fn model(&self, filter: &DeliveryFilter) -> Vec<Delivery> {
        let admits = |delivery: &&Delivery| {
            filter
                .destination
                .is_none_or(|id| id == delivery.destination)
                && (filter.statuses.is_empty() || filter.statuses.contains(&delivery.status()))
                && filter
                    .event_type
                    .as_ref()
                    .is_none_or(|event_type| *event_type == delivery.message.event_type)
                && filter.message.is_none_or(|id| id == delivery.id.message)
                && filter
                    .reference
                    .as_ref()
                    .is_none_or(|reference| Some(reference) == delivery.message.reference.as_ref())
                && filter
                    .since
                    .is_none_or(|since| delivery.created_at >= since)
                && filter.until.is_none_or(|until| delivery.created_at < until)
        };
        self.deliveries.iter().filter(admits).cloned().collect()
    }

    fn filters(&self) -> Vec<DeliveryFilter> {
        use DeliveryStatus::{Cancelled, Failed, Queued, Retrying, Succeeded};
        let all = DeliveryFilter::default;
        let some = &self.deliveries[self.deliveries.len() / 2];
        let time = |at: usize| Some(self.deliveries[at].created_at);
        let destination = Some(self.destinations[1]);
        vec![
            all(),
            DeliveryFilter {
                destination,
                ..all()
            },
            DeliveryFilter {
                statuses: vec![Succeeded],
                ..all()
            },
            DeliveryFilter {
                statuses: vec![Retrying, Cancelled, Failed],
                ..all()
            },
            DeliveryFilter {
                destination,
                statuses: vec![Retrying, Cancelled],
                ..all()
            },
            DeliveryFilter {
                destination,
                statuses: vec![Retrying, Queued],
                ..all()
            },
            DeliveryFilter {
                event_type: Some(EventType::parse("invoice.paid").unwrap()),
                ..all()
            },
            DeliveryFilter {
                message: Some(some.id.message),
                ..all()
            },
            DeliveryFilter {
                message: Some(some.id.message),
                destination,
                ..all()
            },
            DeliveryFilter {
                message: Some(some.id.message),
                since: Some(some.created_at),
                ..all()
            },
            DeliveryFilter {
                message: Some(some.id.message),
                until: Some(some.created_at),
                ..all()
            },
            DeliveryFilter {
                reference: Some("order 4".to_owned()),
                ..all()
            },
            DeliveryFilter {
                reference: Some("order 0".to_owned()),
                destination,
                statuses: vec![Succeeded, Queued],
                ..all()
            },
            DeliveryFilter {
                reference: Some("no such order".to_owned()),
                ..all()
            },
            DeliveryFilter {
                since: time(60),
                until: time(15),
                ..all()
            },
            DeliveryFilter {
                since: time(60),
                until: time(15),
                destination,
                ..all()
            },
            DeliveryFilter {
                since: time(15),
                until: time(60),
                ..all()
            },
            DeliveryFilter {
                since: Some(Timestamp::from_millis(0)),
                statuses: vec![Retrying],
                ..all()
            },
        ]
    }
}

#[tokio::test]
async fn every_filter_finds_what_it_names_newest_first_and_once() {
    let fixture = Fixture::new();
    let history = history(&fixture).await;
    for filter in history.filters() {
        let expected = history.model(&filter);
        for limit in [2, 7, 100] {
            assert_eq!(
                history.walk(&fixture, &filter, limit).await,
                expected,
                "{filter:?} by {limit}"
            );
        }
    }
}

#[tokio::test]
async fn a_list_that_ends_at_a_page_has_no_cursor() {
    let fixture = Fixture::new();
    let history = history(&fixture).await;
    let filter = DeliveryFilter {
        message: Some(history.deliveries[0].id.message),
        ..Default::default()
    };
    let count = u32::try_from(history.model(&filter).len()).unwrap();
    let page = fixture
        .store
        .deliveries_page(history.organization, SHARDS, &filter, None, count)
        .await
        .unwrap();
    assert_eq!((page.items.len() as u32, page.next), (count, None));
}

#[tokio::test]
async fn messages_are_listed_with_all_their_deliveries() {
    let fixture = Fixture::new();
    let history = history(&fixture).await;
    let all = MessageFilter::default;
    let filters = [
        all(),
        MessageFilter {
            system: true,
            ..all()
        },
        MessageFilter {
            event_type: Some(EventType::parse("report.ready").unwrap()),
            ..all()
        },
        MessageFilter {
            reference: Some("order 4".to_owned()),
            ..all()
        },
        MessageFilter {
            since: Some(history.deliveries[60].created_at),
            until: Some(history.deliveries[10].created_at),
            ..all()
        },
    ];
    for filter in filters {
        let same = DeliveryFilter {
            event_type: filter.event_type.clone(),
            reference: filter.reference.clone(),
            since: filter.since,
            until: filter.until,
            ..Default::default()
        };
        let mut expected = history.model(&same);
        expected.retain(|delivery| filter.system || !delivery.message.event_type.is_reserved());
        let expected: Vec<Vec<Delivery>> = expected
            .chunk_by(|a, b| a.id.message == b.id.message)
            .map(|message| message.iter().rev().cloned().collect())
            .collect();
        for limit in [2, 9, 100] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = fixture
                    .store
                    .messages_page(history.organization, SHARDS, &filter, after, limit)
                    .await
                    .unwrap();
                assert!(page.items.len() <= limit as usize);
                found.extend(page.items);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{filter:?} by {limit}");
        }
    }
}
