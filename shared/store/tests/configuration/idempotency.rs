use std::time::Duration;

use domain::id::OrganizationId;
use serde_json::{Value, json};
use store::{Claim, IdempotencyClaim};

use crate::fixture::Fixture;

const LEASE: Duration = Duration::from_secs(40);

/// A request with the same key each time, which commits `message`.
fn request(
    fixture: &Fixture,
    organization: OrganizationId,
    request_hash: &str,
    message: &str,
) -> IdempotencyClaim {
    IdempotencyClaim {
        organization,
        key_hash: "k".to_owned(),
        request_hash: request_hash.to_owned(),
        lease_until: fixture.now().plus(LEASE),
        recorded: json!({ "message": message }),
    }
}

async fn claims(fixture: &Fixture, claim: &IdempotencyClaim) -> Claim {
    fixture.store.claim(claim, fixture.now()).await.unwrap()
}

fn running(claim: &IdempotencyClaim) -> Claim {
    Claim::Running {
        request_hash: claim.request_hash.clone(),
        recorded: claim.recorded.clone(),
    }
}

fn finished(claim: &IdempotencyClaim, response: Option<Value>) -> Claim {
    Claim::Finished {
        request_hash: claim.request_hash.clone(),
        recorded: claim.recorded.clone(),
        response,
    }
}

#[tokio::test]
async fn one_of_many_requests_at_once_is_the_first() {
    let fixture = Fixture::new();
    let organization = fixture.ids.organization();
    let requests: Vec<_> = (0..20)
        .map(|n| request(&fixture, organization, "same", &n.to_string()))
        .collect();
    let claimed =
        futures_util::future::join_all(requests.iter().map(|request| claims(&fixture, request)))
            .await;
    let first = claimed
        .iter()
        .position(|claim| *claim == Claim::New)
        .unwrap();
    assert_eq!(
        claimed
            .iter()
            .filter(|claim| **claim == running(&requests[first]))
            .count(),
        19
    );
    assert_eq!(
        claims(&fixture, &requests[first]).await,
        Claim::New,
        "repeated by the SDK, it is still the first"
    );
}

#[tokio::test]
async fn a_finished_request_is_answered_as_it_was() {
    let fixture = Fixture::new();
    let organization = fixture.ids.organization();
    let (first, repeat) = (
        request(&fixture, organization, "same", "1"),
        request(&fixture, organization, "same", "2"),
    );
    assert_eq!(claims(&fixture, &first).await, Claim::New);
    assert_eq!(
        fixture.store.find_claim(organization, "k").await.unwrap(),
        Some(running(&first))
    );
    let response = json!({"status": 201, "body": {"id": "dst_1"}});
    fixture
        .store
        .finish_claim(organization, "k", Some(response.clone()))
        .await
        .unwrap();
    assert_eq!(
        claims(&fixture, &repeat).await,
        finished(&first, Some(response.clone()))
    );
    fixture
        .store
        .release_claim(organization, "k")
        .await
        .unwrap();
    assert_eq!(
        fixture.store.find_claim(organization, "k").await.unwrap(),
        Some(finished(&first, Some(response)))
    );
}

#[tokio::test]
async fn a_released_key_is_free() {
    let fixture = Fixture::new();
    let organization = fixture.ids.organization();
    let (first, next) = (
        request(&fixture, organization, "one", "1"),
        request(&fixture, organization, "other", "2"),
    );
    assert_eq!(claims(&fixture, &first).await, Claim::New);
    fixture
        .store
        .release_claim(organization, "k")
        .await
        .unwrap();
    assert_eq!(
        fixture.store.find_claim(organization, "k").await.unwrap(),
        None
    );
    fixture
        .store
        .finish_claim(organization, "k", None)
        .await
        .unwrap();
    assert_eq!(claims(&fixture, &next).await, Claim::New);
}

#[tokio::test]
async fn one_repeat_takes_over_what_stopped_half_way() {
    let fixture = Fixture::new();
    let organization = fixture.ids.organization();
    let first = request(&fixture, organization, "same", "1");
    assert_eq!(claims(&fixture, &first).await, Claim::New);
    fixture.advance(LEASE);
    let other = request(&fixture, organization, "other", "2");
    assert_eq!(
        claims(&fixture, &other).await,
        running(&first),
        "another request does not take over"
    );

    let repeats: Vec<_> = (3..13)
        .map(|n| request(&fixture, organization, "same", &n.to_string()))
        .collect();
    let claimed =
        futures_util::future::join_all(repeats.iter().map(|repeat| claims(&fixture, repeat))).await;
    let took_over = Claim::TakenOver {
        recorded: first.recorded.clone(),
    };
    assert_eq!(
        claimed.iter().filter(|claim| **claim == took_over).count(),
        1
    );
    assert_eq!(
        claimed
            .iter()
            .filter(|claim| **claim == running(&first))
            .count(),
        9
    );
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let fixture = Fixture::new();
    let organization = fixture.ids.organization();
    claims(&fixture, &request(&fixture, organization, "one", "1")).await;
    fixture
        .store
        .finish_claim(organization, "k", None)
        .await
        .unwrap();
    fixture.advance(Duration::from_secs(24 * 3600 - 1));
    let next = request(&fixture, organization, "other", "2");
    assert!(matches!(
        claims(&fixture, &next).await,
        Claim::Finished { .. }
    ));
    fixture.advance(Duration::from_secs(1));
    assert_eq!(
        fixture.store.find_claim(organization, "k").await.unwrap(),
        None
    );
    assert_eq!(claims(&fixture, &next).await, Claim::New);
}

#[tokio::test]
async fn the_same_key_of_two_organizations_is_two() {
    let fixture = Fixture::new();
    let (ours, theirs) = (fixture.ids.organization(), fixture.ids.organization());
    assert_eq!(
        claims(&fixture, &request(&fixture, ours, "same", "1")).await,
        Claim::New
    );
    assert_eq!(
        claims(&fixture, &request(&fixture, theirs, "same", "1")).await,
        Claim::New
    );
}

#[tokio::test]
async fn a_response_too_long_to_keep_is_left_out() {
    let fixture = Fixture::new();
    let organization = fixture.ids.organization();
    let first = request(&fixture, organization, "same", "1");
    claims(&fixture, &first).await;
    fixture
        .store
        .finish_claim(organization, "k", Some(json!("x".repeat(400_000))))
        .await
        .unwrap();
    assert_eq!(
        fixture.store.find_claim(organization, "k").await.unwrap(),
        Some(finished(&first, None))
    );
}
