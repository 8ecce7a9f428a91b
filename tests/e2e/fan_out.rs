//! A message to many destinations, which do not affect each other.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use kit::sink::{Route, Sink};
use kit::stack::{Destination, Organization};
use serde_json::json;

use crate::stage;

const DESTINATIONS: usize = 100;
const CREATED_AT_ONCE: usize = 8;
/// The time limit, which also allows for a busy machine.
const UNDELAYED_MAX: Duration = Duration::from_secs(20);

/// The behavior of one of the hundred receivers.
#[derive(Clone, Copy, PartialEq)]
enum Receiver {
    Well,
    DownOnce,
    Slow,
    Refusing,
    Broken,
}

impl Receiver {
    fn of(number: usize) -> Self {
        match number % 10 {
            1 => Self::DownOnce,
            3 => Self::Slow,
            5 => Self::Refusing,
            7 => Self::Broken,
            _ => Self::Well,
        }
    }

    fn prepare(self, route: &Route) {
        match self {
            Self::Well | Self::Refusing => {}
            Self::DownOnce => {
                route.answers([503, 200]);
            }
            Self::Slow => {
                route.delays(Duration::from_secs(2));
            }
            Self::Broken => {
                route.drops();
            }
        }
    }
}

async fn destination(
    acme: &Organization,
    sink: &Sink,
    closed: &Sink,
    number: usize,
) -> Destination {
    let path = format!("/{number}");
    let receiver = Receiver::of(number);
    let url = if receiver == Receiver::Refusing {
        closed.path(&path).url()
    } else {
        sink.path(&path).url()
    };
    acme.destination()
        .url(&url)
        .retries(1)
        .skip_check()
        .create()
        .await
}

/// Of a hundred destinations, some are down, slow or refuse the message. The
/// others are not affected, and each gets it at most once.
#[tokio::test]
async fn a_hundred_destinations_of_which_some_fail_are_each_on_their_own() {
    let (acme, sink, closed) = (
        stage::organization("Acme").await,
        Sink::start().await,
        Sink::start().await,
    );
    closed.refuses().await;
    let destinations: Vec<Destination> = stream::iter(0..DESTINATIONS)
        .map(|number| destination(&acme, &sink, &closed, number))
        .buffered(CREATED_AT_ONCE)
        .collect()
        .await;
    for number in 0..DESTINATIONS {
        Receiver::of(number).prepare(&sink.path(&format!("/{number}")));
    }
    let message = acme.send(&destinations, json!({"to": "all"})).await;
    let settled = message.settles().await;
    assert_eq!(settled["status"], "partially_failed");
    let deliveries = settled["deliveries"].as_array().unwrap();
    assert_eq!(deliveries.len(), DESTINATIONS);
    for (number, delivery) in deliveries.iter().enumerate() {
        let (status, attempts, requests) = match Receiver::of(number) {
            Receiver::Well | Receiver::Slow => ("succeeded", 1, 1..=1),
            Receiver::DownOnce => ("succeeded", 2, 2..=2),
            Receiver::Refusing => ("failed", 2, 0..=0),
            // A kept connection that closes without an answer is replaced once within the attempt.
            Receiver::Broken => ("failed", 2, 2..=4),
        };
        assert_eq!(
            (&delivery["status"], &delivery["attempt_count"]),
            (&json!(status), &json!(attempts)),
            "{delivery}"
        );
        assert_eq!(delivery["destination_id"], destinations[number].id);
        let received = sink.path(&format!("/{number}")).requests();
        assert!(
            requests.contains(&received.len()),
            "number {number}: {} requests",
            received.len()
        );
        assert!(
            received
                .iter()
                .all(|request| request.header("webhook-id") == delivery["id"].as_str())
        );
    }
}

#[tokio::test]
async fn a_slow_destination_with_a_backlog_does_not_delay_the_others() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let other = stage::organization("Other").await;
    let (slow, quick, elsewhere) = (
        sink.path("/slow"),
        sink.path("/quick"),
        sink.path("/elsewhere"),
    );
    let hanging = acme
        .destination()
        .webhook(&slow)
        .settings(json!({"timeout_seconds": 60}))
        .retries(0)
        .create()
        .await;
    let same = acme.destination().webhook(&quick).create().await;
    let theirs = other.destination().webhook(&elsewhere).create().await;
    slow.hangs();
    let message = json!({"event_type": "back.log", "payload": 1, "destination_ids": [hanging.id]});
    acme.post(
        "/v1/messages/batch",
        json!({"messages": vec![message; 100]}),
    )
    .await
    .ok(202);
    for number in 0..5 {
        acme.send([&same], json!(number)).await;
        other.send([&theirs], json!(number)).await;
    }
    // Whoever waited for the slow one would wait for a minute.
    quick.wait_for(5, UNDELAYED_MAX).await;
    elsewhere.wait_for(5, UNDELAYED_MAX).await;
}
