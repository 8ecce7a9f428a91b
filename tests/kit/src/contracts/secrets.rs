//! AWS Secrets Manager.

use std::fmt::Debug;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::types::Tag;

/// Runs the whole suite. It creates secrets of its own.
pub async fn hold(client: Client) {
    a_secret_is_read_by_name_and_arn(&client).await;
    the_current_version_is_read(&client).await;
    names_are_unique_and_known(&client).await;
}

async fn a_secret_is_read_by_name_and_arn(client: &Client) {
    let tag = Tag::builder()
        .key("waybill:organization")
        .value("org_1")
        .build();
    let created = client
        .create_secret()
        .name("contract/first")
        .secret_string(r#"{"root":"r"}"#)
        .tags(tag)
        .send()
        .await
        .unwrap();
    let arn = created.arn.unwrap();
    // Six characters follow the name.
    assert_eq!(
        arn.rsplit_once(":secret:contract/first-")
            .map(|(_, suffix)| suffix.len()),
        Some(6)
    );
    for id in ["contract/first", &arn] {
        let value = client
            .get_secret_value()
            .secret_id(id)
            .send()
            .await
            .unwrap();
        assert_eq!(value.secret_string(), Some(r#"{"root":"r"}"#));
        assert_eq!(
            (value.arn(), value.version_id()),
            (Some(arn.as_str()), created.version_id.as_deref())
        );
        assert_eq!(value.version_stages(), ["AWSCURRENT"]);
    }
    let described = client
        .describe_secret()
        .secret_id(&arn)
        .send()
        .await
        .unwrap();
    assert_eq!(described.tags()[0].value(), Some("org_1"));
}

async fn the_current_version_is_read(client: &Client) {
    client
        .create_secret()
        .name("contract/changing")
        .secret_string("1")
        .send()
        .await
        .unwrap();
    let put = client
        .put_secret_value()
        .secret_id("contract/changing")
        .secret_string("2")
        .send()
        .await
        .unwrap();
    let current = client
        .get_secret_value()
        .secret_id("contract/changing")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (current.secret_string(), current.version_id()),
        (Some("2"), put.version_id())
    );
    for (stage, expected) in [("AWSCURRENT", "2"), ("AWSPREVIOUS", "1")] {
        let value = client
            .get_secret_value()
            .secret_id("contract/changing")
            .version_stage(stage)
            .send()
            .await
            .unwrap();
        assert_eq!(value.secret_string(), Some(expected));
    }
}

async fn names_are_unique_and_known(client: &Client) {
    let again = client
        .create_secret()
        .name("contract/first")
        .secret_string("x")
        .send()
        .await;
    assert_eq!(refusal(again), "ResourceExistsException");
    assert_eq!(
        refusal(
            client
                .get_secret_value()
                .secret_id("contract/unknown")
                .send()
                .await
        ),
        "ResourceNotFoundException"
    );
    client
        .create_secret()
        .name("contract/empty")
        .send()
        .await
        .unwrap();
    assert_eq!(
        refusal(
            client
                .get_secret_value()
                .secret_id("contract/empty")
                .send()
                .await
        ),
        "ResourceNotFoundException"
    );
}

fn refusal<T: Debug, E: ProvideErrorMetadata + Debug, R: Debug>(
    outcome: Result<T, SdkError<E, R>>,
) -> String {
    let error = outcome.expect_err("the call is refused");
    error
        .as_service_error()
        .unwrap_or_else(|| panic!("not an answer: {error:?}"))
        .code()
        .unwrap_or_default()
        .to_owned()
}
