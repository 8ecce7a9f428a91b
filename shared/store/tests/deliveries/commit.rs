//! Commits, and the places where payloads are stored.

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use domain::delivery::Delivery;
use domain::id::{DestinationId, Id};
use local_aws::Caller;
use store::WorkKey;

use super::words::{PAYLOAD, info};
use crate::fixture::{Fixture, TABLE};

fn fan_out(fixture: &Fixture, count: usize) -> Vec<Delivery> {
    let organization = fixture.ids.organization();
    let destinations: Vec<DestinationId> = (0..count)
        .map(|_| fixture.ids.mint(organization, 1))
        .collect();
    fixture.message_to(organization, &destinations)
}

async fn remove(fixture: &Fixture, delivery: &Delivery) {
    let ulid = delivery.id.message.ulid();
    let key = |name: &str, value: String| (name.to_owned(), AttributeValue::S(value));
    let pk = key(
        "pk",
        format!("ORG#{}#{}", delivery.organization, ulid.shard()),
    );
    let sk = key("sk", format!("{ulid}#{:02}", delivery.id.position));
    let call = fixture
        .table
        .delete_item()
        .table_name(TABLE)
        .key(pk.0, pk.1)
        .key(sk.0, sk.1);
    call.send().await.unwrap();
}

#[tokio::test]
async fn a_message_is_all_of_its_deliveries_in_order() {
    let fixture = Fixture::new();
    let deliveries = fan_out(&fixture, 120);
    fixture
        .store
        .commit(
            &deliveries,
            &store::Content::Bytes(Bytes::from_static(PAYLOAD)),
        )
        .await
        .unwrap();
    let first = &deliveries[0];
    assert_eq!(
        fixture
            .store
            .message(first.organization, first.id.message)
            .await
            .unwrap()
            .unwrap(),
        deliveries
    );
    assert_eq!(fixture.current(&deliveries[117]).await, deliveries[117]);
}

#[tokio::test]
async fn without_its_first_delivery_there_is_no_message() {
    let fixture = Fixture::new();
    let deliveries = fan_out(&fixture, 3);
    let (organization, message) = (deliveries[0].organization, deliveries[0].id.message);
    fixture
        .store
        .commit(
            &deliveries,
            &store::Content::Bytes(Bytes::from_static(PAYLOAD)),
        )
        .await
        .unwrap();
    remove(&fixture, &deliveries[0]).await;

    let store = &fixture.store;
    assert_eq!(store.message(organization, message).await.unwrap(), None);
    assert_eq!(
        store
            .delivery(organization, deliveries[1].id)
            .await
            .unwrap(),
        None
    );
    assert_eq!(store.payload_of(organization, message).await.unwrap(), None);
    assert_eq!(
        store
            .deliveries_page(organization, 4, &Default::default(), None, 25)
            .await
            .unwrap()
            .items,
        []
    );
    assert!(
        store
            .messages_page(organization, 4, &Default::default(), None, 25)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let shard = message.ulid().shard();
    assert_eq!(
        store
            .unfinished(organization, shard, None, 25)
            .await
            .unwrap()
            .items,
        []
    );
}

#[tokio::test]
async fn a_repeat_completes_what_was_interrupted_and_changes_nothing_else() {
    let fixture = Fixture::new();
    let deliveries = fan_out(&fixture, 3);
    let payload = Bytes::from_static(PAYLOAD);
    fixture
        .store
        .commit(&deliveries, &store::Content::Bytes(payload.clone()))
        .await
        .unwrap();
    let settled = fixture.succeed(&deliveries[1]).await;
    remove(&fixture, &deliveries[0]).await;

    for _ in 0..2 {
        fixture
            .store
            .commit(&deliveries, &store::Content::Bytes(payload.clone()))
            .await
            .unwrap();
    }
    assert_eq!(fixture.current(&deliveries[0]).await, deliveries[0]);
    assert_eq!(fixture.current(&deliveries[1]).await, settled);
}

/// Deliveries that an interrupted submission wrote name the version of its object. A second object
/// would replace that version, which S3 then deletes.
#[tokio::test]
async fn a_repeat_keeps_the_object_that_the_interrupted_submission_stored() {
    let fixture = Fixture::new();
    let mut deliveries = fan_out(&fixture, 2);
    let mut chance = fastrand::Rng::with_seed(5);
    let noise: Bytes = std::iter::repeat_with(|| chance.u8(..))
        .take(64 << 10)
        .collect();
    for delivery in &mut deliveries {
        delivery.message.payload = info(&noise);
    }
    let content = store::Content::Bytes(noise.clone());
    fixture.store.commit(&deliveries, &content).await.unwrap();
    let objects = aws_sdk_s3::Client::new(&fixture.engines.sdk_config(Caller::unlimited("test")));
    let listed = objects
        .list_objects_v2()
        .bucket("waybill-payloads")
        .send()
        .await
        .unwrap();
    let key = listed.contents()[0].key().unwrap();
    let put = |bytes: Vec<u8>| {
        objects
            .put_object()
            .bucket("waybill-payloads")
            .key(key)
            .body(bytes.into())
            .send()
    };
    // An object of this length can only be the payload, so that it is not written again.
    let marked = vec![7; noise.len()];
    put(marked.clone()).await.unwrap();
    remove(&fixture, &deliveries[0]).await;
    fixture.store.commit(&deliveries, &content).await.unwrap();
    let kept = fixture.store.payload(&deliveries[1]).await.unwrap();
    assert_eq!(kept.unwrap(), marked);

    put(b"something else".to_vec()).await.unwrap();
    fixture.store.commit(&deliveries, &content).await.unwrap();
    let repaired = fixture.store.payload(&deliveries[0]).await.unwrap();
    assert_eq!(repaired.unwrap(), noise);
}

#[tokio::test]
async fn a_payload_comes_back_from_wherever_it_is() {
    let fixture = Fixture::new();
    let organization = fixture.organization().await.id;
    let destination = fixture.destination(organization).await;
    let text = "all work and no play ".repeat(40);
    let mut chance = fastrand::Rng::with_seed(3);
    let noise: Vec<u8> = std::iter::repeat_with(|| chance.u8(..))
        .take(1 << 20)
        .collect();
    let report = vec![b'x'; (1 << 20) + 1];
    // Inline, inline and compressed, an item, an object, a report of a large message; and nothing
    // at all.
    for (payload, in_item, in_batch) in [
        (PAYLOAD, false, true),
        (text.as_bytes(), false, true),
        (&noise[..5000], true, true),
        (&noise, false, false),
        (&report, false, false),
        (b"", false, true),
    ] {
        let mut deliveries = fixture.message_to(organization, &[destination.id]);
        deliveries[0].message.payload = info(payload);
        let delivery = &deliveries[0];
        let committed = fixture
            .store
            .commit(
                &deliveries,
                &store::Content::Bytes(Bytes::copy_from_slice(payload)),
            )
            .await
            .unwrap();
        assert_eq!(committed.payload_item, in_item);
        assert_eq!(
            fixture.store.payload(delivery).await.unwrap().unwrap(),
            payload
        );
        assert_eq!(
            fixture
                .store
                .payload_of(organization, delivery.id.message)
                .await
                .unwrap()
                .unwrap(),
            payload
        );
        assert_eq!(fixture.current(delivery).await, *delivery);

        let key = WorkKey {
            organization,
            delivery: delivery.id,
            destination: destination.id,
            payload_item: committed.payload_item,
        };
        let work = fixture
            .store
            .read_batch(&[key, key])
            .await
            .unwrap()
            .pop()
            .unwrap()
            .unwrap();
        assert_eq!(work.delivery.as_ref(), Some(delivery));
        assert_eq!(work.destination.as_ref(), Some(&destination));
        assert_eq!(work.payload.as_deref(), in_batch.then_some(payload));
        assert!(!work.suspended);
    }
}

/// A payload is kept for a week of a month's history. After that it is no longer shown while the
/// delivery is; an unfinished delivery still gets it.
#[tokio::test]
async fn a_payload_is_removed_after_its_retention_even_if_its_delivery_is_kept_longer() {
    let fixture = Fixture::new();
    let week = |delivery: Delivery| Delivery {
        payload_retention_days: 7,
        ..delivery
    };
    let large = Bytes::from(
        (0..60_000_u32)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes())
            .collect::<Vec<u8>>(),
    );
    for payload in [Bytes::from_static(PAYLOAD), large] {
        let mut deliveries: Vec<Delivery> = fan_out(&fixture, 2).into_iter().map(week).collect();
        deliveries
            .iter_mut()
            .for_each(|delivery| delivery.message.payload.size_bytes = payload.len() as u64);
        let content = store::Content::Bytes(payload.clone());
        fixture.store.commit(&deliveries, &content).await.unwrap();
        let succeeded = fixture.succeed(&deliveries[0]).await;
        assert_eq!(
            fixture.store.payload(&succeeded).await.unwrap(),
            Some(payload.clone())
        );
        fixture.advance(std::time::Duration::from_secs(7 * 86_400));
        let read_again = fixture.current(&succeeded).await;
        assert_eq!(read_again.payload_retention_days, 7);
        assert_eq!(fixture.store.payload(&read_again).await.unwrap(), None);
        assert_eq!(
            fixture.store.payload(&deliveries[1]).await.unwrap(),
            Some(payload)
        );
    }
}

/// An object that its submitter replaced after it was accepted is not delivered, and not read into
/// memory, whatever its size.
#[tokio::test]
async fn an_object_that_was_replaced_after_it_was_accepted_is_not_returned() {
    let fixture = Fixture::new();
    let objects = aws_sdk_s3::Client::new(&fixture.engines.sdk_config(Caller::unlimited("test")));
    let put = |bytes: Vec<u8>| {
        objects
            .put_object()
            .bucket("waybill-payloads")
            .key("source")
            .body(bytes.into())
            .send()
    };
    put(b"accepted".to_vec()).await.unwrap();
    let location = store::ObjectLocation {
        bucket: None,
        key: "source".to_owned(),
        version: None,
        etag: None,
        role: None,
    };
    let head = fixture.store.object_head(&location).await.unwrap();
    let pinned = location.clone().pinned(&head);
    assert_eq!(
        fixture
            .store
            .read_entire_object(&pinned, 8)
            .await
            .unwrap()
            .unwrap(),
        "accepted"
    );
    for replacement in [
        b"replaced".to_vec(),
        b"short".to_vec(),
        vec![b'x'; 20 << 20],
    ] {
        put(replacement).await.unwrap();
        assert_eq!(
            fixture.store.read_entire_object(&pinned, 8).await.unwrap(),
            None
        );
        assert!(
            fixture
                .store
                .stream_object(&pinned, 8)
                .await
                .unwrap()
                .is_none()
        );
    }
    // What was accepted before entity tags were kept is held to its length.
    assert_eq!(
        fixture
            .store
            .read_entire_object(&location, 8)
            .await
            .unwrap(),
        None
    );
}
