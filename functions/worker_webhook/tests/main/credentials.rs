use domain::Reason;
use domain::credentials::{CredentialKind, SecretField, sealed_name};
use domain::settle::Outcome;
use kit::sink::Sink;
use vault::Recipient;

use crate::Bench;

#[tokio::test]
async fn each_kind_of_credentials_arrives_and_is_redacted_in_the_record() {
    let bench = Bench::new().await;
    let mut destination = bench.destination().await;
    let kinds = [
        (
            CredentialKind::ApiKey,
            vec![("header", "X-Api-Key")],
            ("value", "key-s3cret"),
            ("x-api-key", "key-s3cret"),
        ),
        (
            CredentialKind::Bearer,
            vec![],
            ("token", "tok-s3cret"),
            ("authorization", "Bearer tok-s3cret"),
        ),
        (
            CredentialKind::Basic,
            vec![("username", "ann")],
            ("password", "pw-s3crét"),
            ("authorization", "Basic YW5uOnB3LXMzY3LDqXQ="),
        ),
    ];
    for (kind, open, secret, (name, value)) in kinds {
        bench.sink.forget();
        destination.credentials = bench.credentials(kind, &open, secret).await;
        let attempted = bench.deliver(&destination).await;
        assert_eq!(bench.sink.requests()[0].header(name), Some(value));
        let request = attempted.request.as_ref().unwrap();
        let recorded = request
            .headers
            .iter()
            .find(|(recorded, _)| recorded == name)
            .map(|(_, value)| value.as_str());
        assert_eq!(recorded, Some("[redacted]"), "{kind:?}");
        assert!(
            request
                .headers
                .iter()
                .any(|(name, value)| name == "webhook-signature" && value.starts_with("v1,"))
        );
        assert!(!format!("{attempted:?}").contains("s3cr"), "{kind:?}");
    }
}

#[tokio::test]
async fn custom_headers_replace_content_type_and_user_agent_and_credentials_replace_custom_headers()
{
    let bench = Bench::new().await;
    let mut destination = bench.destination().await;
    samples::settings(&mut destination).headers = [
        ("Authorization", "Bearer custom"),
        ("User-Agent", "Custom/1"),
        ("Content-Type", "application/cloudevents+json"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    destination.credentials = bench
        .credentials(CredentialKind::Bearer, &[], ("token", "tok-s3cret"))
        .await;
    bench.deliver(&destination).await;
    let request = &bench.sink.requests()[0];
    assert_eq!(request.header("authorization"), Some("Bearer tok-s3cret"));
    assert_eq!(
        request
            .headers
            .iter()
            .filter(|(name, _)| name == "authorization")
            .count(),
        1
    );
    assert_eq!(request.header("user-agent"), Some("Custom/1"));
    assert_eq!(
        request.header("content-type"),
        Some("application/cloudevents+json")
    );
    assert_eq!(
        request
            .headers
            .iter()
            .filter(|(name, _)| name == "content-type")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_receiver_that_sends_credentials_back_does_not_make_them_readable() {
    let bench = Bench::new().await;
    let mut destination = bench.destination().await;
    destination.credentials = bench
        .credentials(
            CredentialKind::Basic,
            &[("username", "ann")],
            ("password", "pw-s3cret"),
        )
        .await;
    let echo = format!(
        "{}pw-s3cret and Basic YW5uOnB3LXMzY3JldA== {}",
        "x".repeat(4090),
        "y".repeat(9000)
    );
    bench.sink.answers_with(
        200,
        &[
            ("x-request-id", "pw-s3cret"),
            ("x-echo", "Basic YW5uOnB3LXMzY3JldA=="),
        ],
        echo,
    );
    let across = bench.deliver(&destination).await;
    bench
        .sink
        .answers_with(200, &[], "YW5uOnB3LXMzY3JldA==".repeat(900));
    let many = bench.deliver(&destination).await;
    for attempted in [across, many] {
        let shown = format!("{attempted:?}");
        assert!(
            !shown.contains("pw-s") && !shown.contains("YW5u"),
            "{shown}"
        );
        let response = attempted.response.unwrap();
        assert!(response.truncated && response.body.len() <= 4096);
    }
}

#[tokio::test]
async fn credentials_moved_from_another_destination_do_not_open() {
    let bench = Bench::new().await;
    let mut destination = bench.destination().await;
    samples::settings(&mut destination).signature.enabled = false;
    let stolen = bench
        .credentials(CredentialKind::Bearer, &[], ("token", "tok-s3cret"))
        .await;
    destination.credentials = stolen;
    destination.id = domain::id::Ulid::first_at(domain::Timestamp::from_millis(5)).into();
    let attempted = bench.deliver(&destination).await;
    assert_eq!(attempted.outcome, Outcome::Retry(Reason::Internal));
    assert_eq!(bench.sink.count(), 0);
}

#[tokio::test]
async fn a_changed_credential_is_used_by_the_very_next_delivery() {
    let bench = Bench::new().await;
    let mut destination = bench.destination().await;
    for token in ["tok-one", "tok-two"] {
        destination.credentials = bench
            .credentials(CredentialKind::Bearer, &[], ("token", token))
            .await;
        bench.deliver(&destination).await;
    }
    let sent: Vec<String> = bench
        .sink
        .requests()
        .iter()
        .map(|request| request.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(sent, ["Bearer tok-one", "Bearer tok-two"]);
}

/// A check can be requested for a destination that the worker has not read from the store. A secret
/// is opened only for the server that it was sealed for.
#[tokio::test]
async fn a_check_sends_a_stored_secret_to_no_other_server() {
    let bench = Bench::new().await;
    let thief = Sink::start().await;
    let mut destination = bench.destination().await;
    destination.credentials.kind = CredentialKind::Bearer;
    let recipient = Recipient::of(&destination);
    let fields = [(&*sealed_name("token"), "tok-s3cret".into())];
    let sealed = bench
        .vault
        .seal_for(
            &recipient,
            destination.organization_id,
            destination.id,
            &fields,
        )
        .await
        .unwrap()
        .remove(0);
    let field = SecretField {
        sealed,
        hint: None,
        updated_at: domain::Timestamp::from_millis(0),
    };
    destination
        .credentials
        .secrets
        .insert("token".to_owned(), field);
    assert!(bench.check(&destination).await.ok);
    assert_eq!(
        bench.sink.requests()[0].header("authorization"),
        Some("Bearer tok-s3cret")
    );

    samples::settings(&mut destination).url = Some(thief.url());
    assert!(!bench.check(&destination).await.ok);
    let attempted = bench.deliver(&destination).await;
    assert_eq!(
        attempted.outcome,
        Outcome::Retry(Reason::Internal),
        "{}",
        attempted.detail
    );
    assert_eq!(thief.count(), 0);
}
