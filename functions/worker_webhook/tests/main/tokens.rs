//! Tests access tokens that a receiver does not accept.

use std::time::Duration;

use domain::Reason;
use domain::credentials::CredentialKind;
use domain::destination::Destination;
use domain::settle::Outcome;
use kit::sink::{Reply, Route};
use serde_json::json;

use crate::Bench;

fn granted(token: &str) -> Reply {
    let body = json!({"access_token": token, "token_type": "bearer", "expires_in": 3600});
    Reply::status(200)
        .header("content-type", "application/json")
        .body(body.to_string())
}

/// Returns a destination that signs in with tokens from this route.
async fn destination(bench: &Bench, tokens: &Route) -> Destination {
    let url = tokens.url();
    let mut destination = bench.destination().await;
    let open = [("token_url", &*url), ("client_id", "app")];
    destination.credentials = bench
        .credentials(
            CredentialKind::Oauth2ClientCredentials,
            &open,
            ("client_secret", "s3cret"),
        )
        .await;
    destination
}

#[tokio::test]
async fn a_receiver_that_always_answers_401_gets_one_request_an_attempt() {
    let bench = Bench::new().await;
    let tokens = bench.sink.path("/token");
    tokens.replies((0..10).map(|number| granted(&format!("t0ken-{number}"))));
    let destination = destination(&bench, &tokens).await;
    let requests = || {
        bench
            .sink
            .requests()
            .iter()
            .filter(|request| request.header("webhook-id").is_some())
            .count()
    };
    bench.sink.answers([401; 10]);
    for attempt in 1..=3 {
        let attempted = bench.deliver(&destination).await;
        assert_eq!(
            attempted.outcome,
            Outcome::ClientError(Reason::Authentication),
            "{}",
            attempted.detail
        );
        assert_eq!(
            (requests(), tokens.count()),
            (attempt, attempt),
            "a token that was just issued is not replaced"
        );
    }
}

#[tokio::test]
async fn a_token_for_which_an_attempt_waited_is_not_replaced() {
    let bench = Bench::new().await;
    let tokens = bench.sink.path("/token");
    let slow = granted("t0ken").after(Duration::from_millis(300));
    tokens.replies([slow, granted("unneeded"), granted("unneeded")]);
    let destination = destination(&bench, &tokens).await;
    bench.sink.answers([401; 4]);
    let both = tokio::join!(bench.deliver(&destination), bench.deliver(&destination));
    for attempted in [both.0, both.1] {
        assert_eq!(
            attempted.outcome,
            Outcome::ClientError(Reason::Authentication),
            "{}",
            attempted.detail
        );
    }
    let sent = bench.sink.requests();
    let sent = sent
        .iter()
        .filter(|request| request.header("webhook-id").is_some());
    assert_eq!((sent.count(), tokens.count()), (2, 1));
}

#[tokio::test]
async fn a_cached_token_that_is_refused_is_replaced_once_and_the_detail_says_so() {
    let bench = Bench::new().await;
    let tokens = bench.sink.path("/token");
    tokens.replies([
        granted("t0ken-1"),
        granted("t0ken-2"),
        granted("t0ken-3"),
        Reply::status(500),
    ]);
    let destination = destination(&bench, &tokens).await;
    bench.sink.answers([200, 401, 401, 200, 401, 200]);
    assert!(matches!(
        bench.deliver(&destination).await.outcome,
        Outcome::Delivered(_)
    ));
    let refused = bench.deliver(&destination).await;
    assert_eq!(
        refused.outcome,
        Outcome::ClientError(Reason::Authentication),
        "{}",
        refused.detail
    );
    assert!(
        refused.detail.contains("the second request")
            && refused.detail.contains("a cached access token"),
        "{}",
        refused.detail
    );
    assert_eq!(tokens.count(), 2);
    assert!(matches!(
        bench.deliver(&destination).await.outcome,
        Outcome::Delivered(_)
    ));
    assert_eq!(tokens.count(), 3);
    let unrenewed = bench.deliver(&destination).await;
    assert_eq!(
        unrenewed.outcome,
        Outcome::Retry(Reason::ServerError),
        "{}",
        unrenewed.detail
    );
    assert_eq!(
        unrenewed.response.map(|response| response.status),
        Some(401),
        "the request that was sent is recorded"
    );
    assert!(
        unrenewed.detail.contains("a cached access token"),
        "{}",
        unrenewed.detail
    );
}

#[tokio::test]
async fn a_check_replaces_a_cached_token_that_is_refused_as_a_delivery_does() {
    let bench = Bench::new().await;
    let tokens = bench.sink.path("/token");
    tokens.replies([granted("t0ken-1"), granted("t0ken-2")]);
    let destination = destination(&bench, &tokens).await;
    bench.sink.answers([200, 401, 200]);
    assert!(bench.check(&destination).await.ok);
    let report = bench.check(&destination).await;
    assert!(report.ok, "{report:?}");
    assert_eq!(tokens.count(), 2);
}
