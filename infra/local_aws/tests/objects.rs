//! S3: the embedded engine behaves like moto.

use aws_sdk_s3::Client;
use kit::contracts::objects;
use kit::moto::Moto;
use tokio::net::TcpListener;

use crate::setup::{BUCKET, Local};

#[tokio::test]
async fn the_contract_holds() {
    let local = Local::new();
    let _listener = local
        .engines
        .serve_objects(TcpListener::bind("127.0.0.1:0").await.unwrap())
        .unwrap();
    objects::hold(Client::new(&local.config())).await;
}

#[tokio::test]
async fn the_contract_holds_on_moto() {
    let moto = Moto::start();
    let config = aws_sdk_s3::config::Builder::from(&moto.sdk_config())
        .force_path_style(true)
        .build();
    objects::hold(Client::from_conf(config)).await;
}

#[tokio::test]
async fn of_many_creations_at_once_one_wins() {
    let local = Local::new();
    let client = Client::new(&local.config());
    let creations = (0..20).map(|n: u32| {
        let body = n.to_string().into_bytes();
        client
            .put_object()
            .bucket(BUCKET)
            .key("one")
            .if_none_match("*")
            .body(body.into())
            .send()
    });
    let created = futures_util::future::join_all(creations).await;
    assert_eq!(created.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}
