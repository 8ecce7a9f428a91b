//! The sink responds as scripted.

use kit::sink::{Reply, Sink};
use std::time::Duration;

#[expect(
    clippy::disallowed_methods,
    reason = "the test stands outside of Waybill"
)]
fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("a client")
}

async fn statuses(client: &reqwest::Client, url: &str, requests: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..requests {
        statuses.push(
            client
                .post(url)
                .body("{}")
                .send()
                .await
                .map_or(0, |answer| answer.status().as_u16()),
        );
    }
    statuses
}

fn install_provider() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

#[tokio::test]
async fn plays_many_receivers() {
    install_provider();
    let client = client();
    let sink = Sink::start().await;
    let (a, b) = (sink.path("/a"), sink.path("/b"));
    a.answers([503, 200]);
    b.replies([Reply::drop(), Reply::status(429).header("retry-after", "2")]);
    sink.answers([418]);

    assert_eq!(statuses(&client, &a.url(), 3).await, [503, 200, 200]);
    assert_eq!(statuses(&client, &b.url(), 3).await, [0, 429, 429]);
    assert_eq!(statuses(&client, &sink.url(), 1).await, [418]);

    let all = sink.wait_for(7, Duration::from_secs(1)).await;
    assert_eq!(all.len(), 7);
    assert_eq!(a.count(), 3);
    let first = &a.requests()[0];
    assert_eq!(
        (first.method.as_str(), first.path.as_str(), first.text()),
        ("POST", "/a", "{}")
    );
    assert_eq!(first.header("Content-Length"), Some("2"));
    a.forget();
    assert_eq!((a.count(), sink.count()), (0, 4));
}

#[tokio::test]
async fn closes_and_opens_its_port() {
    install_provider();
    let client = client();
    let sink = Sink::start().await;
    assert_eq!(statuses(&client, &sink.url(), 1).await, [200]);
    sink.refuses().await;
    assert_eq!(statuses(&client, &sink.url(), 1).await, [0]);
    assert_eq!(sink.count(), 1);
    sink.accepts().await;
    assert_eq!(statuses(&client, &sink.url(), 1).await, [200]);
}

#[tokio::test]
#[should_panic(expected = "got 0 of 1 requests")]
async fn says_what_did_not_come() {
    Sink::start()
        .await
        .wait_for(1, Duration::from_millis(20))
        .await;
}
