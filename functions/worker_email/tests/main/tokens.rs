//! Tests access tokens that a mail server stops accepting before they expire.

use std::time::Duration;

use domain::Reason;
use domain::audit::AuditEvent;
use domain::id::IdMint;
use domain::settle::Outcome;
use kit::sink::{Reply, Sink};
use kit::smtp::{MailServer, TOKEN};
use kit::tls::Authority;
use runtime::platform::{system_clock, system_random};
use serde_json::json;
use worker::Attempted;

use crate::bench::{Bench, small};

fn granted(token: &str) -> Reply {
    let body = json!({"access_token": token, "token_type": "bearer", "expires_in": 3600});
    Reply::status(200)
        .header("content-type", "application/json")
        .body(body.to_string())
}

#[tokio::test]
async fn a_kept_token_that_is_refused_is_replaced_once_and_a_new_one_is_not() {
    let (server, sink) = (
        MailServer::start("none", &Authority::new()),
        Sink::start().await,
    );
    let tokens = sink.path("/token");
    tokens.replies([granted("revoked"), granted(TOKEN), granted(TOKEN)]);
    let bench = Bench::with_tokens_of(server.port, &tokens.url()).await;

    let refused = bench.deliver(&small(), "{}").await;
    assert_eq!(
        refused.outcome,
        Outcome::ClientError(Reason::Authentication),
        "{}",
        refused.detail
    );
    assert_eq!(
        tokens.count(),
        1,
        "a token that was just issued is not replaced"
    );

    let delivered = bench.deliver(&small(), "{}").await;
    assert!(
        matches!(delivered.outcome, Outcome::Delivered(_)),
        "{delivered:?}"
    );
    server.wait_for(1, Duration::from_secs(10)).await;
    assert_eq!(
        (tokens.count(), server.mails().len()),
        (2, 1),
        "the kept one was replaced within the attempt"
    );

    assert!(bench.check().await.ok);
    assert_eq!(tokens.count(), 2, "the new one is kept");
}

/// A grant whose refresh token replaces the one of the request. A token of 30 seconds is not
/// cached.
fn rotated(refresh_token: &str, expires_in: u32) -> Reply {
    let body = json!({"access_token": TOKEN, "token_type": "bearer", "expires_in": expires_in,
        "refresh_token": refresh_token});
    Reply::status(200)
        .header("content-type", "application/json")
        .body(body.to_string())
}

fn is_delivered(attempted: &Attempted) -> bool {
    matches!(attempted.outcome, Outcome::Delivered(_))
}

#[tokio::test]
async fn a_refresh_token_that_could_not_be_stored_is_used_and_stored_by_the_next_attempt() {
    let (server, sink) = (
        MailServer::start("none", &Authority::new()),
        Sink::start().await,
    );
    let tokens = sink.path("/token");
    tokens.replies([
        rotated("second", 30),
        rotated("third", 30),
        rotated("fourth", 30),
    ]);
    let mut bench = Bench::with_refresh_token_of(server.port, &tokens.url()).await;
    for is_stored in [false, false, true] {
        // A conversation is reused by the revision, and needs no token.
        bench.destination = bench.destination.revised(system_clock().now());
        if is_stored {
            bench.store_destination().await;
        }
        assert!(is_delivered(&bench.deliver(&small(), "{}").await));
    }
    let sent: Vec<String> = tokens
        .requests()
        .iter()
        .map(|request| request.text().to_owned())
        .collect();
    assert_eq!(sent.len(), 3);
    for (sent, token) in sent.iter().zip(["first", "second", "third"]) {
        assert!(sent.contains(&format!("refresh_token={token}")), "{sent}");
    }
    assert_eq!(bench.stored_refresh_token().await, "fourth");
}

#[tokio::test]
async fn a_changed_refresh_token_is_stored_while_others_change_the_destination() {
    let (server, sink) = (
        MailServer::start("none", &Authority::new()),
        Sink::start().await,
    );
    let tokens = sink.path("/token");
    tokens.replies([rotated("second", 3600)]);
    let bench = Bench::with_refresh_token_of(server.port, &tokens.url()).await;
    let event = bench.store_destination().await;
    let store = bench.store();
    let (organization, id) = (bench.destination.organization_id, bench.destination.id);
    let until = tokio::time::Instant::now() + Duration::from_millis(700);
    let changing = tokio::spawn(async move {
        let mint = IdMint::new([7; 32], system_clock(), system_random());
        while tokio::time::Instant::now() < until {
            let before = store.destination(organization, id).await.unwrap().unwrap();
            let after = before.revised(system_clock().now());
            let event = AuditEvent {
                id: mint.mint(organization, 1),
                ..event.clone()
            };
            store
                .save_destination(&after, before.revision(), &event)
                .await
                .unwrap();
        }
    });
    assert!(is_delivered(&bench.deliver(&small(), "{}").await));
    changing.await.unwrap();
    assert_eq!(bench.stored_refresh_token().await, "second");
}

/// The next attempt has the new refresh token, for which the access token is good too.
#[tokio::test]
async fn an_access_token_is_kept_when_its_refresh_token_changes() {
    let (server, sink) = (
        MailServer::start("none", &Authority::new()),
        Sink::start().await,
    );
    let tokens = sink.path("/token");
    tokens.replies([rotated("second", 3600), rotated("third", 3600)]);
    let mut bench = Bench::with_refresh_token_of(server.port, &tokens.url()).await;
    bench.store_destination().await;
    for _ in 0..2 {
        assert!(is_delivered(&bench.deliver(&small(), "{}").await));
        bench.destination = bench.stored().await;
        // A conversation is reused by the revision, and would hide a token that is requested again.
        for _ in 0..100 {
            bench.destination = bench.destination.revised(system_clock().now());
        }
    }
    assert_eq!(
        (tokens.count(), bench.stored_refresh_token().await),
        (1, "second".to_owned())
    );
}
