//! The engines over a socket, as other processes see them.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use local_aws::{Caller, Policy};
use tokio::net::TcpListener;

use crate::setup::{BUCKET, Local, TABLE};

async fn loopback() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Returns what another process would configure from AWS_ENDPOINT_URL and its credentials.
fn remote(local: &Local, endpoint: String, caller: &Caller) -> SdkConfig {
    let credentials = local.engines.credentials(caller);
    let provider = aws_credential_types::provider::SharedCredentialsProvider::new(credentials);
    kit::sdk::config(&endpoint)
        .into_builder()
        .credentials_provider(provider)
        .build()
}

#[tokio::test]
async fn other_processes_reach_every_service_under_their_own_policy() {
    let local = Local::new();
    let gateway = local.engines.serve(loopback().await).unwrap();
    let endpoint = format!("http://{}", gateway.address());
    let config = remote(&local, endpoint.clone(), &Caller::unlimited("cli"));
    let put = aws_sdk_dynamodb::Client::new(&config)
        .put_item()
        .table_name(TABLE)
        .item("pk", AttributeValue::S("p".into()));
    put.item("sk", AttributeValue::S("s".into()))
        .send()
        .await
        .unwrap();
    let s3 = aws_sdk_s3::Client::new(&config);
    s3.put_object()
        .bucket(BUCKET)
        .key("k")
        .body(ByteStream::from_static(b"v"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        s3.get_object()
            .bucket(BUCKET)
            .key("k")
            .send()
            .await
            .unwrap()
            .body
            .collect()
            .await
            .unwrap()
            .to_vec(),
        b"v"
    );
    assert_eq!(
        s3.head_object()
            .bucket(BUCKET)
            .key("k")
            .send()
            .await
            .unwrap()
            .content_length(),
        Some(1)
    );
    assert_eq!(
        aws_sdk_kms::Client::new(&config)
            .list_keys()
            .send()
            .await
            .unwrap()
            .keys()
            .len(),
        1
    );

    let unprivileged = remote(&local, endpoint, &Caller::new("nobody", Policy::default()));
    let refused = aws_sdk_dynamodb::Client::new(&unprivileged)
        .list_tables()
        .send()
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("AccessDeniedException"));
}

#[tokio::test]
#[allow(
    clippy::disallowed_methods,
    reason = "links expire by the machine's clock"
)]
async fn the_objects_listener_takes_valid_links_only() {
    let local = Local::new();
    let listener = local.engines.serve_objects(loopback().await).unwrap();
    let s3 = aws_sdk_s3::Client::new(&local.config());
    s3.put_object()
        .bucket(BUCKET)
        .key("k")
        .body(ByteStream::from_static(b"v"))
        .send()
        .await
        .unwrap();
    let minute = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let link = s3
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .presigned(minute)
        .await
        .unwrap()
        .uri()
        .to_owned();
    let browser = kit::contracts::objects::browser();
    let status = async |url: String| browser.get(url).send().await.unwrap().status().as_u16();
    assert_eq!(status(link.clone()).await, 200);
    assert_eq!(status(link.replace("/k?", "/other?")).await, 403);
    assert_eq!(
        status(link.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")).await,
        403
    );
    assert_eq!(
        status(format!("http://{}/{BUCKET}/k", listener.address())).await,
        403
    );

    let expired = PresigningConfig::builder()
        .start_time(std::time::SystemTime::now() - Duration::from_secs(120))
        .expires_in(Duration::from_secs(60))
        .build()
        .unwrap();
    let expired = s3
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .presigned(expired)
        .await
        .unwrap();
    assert_eq!(status(expired.uri().to_owned()).await, 403);
    // A page whose name was made to resolve to the loopback.
    let rebound = browser
        .get(link)
        .header("host", "attacker.example")
        .send()
        .await
        .unwrap();
    assert_eq!(rebound.status(), 403);
    // Other services are not available here.
    let config = remote(
        &local,
        format!("http://{}", listener.address()),
        &Caller::unlimited("cli"),
    );
    assert!(
        aws_sdk_dynamodb::Client::new(&config)
            .list_tables()
            .send()
            .await
            .is_err()
    );
}
