//! What a message costs: three write units from commit to settle (docs/ARCHITECTURE.md, Data).

use bytes::Bytes;
use domain::delivery::Delivery;
use local_aws::Recorder;
use store::SentBody;

use super::words::{PAYLOAD, facts, info};
use crate::fixture::Fixture;

fn units(recorder: &Recorder) -> f64 {
    recorder
        .take()
        .iter()
        .map(local_aws::Call::write_units)
        .sum()
}

/// Commits and settles a message with this payload and returns the units of each.
async fn cost(fixture: &Fixture, recorder: &Recorder, payload: &[u8]) -> (f64, f64, Delivery) {
    let organization = fixture.ids.organization();
    let mut deliveries = fixture.message_to(organization, &[fixture.ids.mint(organization, 1)]);
    deliveries[0].message.payload = info(payload);
    recorder.take();
    fixture
        .store
        .commit(
            &deliveries,
            &store::Content::Bytes(Bytes::copy_from_slice(payload)),
        )
        .await
        .unwrap();
    let committed = units(recorder);
    let settled = fixture.succeed(&deliveries[0]).await;
    (committed, units(recorder), settled)
}

#[tokio::test]
async fn an_ordinary_message_costs_three_write_units() {
    let fixture = Fixture::new();
    let recorder = fixture.engines.record();
    let (committed, settled, delivery) = cost(&fixture, &recorder, PAYLOAD).await;
    assert_eq!((committed, settled), (2.0, 1.0));
    assert_eq!(fixture.current(&delivery).await, delivery);
}

/// Incompressible bytes, so that placement depends on the length alone.
fn noise(length: usize) -> Vec<u8> {
    let mut chance = fastrand::Rng::with_seed(length as u64);
    std::iter::repeat_with(|| chance.u8(..))
        .take(length)
        .collect()
}

#[tokio::test]
async fn an_inline_payload_costs_nothing_and_a_larger_one_a_write_of_its_own() {
    let fixture = Fixture::new();
    let recorder = fixture.engines.record();
    for length in (0..950).step_by(37) {
        let (committed, settled, delivery) = cost(&fixture, &recorder, &noise(length)).await;
        assert_eq!(settled, 1.0, "settling one with {length} bytes");
        assert!(
            committed == 2.0 || committed == 3.0 && length > 300,
            "{committed} for {length} bytes"
        );
        assert_eq!(
            fixture.store.payload(&delivery).await.unwrap().unwrap(),
            noise(length)
        );
    }
}

#[tokio::test]
async fn a_body_made_of_the_payload_costs_a_write_unit_for_each_kibibyte_and_a_long_one_an_object()
{
    let fixture = Fixture::new();
    let recorder = fixture.engines.record();
    for (length, expected) in [(200, 1.0), (3_000, 4.0), (30_000, 1.0)] {
        let organization = fixture.ids.organization();
        let delivery = fixture
            .message_to(organization, &[fixture.ids.mint(organization, 1)])
            .remove(0);
        let body = SentBody {
            bytes: Bytes::from(noise(length)),
            content_type: "application/json".to_owned(),
        };
        recorder.take();
        fixture.store.keep_body(&delivery, &body).await.unwrap();
        assert_eq!(units(&recorder), expected, "{length} bytes");
        let stored = fixture.store.sent_body(&delivery).await.unwrap().unwrap();
        assert_eq!(
            (stored.sha256, stored.size_bytes),
            (body.sha256(), length as u64)
        );
        fixture.store.erase_payload(&delivery).await.unwrap();
        assert_eq!(fixture.store.sent_body(&delivery).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_reference_costs_its_index_and_trouble_costs_its_own() {
    let fixture = Fixture::new();
    let organization = fixture.ids.organization();
    let mut deliveries = fixture.message_to(organization, &[fixture.ids.mint(organization, 1)]);
    deliveries[0].message = domain::message::MessageFacts {
        reference: Some("invoice-2025-1042".to_owned()),
        ..facts()
    };
    let recorder = fixture.engines.record();
    fixture
        .store
        .commit(
            &deliveries,
            &store::Content::Bytes(Bytes::from_static(PAYLOAD)),
        )
        .await
        .unwrap();
    assert_eq!(
        units(&recorder),
        3.0,
        "the item, by_destination, by_reference"
    );
    fixture
        .fail(&deliveries[0], std::time::Duration::from_secs(1))
        .await;
    assert_eq!(
        units(&recorder),
        5.0,
        "the item, due, attention_org, attention_dst, trouble"
    );
}
