//! The times of retries, measured at the receiver.

use std::time::Duration;

use kit::sink::{Received, Reply, Sink};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::stage;

const SOON: Duration = Duration::from_secs(10);
/// The default policy's waits, in seconds.
const WAITS: [f64; 5] = [1.0, 2.0, 4.0, 8.0, 16.0];
/// The largest share of a wait that is added at random.
const JITTER: f64 = 0.1;
/// A retry of an idle Waybill is at most this late.
const LATE_MAX: f64 = 1.0;
/// A machine that is busy with other tests adds this, at most.
const BUSY_MAX: f64 = 3.0;

fn gaps(requests: &[Received]) -> Vec<f64> {
    requests
        .windows(2)
        .map(|pair| (pair[1].at - pair[0].at).as_secs_f64())
        .collect()
}

/// A retry is never early, and at most this much later than its wait and jitter.
#[track_caller]
fn assert_waits(gaps: &[f64], waits: &[f64], late_max: f64) {
    assert_eq!(gaps.len(), waits.len(), "{gaps:?}");
    for (gap, wait) in gaps.iter().zip(waits) {
        // The receiver measures from arrival to arrival, the wait begins with the answer: a
        // millisecond is lost to rounding.
        assert!(
            *gap >= wait - 0.001 && *gap <= wait * (1.0 + JITTER) + late_max,
            "{gaps:?} for {waits:?}"
        );
    }
}

#[tokio::test]
async fn by_default_five_retries_follow_after_1_2_4_8_and_16_seconds_then_it_has_failed_and_is_exhausted()
 {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    // Three, one after the other: a busy machine delays one here and one there, a late Waybill
    // would delay them all.
    let (mut messages, mut receivers) = (Vec::new(), Vec::new());
    for path in ["/one", "/two", "/three"] {
        let receiver = sink.path(path);
        let destination = acme.destination().webhook(&receiver).create().await;
        assert_eq!(destination.created["retry_policy"]["max_retries"], 5);
        receiver.answers([503]);
        messages.push(acme.send([&destination], json!(1)).await);
        receivers.push(receiver);
        sleep(Duration::from_millis(300)).await;
    }
    let mut least = vec![f64::INFINITY; WAITS.len()];
    for (message, receiver) in messages.iter().zip(&receivers) {
        let delivery = message.delivery(0).settles().await;
        assert_exhausted(&delivery);
        assert_eq!(message.read().await["status"], "failed");
        let requests = receiver.requests();
        for (number, request) in requests.iter().enumerate() {
            assert_eq!(
                request.header("waybill-attempt"),
                Some(&*(number + 1).to_string())
            );
            assert_eq!(request.header("webhook-id"), delivery["id"].as_str());
            assert_eq!(request.text(), "1");
        }
        let gaps = gaps(&requests);
        assert_waits(&gaps, &WAITS, BUSY_MAX);
        least
            .iter_mut()
            .zip(gaps)
            .for_each(|(least, gap)| *least = least.min(gap));
    }
    assert_waits(&least, &WAITS, LATE_MAX);
}

#[track_caller]
fn assert_exhausted(delivery: &Value) {
    assert_eq!(
        (&delivery["status"], &delivery["reason"]),
        (&json!("failed"), &json!("server_error"))
    );
    assert_eq!(
        (&delivery["exhausted"], &delivery["attempt_count"]),
        (&json!(true), &json!(6))
    );
    let attempts = delivery["attempts"].as_array().unwrap();
    let column = |member: &str| -> Vec<Value> {
        attempts
            .iter()
            .map(|attempt| attempt[member].clone())
            .collect()
    };
    assert_eq!(column("number"), [1, 2, 3, 4, 5, 6]);
    assert_eq!(
        column("trigger"),
        ["first", "retry", "retry", "retry", "retry", "retry"]
    );
}

#[tokio::test]
async fn no_retries_means_one_attempt() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).retries(0).create().await;
    sink.answers([500]);
    let delivery = acme
        .send([&destination], json!(1))
        .await
        .delivery(0)
        .settles()
        .await;
    assert_eq!(
        (&delivery["status"], &delivery["exhausted"]),
        (&json!("failed"), &json!(true))
    );
    assert_eq!(
        (delivery["attempt_count"].as_u64(), sink.count()),
        (Some(1), 1)
    );
}

/// A policy of the customer's own, and a receiver that recovers.
#[tokio::test]
async fn a_destination_chooses_its_own_pace_and_recovers_when_its_receiver_does() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let policy = json!({"max_retries": 10, "initial_seconds": 2, "multiplier": 3, "max_seconds": 3,
        "jitter": 0});
    let destination = acme
        .destination()
        .webhook(&sink)
        .retry(policy)
        .create()
        .await;
    sink.answers([500, 404, 408, 200]);
    let delivery = acme
        .send([&destination], json!(1))
        .await
        .delivery(0)
        .settles()
        .await;
    assert_waits(&gaps(&sink.requests()), &[2.0, 3.0, 3.0], BUSY_MAX);
    assert_eq!(
        (
            &delivery["status"],
            &delivery["reason"],
            &delivery["exhausted"]
        ),
        (&json!("succeeded"), &Value::Null, &json!(false))
    );
    let reasons: Vec<&Value> = delivery["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| &attempt["reason"])
        .collect();
    assert_eq!(
        reasons,
        [
            &json!("server_error"),
            &json!("rejected"),
            &json!("timeout"),
            &Value::Null
        ]
    );
}

#[tokio::test]
async fn retry_after_in_seconds_is_waited_for_when_it_is_longer() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let busy = |seconds: &str| Reply::status(429).header("retry-after", seconds);
    sink.replies([busy("3"), busy("0"), Reply::status(200)]);
    let delivery = acme
        .send([&destination], json!(1))
        .await
        .delivery(0)
        .settles()
        .await;
    assert_waits(&gaps(&sink.requests()), &[3.0, 2.0], BUSY_MAX);
    assert_eq!(delivery["attempts"][0]["reason"], "rate_limited");
    assert_eq!(delivery["status"], "succeeded");
    assert_eq!(destination.health().await["consecutive_failures"], 0);
}

#[tokio::test]
async fn retry_after_as_a_date_is_waited_for_when_it_is_longer() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let soon = jiff::Timestamp::try_from(in_seconds(6)).unwrap();
    let date = soon.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    sink.replies([
        Reply::status(503).header("retry-after", &date),
        Reply::status(200),
    ]);
    let delivery = acme
        .send([&destination], json!(1))
        .await
        .delivery(0)
        .settles()
        .await;
    assert_eq!(delivery["attempts"][0]["reason"], "rate_limited");
    let second = jiff::Timestamp::try_from(sink.requests()[1].wall).unwrap();
    // The date has whole seconds.
    let late = second.as_millisecond() - soon.as_second() * 1000;
    assert!((0..=4_000).contains(&late), "{late} ms after {date}");
}

/// Returns the time in this many seconds.
#[expect(
    clippy::disallowed_methods,
    reason = "a receiver is outside of Waybill and has a clock of its own"
)]
fn in_seconds(seconds: u64) -> std::time::SystemTime {
    std::time::SystemTime::now() + Duration::from_secs(seconds)
}

/// A wait is visible and bounded: 12 h at most.
#[tokio::test]
async fn retry_after_is_waited_for_up_to_twelve_hours() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    sink.replies([Reply::status(429).header("retry-after", "1000000")]);
    let delivery = acme
        .send([&destination], json!(1))
        .await
        .delivery(0)
        .reaches("retrying")
        .await;
    let time = |value: &Value| {
        value
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap()
            .as_second()
    };
    let wait = time(&delivery["next_attempt_at"]) - time(&delivery["updated_at"]);
    assert!((43_190..=43_210).contains(&wait), "{wait} s");
}

/// A schedule replaces the formula. The policy of the organization applies to destinations without
/// a policy.
#[tokio::test]
async fn a_schedule_is_waited_as_it_is_listed_and_the_organizations_holds_for_destinations_without_one()
 {
    let (acme, sink) = (stage::organization("Schedules").await, Sink::start().await);
    acme.settings(json!({"retry_policy": {"schedule_seconds": [2, 1], "jitter": 0}}))
        .await
        .ok(200);
    let (listed, own, patient) = (
        sink.path("/listed"),
        sink.path("/own"),
        sink.path("/patient"),
    );
    let inherits = acme.destination().webhook(&listed).create().await;
    assert_eq!(
        inherits.created["retry_policy"]["schedule_seconds"],
        json!([2, 1])
    );
    assert_eq!(inherits.created["retry_policy"]["max_retries"], 2);
    let has_its_own = acme.destination().webhook(&own).retries(0).create().await;
    let is_patient = acme
        .destination()
        .webhook(&patient)
        .retry(json!({"preset": "patient", "jitter": 0}))
        .create()
        .await;
    assert_eq!(
        is_patient.created["retry_policy"],
        json!({"preset": "patient", "max_retries": 9, "jitter": 0.0, "retry_client_errors": true})
    );
    for receiver in [&listed, &own, &patient] {
        receiver.answers([503]);
    }
    let message = acme
        .send([&inherits, &has_its_own, &is_patient], json!(1))
        .await;
    let delivery = message.delivery(0).settles().await;
    assert_eq!(
        (&delivery["exhausted"], &delivery["attempt_count"]),
        (&json!(true), &json!(3))
    );
    assert_waits(&gaps(&listed.requests()), &[2.0, 1.0], BUSY_MAX);
    assert_eq!(message.delivery(1).settles().await["attempt_count"], 1);
    let second = patient.wait_for(2, SOON).await;
    assert_waits(&gaps(&second), &[5.0], BUSY_MAX);

    // Without a policy of its own or of its organization, it has the default policy again.
    has_its_own.change(json!({"retry_policy": null})).await;
    assert_eq!(
        has_its_own.read().await["retry_policy"]["schedule_seconds"],
        json!([2, 1])
    );
    acme.settings(json!({"retry_policy": null})).await.ok(200);
    assert_eq!(has_its_own.read().await["retry_policy"]["max_retries"], 5);
    let refused = acme
        .settings(json!({"retry_policy": {"schedule_seconds": [1, 86401], "max_retries": 1}}))
        .await;
    refused.problem(422, "validation_failed");
    assert_eq!(
        refused.mistakes(),
        ["/settings/retry_policy/schedule_seconds/1"]
    );
}

/// A wait that has begun is not changed.
#[tokio::test]
async fn a_policy_of_the_organization_that_changes_while_a_delivery_waits_holds_from_its_next_attempt_on()
 {
    let (acme, sink) = (
        stage::organization("Changed policy").await,
        Sink::start().await,
    );
    let policy = async |schedule: Value| {
        acme.settings(json!({"retry_policy": {"schedule_seconds": schedule, "jitter": 0}}))
            .await
            .ok(200);
    };
    policy(json!([3, 600, 600])).await;
    let (shortened, lengthened) = (sink.path("/shortened"), sink.path("/lengthened"));
    let destination = acme.destination().webhook(&shortened).create().await;
    shortened.answers([503]);
    let delivery = acme.send([&destination], json!(1)).await.delivery(0);
    let waits = delivery.reaches("retrying").await;
    policy(json!([1])).await;
    assert_eq!(
        delivery.read().await["next_attempt_at"],
        waits["next_attempt_at"]
    );
    let failed = delivery.settles().await;
    assert_eq!(
        (&failed["attempt_count"], &failed["exhausted"]),
        (&json!(2), &json!(true)),
        "one retry is left of three"
    );
    assert_waits(&gaps(&shortened.requests()), &[3.0], BUSY_MAX);

    policy(json!([2])).await;
    let destination = acme.destination().webhook(&lengthened).create().await;
    lengthened.answers([503]);
    let delivery = acme.send([&destination], json!(2)).await.delivery(0);
    delivery.reaches("retrying").await;
    policy(json!([600, 1, 1])).await;
    let failed = delivery.settles().await;
    assert_eq!(
        (&failed["attempt_count"], &failed["exhausted"]),
        (&json!(4), &json!(true)),
        "three retries instead of one"
    );
    assert_waits(&gaps(&lengthened.requests()), &[2.0, 1.0, 1.0], BUSY_MAX);
}

/// `410 Gone` ends a delivery without retries.
#[tokio::test]
async fn a_410_ends_the_delivery_without_retries() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    sink.answers([410]);
    let delivery = acme
        .send([&destination], json!(1))
        .await
        .delivery(0)
        .settles()
        .await;
    assert_eq!(
        (&delivery["status"], &delivery["reason"]),
        (&json!("failed"), &json!("rejected"))
    );
    assert_eq!((&delivery["exhausted"], sink.count()), (&json!(false), 1));
}

/// Client errors are retried unless the customer says otherwise.
#[tokio::test]
async fn client_errors_end_a_delivery_whose_policy_does_not_retry_them() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    for (status, reason) in [
        (400, "rejected"),
        (401, "authentication"),
        (403, "authorization"),
    ] {
        let receiver = sink.path(&format!("/{status}"));
        let destination = acme
            .destination()
            .webhook(&receiver)
            .retry(json!({"retry_client_errors": false}))
            .create()
            .await;
        receiver.answers([status]);
        let delivery = acme
            .send([&destination], json!(1))
            .await
            .delivery(0)
            .settles()
            .await;
        assert_eq!(
            (&delivery["status"], &delivery["reason"]),
            (&json!("failed"), &json!(reason)),
            "{status}"
        );
        assert_eq!(
            (&delivery["exhausted"], receiver.count()),
            (&json!(false), 1)
        );
    }
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_its_target_is_never_contacted() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    for status in [301, 302, 303, 307, 308] {
        let (receiver, target) = (
            sink.path(&format!("/{status}")),
            sink.path(&format!("/target/{status}")),
        );
        let destination = acme
            .destination()
            .webhook(&receiver)
            .retries(0)
            .create()
            .await;
        receiver.answers_with(status, &[("location", &target.url())], "");
        let delivery = acme
            .send([&destination], json!(1))
            .await
            .delivery(0)
            .settles()
            .await;
        assert_eq!(
            (&delivery["status"], &delivery["reason"]),
            (&json!("failed"), &json!("rejected")),
            "{status}"
        );
        assert_eq!((receiver.count(), target.count()), (1, 0));
    }
}

#[tokio::test]
async fn pending_work_is_listed_with_the_time_of_its_next_attempt() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let (failing, hanging) = (sink.path("/failing"), sink.path("/hanging"));
    let later = json!({"initial_seconds": 600});
    let one = acme
        .destination()
        .webhook(&failing)
        .retry(later)
        .create()
        .await;
    let other = acme.destination().webhook(&hanging).create().await;
    failing.answers([500]);
    hanging.hangs();
    let message = acme.send([&one, &other], json!(1)).await;
    message.delivery(0).reaches("retrying").await;
    hanging.wait_for(1, SOON).await;

    let retrying = acme.list("/v1/deliveries?status=retrying").await;
    assert_eq!(stage::texts(&retrying, "id"), [&*message.delivery(0).id]);
    assert!(
        retrying[0]["next_attempt_at"].is_string(),
        "{}",
        retrying[0]
    );
    assert_eq!(retrying[0]["last_attempt"]["response_status"], 500);
    assert!(retrying[0].get("attempts").is_none(), "{}", retrying[0]);
    let queued = acme.list("/v1/deliveries?status=queued").await;
    assert_eq!(stage::texts(&queued, "id"), [&*message.delivery(1).id]);
    assert_eq!(message.read().await["status"], "pending");
}

/// `expires_at`: no attempt starts at or after it.
#[tokio::test]
async fn deliveries_whose_retry_would_come_too_late_expire_at_once() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme
        .destination()
        .webhook(&sink)
        .retry(json!({"initial_seconds": 30}))
        .create()
        .await;
    sink.answers([500]);
    let expires_at = jiff::Timestamp::try_from(in_seconds(20))
        .unwrap()
        .to_string();
    let request = json!({"event_type": "report.ready", "payload": 1,
        "destination_ids": [destination.id], "expires_at": expires_at});
    let delivery = acme.submit(request).await.delivery(0).settles().await;
    assert_eq!(
        (&delivery["status"], &delivery["reason"], sink.count()),
        (&json!("failed"), &json!("expired"), 1)
    );
    assert_eq!(delivery["exhausted"], false);
}
