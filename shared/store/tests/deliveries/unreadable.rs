//! Unreadable items: the others of their kind are still read, and erasing spares none of them.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use domain::delivery::Delivery;
use domain::event_type::EventPattern;
use domain::id::{Id as _, UploadId};
use local_aws::Fault;
use store::{Added, AnnounceOutcome, Content, Missed, SentBody, Store, Upload};

use super::words::{PAYLOAD, SHARDS};
use crate::fixture::{Fixture, TABLE};

/// Commits a message to this many destinations of a new organization.
async fn committed(fixture: &Fixture, count: usize) -> Vec<Delivery> {
    let organization = fixture.organization().await.id;
    let destinations: Vec<_> = std::iter::repeat_with(|| fixture.ids.mint(organization, 1))
        .take(count)
        .collect();
    let deliveries = fixture.message_to(organization, &destinations);
    let payload = Content::Bytes(Bytes::from_static(PAYLOAD));
    fixture.store.commit(&deliveries, &payload).await.unwrap();
    deliveries
}

/// Makes the item of a delivery unreadable.
async fn damage(fixture: &Fixture, delivery: &Delivery, attribute: &str) {
    let ulid = delivery.id.message.ulid();
    let partition = format!("ORG#{}#{}", delivery.organization, ulid.shard());
    let sort = format!("{ulid}#{:02}", delivery.id.position);
    fixture.damage(&partition, &sort, attribute).await;
}

async fn message(fixture: &Fixture, of: &Delivery) -> Result<Vec<u16>, store::StoreError> {
    let found = fixture
        .store
        .message(of.organization, of.id.message)
        .await?;
    let positions = found.unwrap().into_iter().map(|found| found.id.position);
    Ok(positions.collect())
}

#[tokio::test]
async fn the_other_deliveries_of_a_message_are_read_and_more_can_be_added() {
    let fixture = Fixture::new();
    let deliveries = committed(&fixture, 3).await;
    damage(&fixture, &deliveries[0], "n").await;
    assert_eq!(message(&fixture, &deliveries[0]).await.unwrap(), [1, 2]);
    damage(&fixture, &deliveries[2], "n").await;
    assert_eq!(message(&fixture, &deliveries[0]).await.unwrap(), [1]);

    let organization = deliveries[0].organization;
    let new = fixture.message_to(organization, &[fixture.ids.mint(organization, 1)]);
    let mut new = new.into_iter().next().unwrap();
    new.id.message = deliveries[0].id.message;
    let Added::Done(added) = fixture.store.add_delivery(&new, None).await.unwrap() else {
        panic!("it was not added");
    };
    assert_eq!(added.id.position, 3);

    damage(&fixture, &deliveries[1], "n").await;
    damage(&fixture, &added, "n").await;
    let unreadable = message(&fixture, &deliveries[0]).await.unwrap_err();
    assert!(
        unreadable.to_string().contains("unreadable"),
        "{unreadable}"
    );
}

/// An erasure lists the deliveries of a message after it has erased the first one.
#[tokio::test]
async fn no_delivery_is_added_to_a_message_whose_payload_is_erased_meanwhile() {
    let fixture = Fixture::new();
    let deliveries = committed(&fixture, 1).await;
    let organization = deliveries[0].organization;
    let mut new = fixture
        .message_to(organization, &[fixture.ids.mint(organization, 1)])
        .remove(0);
    new.id.message = deliveries[0].id.message;
    fixture.engines.install_faults(|call| {
        if call.operation == "TransactWriteItems" {
            Fault::Delay(std::time::Duration::from_millis(500))
        } else {
            Fault::None
        }
    });
    let erase = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        fixture.store.erase_payload(&deliveries[0]).await.unwrap();
    };
    let (added, ()) = tokio::join!(fixture.store.add_delivery(&new, None), erase);
    assert_eq!(added.unwrap(), Added::Gone);
    assert_eq!(message(&fixture, &deliveries[0]).await.unwrap(), [0]);
}

#[tokio::test]
async fn a_backfill_finds_the_messages_beside_an_unreadable_one() {
    let fixture = Fixture::new();
    let deliveries = committed(&fixture, 1).await;
    let organization = deliveries[0].organization;
    let other = fixture
        .committed_for(organization, deliveries[0].destination)
        .await;
    damage(&fixture, &deliveries[0], "n").await;
    let missed = Missed {
        destination: fixture.ids.mint(organization, 1),
        event_types: vec![EventPattern::parse("**").unwrap()],
        event_type: None,
        reference: None,
        since: deliveries[0].created_at,
        until: fixture.now().plus(Duration::from_secs(1)),
    };
    let found = fixture
        .store
        .missed(organization, SHARDS, &missed, None, 10)
        .await
        .unwrap();
    let found: Vec<_> = found.items.iter().map(|first| first.id).collect();
    assert_eq!(found, [other.id]);
}

#[tokio::test]
async fn the_other_attempts_of_a_delivery_are_shown_and_erasing_removes_the_unreadable_one() {
    let fixture = Fixture::new();
    let mut delivery = fixture.committed().await;
    for _ in 0..3 {
        delivery = fixture.fail(&delivery, Duration::from_secs(1)).await;
    }
    let partition = format!("ATT#{}", delivery.id);
    fixture.damage(&partition, "0000000001", "a").await;
    let (attempts, omitted) = fixture.store.attempts(&delivery).await.unwrap();
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!((numbers, omitted), (vec![2, 3], 1));
    let cancelled = delivery.clone().cancel(fixture.now()).unwrap();
    assert!(
        fixture
            .store
            .transition(&delivery, &cancelled)
            .await
            .unwrap()
    );
    fixture.store.erase_payload(&cancelled).await.unwrap();
    let (attempts, _) = fixture.store.attempts(&cancelled).await.unwrap();
    let is_empty =
        |attempt: &domain::attempt::Attempt| attempt.response.as_ref().unwrap().body.is_empty();
    assert!(fixture.current(&cancelled).await.attempts == 3 && is_empty(&attempts[0]));
    assert_eq!(items_of(&fixture, &["ATT#"]).await, 1);
}

#[tokio::test]
async fn an_unreadable_delivery_is_erased_with_what_belongs_to_it() {
    let fixture = Fixture::new();
    let deliveries = committed(&fixture, 3).await;
    let mut chance = fastrand::Rng::with_seed(5);
    let noise: Vec<u8> = std::iter::repeat_with(|| chance.u8(..))
        .take(300_000)
        .collect();
    for delivery in &deliveries {
        fixture.fail(delivery, Duration::from_secs(1)).await;
        let body = SentBody {
            bytes: Bytes::from(noise.clone()),
            content_type: "application/json".to_owned(),
        };
        fixture.store.keep_body(delivery, &body).await.unwrap();
    }
    let Some(Content::Object(location)) = fixture
        .store
        .sent_body(&deliveries[0])
        .await
        .unwrap()
        .map(|body| body.content)
    else {
        panic!("the body is no object");
    };
    damage(&fixture, &deliveries[0], "n").await;
    // Where its objects are cannot be read.
    damage(&fixture, &deliveries[1], "pd").await;
    for shard in 0..SHARDS {
        let organization = deliveries[0].organization;
        let erase = fixture.store.erase_deliveries(organization, shard);
        erase.await.unwrap();
    }
    assert_eq!(items_of(&fixture, &["ATT#", "BODY#", "PAY#"]).await, 0);
    for delivery in &deliveries {
        let found = fixture
            .store
            .message(delivery.organization, delivery.id.message);
        assert_eq!(found.await.unwrap(), None);
    }
    let body = fixture
        .store
        .read_entire_object(&location, 300_000)
        .await
        .unwrap();
    assert_eq!(body, None);
}

#[tokio::test]
async fn an_unreadable_entry_of_an_upload_stops_no_other_upload() {
    let fixture = Fixture::new();
    let organization = fixture.organization().await.id;
    let announce = async || {
        let id: UploadId = fixture.ids.mint(organization, 1);
        let upload = Upload {
            id,
            organization_id: organization,
            content_type: "text/csv".to_owned(),
            filename: None,
            size_bytes: 10,
            sha256: None,
            key: Store::upload_key(30, organization, id),
            created_at: fixture.now(),
            expires_at: fixture.now().plus(Duration::from_secs(3600)),
        };
        let announced = fixture.store.create_upload(&upload, 30, Some(25)).await;
        (id, announced.unwrap())
    };
    let (first, announced) = announce().await;
    assert_eq!(announced, AnnounceOutcome::Done);
    assert_eq!(announce().await.1, AnnounceOutcome::Done);
    assert!(matches!(announce().await.1, AnnounceOutcome::Over { .. }));
    let partition = format!("ORG#{organization}#UPLOADS");
    let sort = format!("OUT#{}", first.ulid());
    fixture.damage(&partition, &sort, "bytes").await;
    assert_eq!(announce().await.1, AnnounceOutcome::Done);
}

/// How many items of the table have partitions that start with one of these.
async fn items_of(fixture: &Fixture, prefixes: &[&str]) -> usize {
    let scan = fixture.table.scan().table_name(TABLE).send().await.unwrap();
    let is_counted = |item: &&std::collections::HashMap<String, AttributeValue>| {
        let partition = item["pk"].as_s().unwrap();
        prefixes.iter().any(|prefix| partition.starts_with(prefix))
    };
    scan.items().iter().filter(is_counted).count()
}
