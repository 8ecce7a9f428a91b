//! Calls are checked against their caller's policy.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem};
use local_aws::{Caller, Condition, Effect, Policy, Statement};

use crate::setup::{BUCKET, KEY, Local, SECRET, TABLE};

fn allow(actions: &[&str], resources: &[String]) -> Statement {
    Statement {
        effect: Effect::Allow,
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        resources: resources.to_vec(),
        conditions: Vec::new(),
    }
}

fn config(local: &Local, statements: Vec<Statement>) -> aws_config::SdkConfig {
    local
        .engines
        .sdk_config(Caller::new("worker", Policy { statements }))
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

#[tokio::test]
async fn a_missing_permission_is_named_as_aws_names_it() {
    let local = Local::new();
    let client = aws_sdk_dynamodb::Client::new(&config(
        &local,
        vec![allow(
            &["dynamodb:GetItem"],
            &[local.engines.table_arn(TABLE)],
        )],
    ));
    client
        .get_item()
        .table_name(TABLE)
        .key("pk", text("p"))
        .key("sk", text("s"))
        .send()
        .await
        .unwrap();
    let refused = client
        .put_item()
        .table_name(TABLE)
        .item("pk", text("p"))
        .item("sk", text("s"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("AccessDeniedException"));
    assert_eq!(
        refused.message(),
        Some(
            "User: arn:aws:sts::000000000000:assumed-role/worker/local is not authorized to perform: dynamodb:PutItem on resource: \
             arn:aws:dynamodb:us-east-1:000000000000:table/waybill-Table because no identity-based policy allows the dynamodb:PutItem action"
        )
    );
}

#[tokio::test]
async fn an_index_is_a_resource_of_its_own() {
    let local = Local::new();
    let table = local.engines.table_arn(TABLE);
    let query = async |statements| {
        let client = aws_sdk_dynamodb::Client::new(&config(&local, statements));
        let query = client
            .query()
            .table_name(TABLE)
            .index_name("due")
            .key_condition_expression("du_pk = :d");
        query
            .expression_attribute_values(":d", text("d"))
            .send()
            .await
    };
    query(vec![allow(
        &["dynamodb:Query"],
        &[format!("{table}/index/due")],
    )])
    .await
    .unwrap();
    let refused = query(vec![allow(
        &["dynamodb:Query"],
        std::slice::from_ref(&table),
    )])
    .await
    .unwrap_err();
    assert!(
        refused
            .message()
            .unwrap()
            .contains("table/waybill-Table/index/due")
    );
}

#[tokio::test]
async fn a_transaction_needs_what_its_items_need() {
    let local = Local::new();
    let table = [local.engines.table_arn(TABLE)];
    let write = async |actions: &[&str]| {
        let client = aws_sdk_dynamodb::Client::new(&config(&local, vec![allow(actions, &table)]));
        let put = Put::builder()
            .table_name(TABLE)
            .item("pk", text("p"))
            .item("sk", text("s"))
            .build()
            .unwrap();
        let check = ConditionCheck::builder()
            .table_name(TABLE)
            .key("pk", text("p"))
            .key("sk", text("other"));
        let check = check
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .unwrap();
        let write = client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().put(put).build());
        write
            .transact_items(TransactWriteItem::builder().condition_check(check).build())
            .send()
            .await
    };
    write(&["dynamodb:PutItem", "dynamodb:ConditionCheckItem"])
        .await
        .unwrap();
    let refused = write(&["dynamodb:PutItem"]).await.unwrap_err();
    assert!(
        refused
            .message()
            .unwrap()
            .contains("dynamodb:ConditionCheckItem")
    );
    let refused = write(&["dynamodb:TransactWriteItems"]).await.unwrap_err();
    assert_eq!(refused.code(), Some("AccessDeniedException"));
}

#[tokio::test]
async fn each_service_refuses_in_its_own_form() {
    let local = Local::new();
    let nothing = config(&local, Vec::new());
    let s3 = aws_sdk_s3::Client::new(&nothing);
    let refused = s3
        .get_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("AccessDenied"));
    assert!(
        refused
            .message()
            .unwrap()
            .contains("s3:GetObject on resource: arn:aws:s3:::waybill-payloads/a")
    );
    let head = s3
        .head_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap_err();
    assert_eq!(head.raw_response().unwrap().status().as_u16(), 403);

    let sqs = aws_sdk_sqs::Client::new(&nothing);
    let refused = sqs
        .send_message()
        .queue_url(local.engines.queue_url("Q"))
        .message_body("x")
        .send()
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("AccessDeniedException"));
    assert!(
        refused
            .message()
            .unwrap()
            .contains("sqs:SendMessage on resource: arn:aws:sqs:us-east-1:000000000000:Q")
    );

    let secrets = aws_sdk_secretsmanager::Client::new(&nothing);
    let refused = secrets
        .get_secret_value()
        .secret_id(SECRET)
        .send()
        .await
        .unwrap_err();
    assert!(
        refused
            .message()
            .unwrap()
            .contains(local.engines.secret_arn(SECRET).unwrap())
    );

    let lambda = aws_sdk_lambda::Client::new(&nothing);
    let refused = lambda.invoke().function_name("F").send().await.unwrap_err();
    assert_eq!(refused.code(), Some("AccessDeniedException"));
}

#[tokio::test]
async fn sealing_is_not_opening() {
    let local = Local::new();
    let key = local.engines.key_arn(KEY).unwrap();
    let organization_named = || {
        Condition::new(
            "Null",
            "kms:EncryptionContext:organization",
            vec!["false".into()],
        )
        .unwrap()
    };
    let conditional = |action: &str| Statement {
        conditions: vec![organization_named()],
        ..allow(&[action], std::slice::from_ref(&key))
    };
    let sealing =
        aws_sdk_kms::Client::new(&config(&local, vec![conditional("kms:GenerateDataKey")]));
    let opening = aws_sdk_kms::Client::new(&config(&local, vec![conditional("kms:Decrypt")]));
    let spec = aws_sdk_kms::types::DataKeySpec::Aes256;
    let generate = || {
        sealing
            .generate_data_key()
            .key_id(&key)
            .key_spec(spec.clone())
    };
    let sealed = generate()
        .encryption_context("organization", "org_1")
        .send()
        .await
        .unwrap()
        .ciphertext_blob
        .unwrap();
    assert_eq!(
        generate().send().await.unwrap_err().code(),
        Some("AccessDeniedException")
    );

    // Without a key id, the ciphertext contains the key.
    let open = |client: &aws_sdk_kms::Client| {
        client
            .decrypt()
            .ciphertext_blob(sealed.clone())
            .encryption_context("organization", "org_1")
            .send()
    };
    open(&opening).await.unwrap();
    let refused = open(&sealing).await.unwrap_err();
    assert!(
        refused
            .message()
            .unwrap()
            .contains(&format!("kms:Decrypt on resource: {key}"))
    );
    let without = opening
        .decrypt()
        .ciphertext_blob(sealed.clone())
        .send()
        .await
        .unwrap_err();
    assert_eq!(without.code(), Some("AccessDeniedException"));
}

#[tokio::test]
async fn a_secret_is_opened_for_its_tag() {
    let local = Local::new();
    let everything = aws_sdk_secretsmanager::Client::new(&local.config());
    let tag = aws_sdk_secretsmanager::types::Tag::builder()
        .key("waybill:organization")
        .value("org_1")
        .build();
    everything
        .create_secret()
        .name("tagged")
        .secret_string("t")
        .tags(tag)
        .send()
        .await
        .unwrap();
    everything
        .create_secret()
        .name("plain")
        .secret_string("p")
        .send()
        .await
        .unwrap();
    let tagged_only = Statement {
        conditions: vec![
            Condition::new(
                "Null",
                "secretsmanager:ResourceTag/waybill:organization",
                vec!["false".into()],
            )
            .unwrap(),
        ],
        ..allow(
            &["secretsmanager:GetSecretValue"],
            &["arn:aws:secretsmanager:us-east-1:000000000000:secret:*".to_owned()],
        )
    };
    let client = aws_sdk_secretsmanager::Client::new(&config(&local, vec![tagged_only]));
    client
        .get_secret_value()
        .secret_id("tagged")
        .send()
        .await
        .unwrap();
    let refused = client
        .get_secret_value()
        .secret_id("plain")
        .send()
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("AccessDeniedException"));
}
