//! Tests access tokens that a mail server stops accepting before they expire.

use domain::Reason;
use domain::settle::Outcome;
use kit::sink::{Reply, Sink};
use kit::smtp::{MailServer, TOKEN};
use kit::tls::Authority;
use serde_json::json;

use crate::bench::{Bench, small};

fn granted(token: &str) -> Reply {
    let body = json!({"access_token": token, "token_type": "bearer", "expires_in": 3600});
    Reply::status(200).header("content-type", "application/json").body(body.to_string())
}

#[tokio::test]
async fn a_kept_token_that_is_refused_is_replaced_once_and_a_new_one_is_not() {
    let (server, sink) = (MailServer::start("none", &Authority::new()), Sink::start().await);
    let tokens = sink.path("/token");
    tokens.replies([granted("revoked"), granted(TOKEN), granted(TOKEN)]);
    let bench = Bench::with_tokens_of(server.port, &tokens.url()).await;

    let refused = bench.deliver(&small(), "{}").await;
    assert_eq!(refused.outcome, Outcome::ClientError(Reason::Authentication), "{}", refused.detail);
    assert_eq!(tokens.count(), 1, "a token that was just issued is not replaced");

    let delivered = bench.deliver(&small(), "{}").await;
    assert!(matches!(delivered.outcome, Outcome::Delivered(_)), "{delivered:?}");
    server.wait_for(1, std::time::Duration::from_secs(10)).await;
    assert_eq!((tokens.count(), server.mails().len()), (2, 1), "the kept one was replaced within the attempt");

    assert!(bench.check().await.ok);
    assert_eq!(tokens.count(), 2, "the new one is kept");
}
