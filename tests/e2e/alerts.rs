//! Destinations that keep failing cause an alert, are disabled, and cause another alert when they
//! have recovered.

use std::time::Duration;

use kit::mail_folder::mails;
use kit::sink::Sink;
use kit::stack::{Destination, Organization, Stack};
use kit::verifier::{Signed, Verifier};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::stage;

static FREQUENT_MONITOR: OnceCell<Stack> = OnceCell::const_new();

/// Starts a process whose monitor runs every second.
async fn organization(name: &str) -> Organization {
    FREQUENT_MONITOR
        .get_or_init(|| stage::launch().monitor_interval_seconds(1).start())
        .await
        .organization(name)
        .await
}

/// An organization that alerts `pager` after two failures and disables after `disable`.
async fn alerting(name: &str, pager: &Sink, disable: Option<u32>) -> (Organization, Destination) {
    let acme = organization(name).await;
    let pager = acme
        .destination()
        .webhook(pager)
        .with("name", "The pager")
        .create()
        .await;
    let policy = json!({"alert_after_failures": 2, "disable_after_failures": disable,
        "disable_min_failing_seconds": 0});
    acme.settings(json!({"alert_destination_ids": [pager.id], "failure_policy": policy}))
        .await
        .ok(200);
    (acme, pager)
}

async fn fails(acme: &Organization, destination: &Destination, times: usize) {
    for number in 0..times {
        acme.send([destination], json!(number))
            .await
            .delivery(0)
            .settles()
            .await;
    }
}

/// The types of what the pager received, once there are `count`.
async fn received(pager: &Sink, count: usize) -> Vec<Value> {
    let requests = pager.wait_for(count, Duration::from_secs(20)).await;
    requests.iter().map(|request| request.json()).collect()
}

fn types(bodies: &[Value]) -> Vec<String> {
    stage::texts(bodies, "type")
}

/// A failing destination causes one alert within the debounce window, and its recovery one.
#[tokio::test]
async fn a_failing_destination_alerts_once_and_its_recovery_is_announced_once() {
    let (pager, sink) = (Sink::start().await, Sink::start().await);
    let (acme, pager_destination) = alerting("Alerts once", &pager, None).await;
    let destination = acme
        .destination()
        .webhook(&sink)
        .retries(0)
        .with("name", "The ledger")
        .create()
        .await;
    sink.answers([500]);
    fails(&acme, &destination, 2).await;
    let first = received(&pager, 1).await.remove(0);
    assert_eq!(first["type"], "waybill.destination.failing");
    assert!(
        first["id"].as_str().unwrap().starts_with("alr_") && first["organization_id"].is_string(),
        "{first}"
    );
    let data = &first["data"];
    assert_eq!(
        (&data["destination"]["id"], &data["destination"]["name"]),
        (&json!(destination.id), &json!("The ledger"))
    );
    assert_eq!(
        (&data["reason"], &data["next"]),
        (&json!("server_error"), &json!("retrying"))
    );
    assert_eq!(
        (&data["consecutive_failures"], &data["alert_after_failures"]),
        (&json!(2), &json!(2))
    );
    assert!(
        data["since"].is_string()
            && data["destination"]["url"]
                .as_str()
                .unwrap()
                .ends_with(&destination.id),
        "{data}"
    );
    assert_eq!(destination.health().await["status"], "failing");

    fails(&acme, &destination, 3).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(pager.count(), 1, "within the window");
    sink.answers([200]);
    fails(&acme, &destination, 2).await;
    assert_eq!(
        types(&received(&pager, 2).await),
        [
            "waybill.destination.failing",
            "waybill.destination.recovered"
        ]
    );

    let alerts = stage::until("the alerts are delivered", async || {
        let alerts = acme.list("/v1/alerts").await;
        alerts
            .iter()
            .all(|alert| alert["notified"][0]["status"] == "succeeded")
            .then_some(alerts)
    })
    .await;
    assert_eq!(
        types(&alerts),
        [
            "waybill.destination.recovered",
            "waybill.destination.failing"
        ]
    );
    assert_eq!(
        alerts[0]["notified"][0]["destination_id"],
        json!(pager_destination.id)
    );
    let shown = acme
        .list("/v1/messages?system=true&event_type=waybill.destination.failing")
        .await;
    assert_eq!(shown.len(), 1);
    assert!(pager.requests()[0].header("webhook-signature").is_some());
}

/// The monitor runs every ten seconds, and the streak ends within one second.
#[tokio::test]
async fn a_threshold_that_a_short_streak_reached_is_alerted_once_and_so_is_its_end() {
    let stack = stage::launch().monitor_interval_seconds(10).start().await;
    let (acme, pager) = (
        stack.organization("Short streaks").await,
        Sink::start().await,
    );
    let pager_destination = acme.destination().webhook(&pager).create().await;
    acme.settings(json!({"alert_destination_ids": [pager_destination.id]}))
        .await
        .ok(200);
    let mut streaks = Vec::new();
    for number in 0..5 {
        let sink = Sink::start().await;
        // Alert at 5 by the default, and disabled at 6, so that both thresholds are reached. A
        // destination that reaches neither causes no alert.
        let policy = json!({"alert_after_failures": 5, "disable_after_failures": 6,
            "disable_min_failing_seconds": 0});
        let destination = acme
            .destination()
            .webhook(&sink)
            .retries(0)
            .with("failure_policy", policy);
        let destination = destination
            .with("name", format!("Receiver {number}"))
            .create()
            .await;
        streaks.push((sink, destination));
    }
    let settled = streaks.iter().map(async |(sink, destination)| {
        sink.answers([500, 500, 500, 500, 500, 500, 500, 500, 200]);
        fails(&acme, destination, 9).await;
    });
    futures_util::future::join_all(settled).await;
    let reported = stage::within(30, "every streak is reported", async || {
        let reported: Vec<Value> = pager
            .requests()
            .iter()
            .map(|request| request.json())
            .collect();
        (reported.len() >= 10).then_some(reported)
    })
    .await;
    for (_, destination) in &streaks {
        let of_it: Vec<&Value> = reported
            .iter()
            .filter(|body| body["data"]["destination"]["id"] == json!(destination.id))
            .collect();
        let kinds: Vec<&str> = of_it
            .iter()
            .map(|body| body["type"].as_str().unwrap())
            .collect();
        assert_eq!(
            kinds,
            [
                "waybill.destination.failing",
                "waybill.destination.recovered"
            ]
        );
        let data = &of_it[0]["data"];
        assert_eq!(
            (&data["consecutive_failures"], &data["next"]),
            (&json!(8), &json!("retrying")),
            "{data}"
        );
        assert_eq!(
            (&data["reason"], data["since"].is_string()),
            (&json!("server_error"), true),
            "{data}"
        );
        let read = destination.read().await;
        assert_eq!(
            (&read["status"], &read["health"]["consecutive_failures"]),
            (&json!("enabled"), &json!(0)),
            "{read}"
        );
    }
    assert_eq!(acme.list("/v1/alerts").await.len(), 10);
}

/// The window begins with the alert. A destination that fails again after the window
/// causes one more alert.
#[tokio::test]
async fn within_the_debounce_window_no_second_alert_and_after_it_one_again() {
    let (pager, sink) = (Sink::start().await, Sink::start().await);
    let (acme, _) = alerting("Debounced", &pager, None).await;
    acme.settings(json!({"alert_debounce_seconds": 4}))
        .await
        .ok(200);
    let destination = acme.destination().webhook(&sink).retries(0).create().await;
    sink.answers([500]);
    fails(&acme, &destination, 2).await;
    received(&pager, 1).await;
    fails(&acme, &destination, 2).await;
    let both = received(&pager, 2).await;
    assert_eq!(
        types(&both),
        ["waybill.destination.failing", "waybill.destination.failing"]
    );
    assert_eq!(
        (
            &both[0]["data"]["since"],
            &both[1]["data"]["consecutive_failures"]
        ),
        (&both[1]["data"]["since"], &json!(4))
    );
    let at = |alert: &Value| {
        alert["occurred_at"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap()
    };
    assert!(
        at(&both[1]).duration_since(at(&both[0])).as_secs() >= 4,
        "{both:?}"
    );
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(pager.count(), 2, "nothing failed since");
    fails(&acme, &destination, 1).await;
    assert_eq!(
        received(&pager, 3).await[2]["data"]["consecutive_failures"],
        5
    );
    assert_eq!(acme.list("/v1/alerts").await.len(), 3);
}

/// A destination that reaches both thresholds at once is disabled and causes
/// one alert; what waits is skipped; enabling resets the count of failures.
#[tokio::test]
async fn a_destination_that_keeps_failing_is_disabled_once_and_enabling_resets_its_counters() {
    let (pager, sink) = (Sink::start().await, Sink::start().await);
    let (acme, _) = alerting("Disables", &pager, Some(2)).await;
    let destination = acme
        .destination()
        .webhook(&sink)
        .retry(json!({"initial_seconds": 600}))
        .create()
        .await;
    sink.answers([500]);
    let mut waiting = Vec::new();
    for number in 0..3 {
        waiting.push(acme.send([&destination], json!(number)).await.delivery(0));
    }
    let disabled = received(&pager, 1).await.remove(0);
    assert_eq!(
        (&disabled["type"], &disabled["data"]["next"]),
        (&json!("waybill.destination.disabled"), &json!("disabled"))
    );
    let read = destination.read().await;
    assert_eq!(
        (&read["status"], &read["disabled"]["by"]),
        (&json!("disabled"), &json!("failures"))
    );
    for delivery in &waiting {
        assert_eq!(
            delivery.reaches("skipped").await["reason"],
            "destination_disabled"
        );
    }
    assert_eq!(acme.audited("destination.disabled").await.len(), 1);

    destination.action("enable", json!({})).await.ok(200);
    destination.action("enable", json!({})).await.ok(200);
    assert_eq!(
        types(&received(&pager, 2).await)[1],
        "waybill.destination.enabled"
    );
    acme.send([&destination], json!("again")).await;
    stage::until("the failure counts", async || {
        (destination.health().await["consecutive_failures"] == 1).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(destination.read().await["status"], "enabled");
    assert_eq!(pager.count(), 2);
}

/// `410 Gone` means that the receiver accepts no later delivery either.
#[tokio::test]
async fn a_410_disables_the_destination_unless_its_settings_disagree() {
    let (pager, sink) = (Sink::start().await, Sink::start().await);
    let (acme, _) = alerting("Gone", &pager, None).await;
    let (gone, default_path) = (sink.path("/gone"), sink.path("/kept"));
    let destination = acme
        .destination()
        .webhook(&gone)
        .retry(json!({"initial_seconds": 600}))
        .create()
        .await;
    let waiting = {
        // A receiver that is busy does not count as failing.
        gone.answers([429, 410]);
        acme.send([&destination], json!(1)).await.delivery(0)
    };
    waiting.reaches("retrying").await;
    destination.action("test", json!({})).await.ok(202);
    gone.wait_for(2, Duration::from_secs(10)).await;
    let ended = acme
        .send([&destination], json!(2))
        .await
        .delivery(0)
        .settles()
        .await;
    assert_eq!(
        (&ended["status"], &ended["reason"], &ended["exhausted"]),
        (&json!("failed"), &json!("rejected"), &json!(false))
    );
    let read = stage::until("it is disabled", async || {
        Some(destination.read().await).filter(|read| read["status"] == "disabled")
    })
    .await;
    assert_eq!(read["disabled"]["by"], "receiver", "{read}");
    assert!(
        read["disabled"]["reason"].as_str().unwrap().contains("410"),
        "{read}"
    );
    let alert = received(&pager, 1).await.remove(0);
    assert_eq!(
        (&alert["type"], &alert["data"]["next"]),
        (&json!("waybill.destination.disabled"), &json!("disabled"))
    );
    assert_eq!(
        waiting.reaches("skipped").await["reason"],
        "destination_disabled"
    );
    assert_eq!(gone.count(), 3, "a test is delivered and disables nothing");
    assert_eq!(acme.audited("destination.disabled").await.len(), 1);

    let stays = acme
        .destination()
        .webhook(&default_path)
        .settings(json!({"disable_on_gone": false}))
        .create()
        .await;
    assert_eq!(stays.created["settings"]["disable_on_gone"], false);
    default_path.answers([410]);
    assert_eq!(
        acme.send([&stays], json!(3))
            .await
            .delivery(0)
            .settles()
            .await["status"],
        "failed"
    );
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(stays.read().await["status"], "enabled");
    assert_eq!(pager.count(), 1);
}

/// The failure to deliver an alert causes no further alert.
#[tokio::test]
async fn alerts_that_fail_cause_no_further_ones() {
    let (pager, sink) = (Sink::start().await, Sink::start().await);
    let (acme, pager_destination) = alerting("No recursion", &pager, Some(2)).await;
    pager_destination
        .change(json!({"retry_policy": {"max_retries": 4, "initial_seconds": 1, "multiplier": 1}}))
        .await;
    let destination = acme.destination().webhook(&sink).retries(0).create().await;
    sink.answers([500]);
    pager.answers([500]);
    fails(&acme, &destination, 2).await;
    received(&pager, 4).await;
    assert_eq!(pager_destination.read().await["status"], "enabled");
    assert_eq!(acme.list("/v1/alerts").await.len(), 1);
}

/// Returns the subject, the sender and the text of the mail to this address in the local inbox.
fn mail_to(stack: &Stack, to: &str) -> Option<String> {
    let mail = mails(&stack.data())
        .into_iter()
        .rfind(|mail| mail["to"].as_str().is_some_and(|all| all.contains(to)))?;
    Some(format!(
        "From: {}\nSubject: {}\n\n{}",
        mail["from"].as_str()?,
        mail["subject"].as_str()?,
        mail["text"].as_str()?
    ))
}

/// An alert arrives as a mail that a person can act on, and as a webhook that a
/// program can trust.
#[tokio::test]
async fn an_alert_says_which_why_since_when_how_often_what_next_and_where_as_a_mail_and_as_a_signed_webhook()
 {
    let (pager, sink) = (Sink::start().await, Sink::start().await);
    let (acme, pager_destination) = alerting("Told twice", &pager, Some(50)).await;
    acme.settings(json!({"alert_emails": ["alerted-twice@acme.example"]}))
        .await
        .ok(200);
    stage::confirms(
        FREQUENT_MONITOR.get().unwrap(),
        "alerted-twice@acme.example",
    )
    .await;
    let destination = acme
        .destination()
        .webhook(&sink)
        .retries(0)
        .with("name", "The ledger")
        .create()
        .await;
    sink.answers_with(503, &[], "closed for stocktaking");
    fails(&acme, &destination, 2).await;
    let body = received(&pager, 1).await.remove(0);
    let signed = Signed::received(pager_destination.signing_secret(), &pager.requests()[0]);
    for verifier in Verifier::ALL {
        assert_eq!(
            verifier.verdicts(std::slice::from_ref(&signed)),
            [Ok(())],
            "{verifier:?}"
        );
    }
    let data = &body["data"];
    assert_eq!(
        (&data["reason"], &data["next"]),
        (&json!("server_error"), &json!("will_be_disabled"))
    );
    assert_eq!(
        (
            &data["consecutive_failures"],
            &data["alert_after_failures"],
            &data["disable_after_failures"]
        ),
        (&json!(2), &json!(2), &json!(50))
    );

    let stack = FREQUENT_MONITOR.get().unwrap();
    let is_alert = |mail: &String| !mail.contains("Subject: Confirm");
    let mail = stage::until("the mail is there", async || {
        mail_to(stack, "alerted-twice@acme.example").filter(is_alert)
    })
    .await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let expected = [
        "Subject: Waybill: a destination is failing".to_owned(),
        "\u{201c}The ledger\u{201d} is failing".to_owned(),
        format!("Destination: webhook {}", destination.id),
        format!("Reason: server_error: {}", text(&data["detail"])),
        format!("Since: {}", text(&data["since"])),
        "Consecutive failures: 2 (an alert at 2, disabled at 50)".to_owned(),
        "What happens next: The destination will be disabled if it continues to fail.".to_owned(),
        text(&data["destination"]["url"]),
    ];
    for line in expected {
        assert!(mail.contains(&line), "no {line:?} in {mail}");
    }
    assert!(
        mail.starts_with("From: alerts@waybill.localhost\n"),
        "{mail}"
    );
    let page = format!(
        "{}/destinations/{}",
        text(&stack.local_json()["api_url"]),
        destination.id
    );
    assert_eq!(data["destination"]["url"], page);
}

/// An alert arrives as a mail that a person can read, from the deployment's own sender. The
/// destination that sends it is not listed.
#[tokio::test]
async fn an_alert_arrives_as_a_mail() {
    let sink = Sink::start().await;
    let acme = organization("Mailed").await;
    let policy = json!({"alert_after_failures": 1, "disable_after_failures": null});
    acme.settings(json!({"alert_emails": ["ops@acme.example"], "failure_policy": policy}))
        .await
        .ok(200);
    stage::confirms(FREQUENT_MONITOR.get().unwrap(), "ops@acme.example").await;
    let destination = acme
        .destination()
        .webhook(&sink)
        .retries(0)
        .with("name", "The ledger")
        .create()
        .await;
    sink.answers([500]);
    fails(&acme, &destination, 1).await;
    let alert = stage::until("the mail is sent", async || {
        let alerts = acme.list("/v1/alerts").await;
        alerts
            .into_iter()
            .find(|alert| alert["notified"][0]["status"] == "succeeded")
    })
    .await;
    assert_eq!(alert["notified"][0]["channel"], "email");
    let hidden = alert["notified"][0]["destination_id"].as_str().unwrap();
    acme.get(&format!("/v1/destinations/{hidden}"))
        .await
        .problem(404, "not_found");
    assert_eq!(acme.list("/v1/destinations").await.len(), 1);
}
