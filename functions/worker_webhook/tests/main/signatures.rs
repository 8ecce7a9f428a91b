use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::Tag;
use domain::Reason;
use domain::delivery::Delivery;
use domain::settings::webhook::Method;
use domain::settle::Outcome;
use domain::signing_secret::{SecretSource, SigningSecret};
use kit::sink::Received;
use kit::verifier::{Signed, Verifier};
use local_aws::Fault;
use runtime::platform::system_clock;
use signing::{SigningKey, TOLERANCE_SECONDS, Verification, verify};
use vault::ORGANIZATION_TAG;

use crate::{Bench, PAYLOAD, aws};

fn verifies(request: &Received, secret: &str) -> bool {
    let request = Verification {
        id: request.header("webhook-id").unwrap(),
        timestamp_seconds: request
            .header("webhook-timestamp")
            .unwrap()
            .parse()
            .unwrap(),
        signature: request.header("webhook-signature").unwrap(),
        body: &request.body,
        now_seconds: system_clock().now().as_seconds(),
        tolerance_seconds: TOLERANCE_SECONDS,
    };
    verify(&[SigningKey::parse(secret).unwrap()], &request).is_ok()
}

#[tokio::test]
async fn a_request_has_the_contracts_headers_in_their_order() {
    let bench = Bench::new().await;
    let mut destination = bench.destination().await;
    samples::settings(&mut destination).headers =
        [("X-Team".to_owned(), "reports".to_owned())].into();
    let delivery = Delivery {
        attempts: 2,
        ..samples::delivery()
    };
    bench
        .attempt(&destination, &delivery, PAYLOAD)
        .await
        .unwrap();
    let request = &bench.sink.requests()[0];
    let names: Vec<&str> = request
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| *name != "host" && *name != "content-length")
        .collect();
    let expected = [
        "content-type",
        "user-agent",
        "x-team",
        "idempotency-key",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "waybill-timestamp",
        "waybill-message-id",
        "waybill-event-type",
        "waybill-attempt",
        "traceparent",
        // The HTTP client adds `accept: */*`, which means the same as no header.
        "accept",
    ];
    assert_eq!(names, expected);
    let header = |name| request.header(name).unwrap();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(
        header("user-agent"),
        concat!("Waybill/", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(
        (header("webhook-id"), header("idempotency-key")),
        (&*delivery.id.to_string(), &*delivery.id.to_string())
    );
    assert_eq!(
        header("waybill-message-id"),
        delivery.id.message.to_string()
    );
    assert_eq!(
        (header("waybill-event-type"), header("waybill-attempt")),
        ("report.ready", "3")
    );
    let signed_at = domain::Timestamp::parse(header("waybill-timestamp")).unwrap();
    assert_eq!(
        header("webhook-timestamp"),
        signed_at.as_seconds().to_string()
    );
    assert!(header("traceparent").starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
    assert_eq!((request.method.as_str(), &*request.body), ("POST", PAYLOAD));
}

#[tokio::test]
async fn every_live_secret_signs_newest_first_and_receivers_libraries_agree() {
    let bench = Bench::new().await;
    let mut destination = bench.destination().await;
    let secrets = [
        bench.signing_secret(3).await,
        bench.signing_secret(2).await,
        bench.signing_secret(1).await,
    ];
    let now = system_clock().now();
    let expiries = [
        None,
        Some(now.plus(std::time::Duration::from_secs(3600))),
        Some(now),
    ];
    let stored = secrets
        .iter()
        .zip(expiries)
        .map(|((secret, _), valid_until)| SigningSecret {
            valid_until,
            ..secret.clone()
        });
    destination.signing_secrets = stored.collect();
    bench.deliver(&destination).await;
    let request = &bench.sink.requests()[0];
    assert!(
        verifies(request, &secrets[0].1)
            && verifies(request, &secrets[1].1)
            && !verifies(request, &secrets[2].1)
    );
    let newest = request
        .header("webhook-signature")
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned();
    let mut first = request.clone();
    first
        .headers
        .iter_mut()
        .filter(|(name, _)| name == "webhook-signature")
        .for_each(|(_, value)| value.clone_from(&newest));
    assert!(verifies(&first, &secrets[0].1) && !verifies(&first, &secrets[1].1));
    let requests: Vec<Signed> = secrets
        .iter()
        .map(|(_, secret)| Signed::received(secret, request))
        .collect();
    for library in Verifier::ALL {
        let verdicts: Vec<bool> = library
            .verdicts(&requests)
            .iter()
            .map(Result::is_ok)
            .collect();
        assert_eq!(verdicts, [true, true, false], "{library:?}");
    }
}

#[tokio::test]
async fn signatures_are_fresh_on_every_attempt_and_the_id_never_changes() {
    let bench = Bench::new().await;
    let destination = bench.destination().await;
    bench.deliver(&destination).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    bench.deliver(&destination).await;
    let [first, second] = <[_; 2]>::try_from(bench.sink.requests()).unwrap();
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    for name in [
        "webhook-timestamp",
        "webhook-signature",
        "waybill-timestamp",
        "traceparent",
    ] {
        assert_ne!(first.header(name), second.header(name), "{name}");
    }
}

#[tokio::test]
async fn with_signatures_off_the_id_and_the_time_are_still_sent() {
    let bench = Bench::new().await;
    let mut destination = bench.destination().await;
    samples::settings(&mut destination).signature.enabled = false;
    samples::settings(&mut destination).method = Method::Put;
    samples::settings(&mut destination).user_agent = Some("Reports/2".to_owned());
    bench.deliver(&destination).await;
    let request = &bench.sink.requests()[0];
    assert!(
        request.header("webhook-id").is_some() && request.header("webhook-timestamp").is_some()
    );
    assert_eq!(request.header("webhook-signature"), None);
    assert_eq!(
        (request.method.as_str(), request.header("user-agent")),
        ("PUT", Some("Reports/2"))
    );
}

#[tokio::test]
async fn a_secret_that_the_customer_keeps_in_secrets_manager_signs() {
    let bench = Bench::new().await;
    let mut destination = bench.destination().await;
    let text = bench.signing_secret(7).await.1;
    let create = |name: &str, text: &str, owner: String| {
        let tag = Tag::builder().key(ORGANIZATION_TAG).value(owner).build();
        Client::new(&aws(&bench.engines))
            .create_secret()
            .name(name)
            .secret_string(text)
            .tags(tag)
            .send()
    };
    let owner = destination.organization_id.to_string();
    let ours = create("ours", &format!("{text}\n"), owner.clone())
        .await
        .unwrap()
        .arn
        .unwrap();
    let theirs = create("theirs", &text, "org_00000000000000000000000000".to_owned())
        .await
        .unwrap()
        .arn
        .unwrap();
    let nonsense = create("nonsense", "hunter2", owner)
        .await
        .unwrap()
        .arn
        .unwrap();

    destination.signing_secrets[0].source = SecretSource::SecretsManager {
        arn: ours.clone(),
        role: None,
    };
    assert!(matches!(
        bench.deliver(&destination).await.outcome,
        Outcome::Delivered(_)
    ));
    assert!(verifies(&bench.sink.requests()[0], &text));

    for arn in [theirs, nonsense, ours.replace("ours", "gone")] {
        destination.signing_secrets[0].source = SecretSource::SecretsManager {
            arn: arn.clone(),
            role: None,
        };
        let attempted = bench.deliver(&destination).await;
        assert_eq!(
            attempted.outcome,
            Outcome::Reject(Reason::Misconfigured),
            "{arn}"
        );
        assert!(!attempted.detail.contains("hunter2"));
    }
    assert_eq!(bench.sink.count(), 1, "nothing is sent unsigned");
}

#[tokio::test]
async fn nothing_is_sent_unsigned_when_no_secret_is_valid() {
    let bench = Bench::new().await;
    let mut destination = bench.destination().await;
    destination.signing_secrets.clear();
    assert_eq!(
        bench.deliver(&destination).await.outcome,
        Outcome::Reject(Reason::Misconfigured)
    );
    assert_eq!(bench.sink.count(), 0);
}

#[tokio::test]
async fn a_throttled_kms_delays_the_delivery_and_does_not_fail_it() {
    let bench = Bench::new().await;
    let destination = bench.destination().await;
    bench.engines.install_faults(|_| Fault::throttled());
    assert!(
        bench
            .attempt(&destination, &samples::delivery(), PAYLOAD)
            .await
            .is_err()
    );
    bench.engines.clear_faults();
    assert!(matches!(
        bench.deliver(&destination).await.outcome,
        Outcome::Delivered(_)
    ));
}
