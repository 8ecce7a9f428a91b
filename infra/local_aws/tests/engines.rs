//! Opening and closing the engines.

use aws_sdk_dynamodb::types::AttributeValue;
use local_aws::{Engines, Options, Resources, SecretSpec};
use serde_json::Value;

use crate::setup::{BUCKET, KEY, Local, SECRET, TABLE, resources};

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

#[tokio::test]
async fn everything_survives_a_restart() {
    let local = Local::new();
    let config = local.config();
    aws_sdk_dynamodb::Client::new(&config)
        .put_item()
        .table_name(TABLE)
        .item("pk", text("p"))
        .item("sk", text("s"))
        .send()
        .await
        .unwrap();
    aws_sdk_s3::Client::new(&config)
        .put_object()
        .bucket(BUCKET)
        .key("90/org/a")
        .body(b"payload".to_vec().into())
        .send()
        .await
        .unwrap();
    let sealed = aws_sdk_kms::Client::new(&config)
        .generate_data_key()
        .key_id(local.engines.key_id(KEY).unwrap())
        .key_spec(aws_sdk_kms::types::DataKeySpec::Aes256)
        .send()
        .await
        .unwrap();
    let secrets = aws_sdk_secretsmanager::Client::new(&config);
    let secret = secrets
        .get_secret_value()
        .secret_id(local.engines.secret_arn(SECRET).unwrap())
        .send()
        .await
        .unwrap();
    let Local { engines, data } = local;
    engines.close().await;
    drop(engines);

    let engines = Engines::open(data.path(), &resources(), Options::local()).unwrap();
    let again = Local { engines, data };
    let config = again.config();
    let item = aws_sdk_dynamodb::Client::new(&config)
        .get_item()
        .table_name(TABLE)
        .key("pk", text("p"))
        .key("sk", text("s"))
        .send()
        .await
        .unwrap();
    assert!(item.item.is_some());
    let object = aws_sdk_s3::Client::new(&config)
        .get_object()
        .bucket(BUCKET)
        .key("90/org/a")
        .send()
        .await
        .unwrap();
    assert_eq!(object.body.collect().await.unwrap().to_vec(), b"payload");
    let opened = aws_sdk_kms::Client::new(&config)
        .decrypt()
        .ciphertext_blob(sealed.ciphertext_blob.unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(opened.plaintext, sealed.plaintext);
    let secrets = aws_sdk_secretsmanager::Client::new(&config);
    let same = secrets
        .get_secret_value()
        .secret_id(SECRET)
        .send()
        .await
        .unwrap();
    assert_eq!(same.secret_string, secret.secret_string);
    let value: Value = serde_json::from_str(&same.secret_string.unwrap()).unwrap();
    assert_eq!(value["root"].as_str().unwrap().len(), 64);
}

#[cfg(unix)]
#[tokio::test]
async fn keys_and_secrets_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let local = Local::new();
    for file in ["kms.json", "secrets.json"] {
        let mode = local
            .data
            .path()
            .join(file)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let error = Engines::open(&file.join("data"), &resources(), Options::local()).unwrap_err();
    assert!(
        error.to_string().contains("file/data cannot be written"),
        "{error}"
    );
}

#[tokio::test]
async fn a_task_opens_many_resources() {
    let data = tempfile::tempdir().unwrap();
    let secrets = (0..60)
        .map(|n| SecretSpec {
            name: format!("secret-{n}"),
            value: None,
        })
        .collect();
    let engines = Engines::open(
        data.path(),
        &Resources {
            secrets,
            ..resources()
        },
        Options::local(),
    )
    .unwrap();
    assert!(engines.secret_arn("secret-59").is_some());
}

#[tokio::test]
async fn a_directory_has_one_user_at_a_time() {
    let local = Local::new();
    let error = Engines::open(local.data.path(), &resources(), Options::local()).unwrap_err();
    assert!(
        error.to_string().contains("is in use by another process"),
        "{error}"
    );
    local.engines.close().await;
    Engines::open(local.data.path(), &resources(), Options::local()).unwrap();
}

#[tokio::test]
async fn closing_leaves_no_log_behind() {
    let local = Local::new();
    aws_sdk_dynamodb::Client::new(&local.config())
        .put_item()
        .table_name(TABLE)
        .item("pk", text("p"))
        .item("sk", text("s"))
        .send()
        .await
        .unwrap();
    local.engines.close().await;
    let log = local.data.path().join("dynamodb.sqlite-wal");
    assert_eq!(log.metadata().map_or(0, |log| log.len()), 0);
}

#[tokio::test]
async fn a_closed_engine_refuses() {
    let local = Local::new();
    let client = aws_sdk_dynamodb::Client::from_conf(
        aws_sdk_dynamodb::config::Builder::from(&local.config())
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .build(),
    );
    local.engines.close().await;
    let error = client
        .get_item()
        .table_name(TABLE)
        .key("pk", text("p"))
        .key("sk", text("s"))
        .send()
        .await
        .unwrap_err();
    assert!(format!("{error:?}").contains("closed"), "{error:?}");
}

#[tokio::test]
async fn an_index_added_to_the_template_is_filled() {
    let data = tempfile::tempdir().unwrap();
    let mut older = resources();
    older.tables[0].indexes.truncate(1);
    older.tables[0]
        .attributes
        .retain(|(name, _)| !name.starts_with("du_"));
    let engines = Engines::open(data.path(), &older, Options::local()).unwrap();
    let client =
        aws_sdk_dynamodb::Client::new(&engines.sdk_config(local_aws::Caller::unlimited("test")));
    client
        .put_item()
        .table_name(TABLE)
        .item("pk", text("p"))
        .item("sk", text("s"))
        .item("du_pk", text("DUE#0"))
        .item("du_at", AttributeValue::N("5".into()))
        .send()
        .await
        .unwrap();
    engines.close().await;
    drop((engines, client));

    let engines = Engines::open(data.path(), &resources(), Options::local()).unwrap();
    let client =
        aws_sdk_dynamodb::Client::new(&engines.sdk_config(local_aws::Caller::unlimited("test")));
    let due = client
        .query()
        .table_name(TABLE)
        .index_name("due")
        .key_condition_expression("du_pk = :p")
        .expression_attribute_values(":p", text("DUE#0"))
        .send()
        .await
        .unwrap();
    assert_eq!(due.count, 1);
}
