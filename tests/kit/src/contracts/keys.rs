//! AWS KMS.

use std::fmt::Debug;

use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::decrypt::builders::DecryptFluentBuilder;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;

/// Runs the whole suite. It creates keys of its own.
pub async fn hold(client: Client) {
    let created = client
        .create_key()
        .send()
        .await
        .unwrap()
        .key_metadata
        .unwrap();
    let (id, arn) = (created.key_id, created.arn.unwrap());
    client
        .create_alias()
        .alias_name("alias/contract")
        .target_key_id(&id)
        .send()
        .await
        .unwrap();
    a_data_key_opens_in_its_context_only(&client, &arn).await;
    a_key_has_several_names(&client, &[&id, &arn, "alias/contract"]).await;
    foreign_ciphertexts_do_not_open(&client, &id).await;
}

async fn a_data_key_opens_in_its_context_only(client: &Client, arn: &str) {
    let sealed = client
        .generate_data_key()
        .key_id(arn)
        .key_spec(DataKeySpec::Aes256)
        .encryption_context("organization", "org_1")
        .encryption_context("field", "secret")
        .send()
        .await
        .unwrap();
    assert_eq!(sealed.plaintext().unwrap().as_ref().len(), 32);
    assert_eq!(sealed.key_id(), Some(arn));
    let blob = sealed.ciphertext_blob.unwrap();
    let open = || client.decrypt().ciphertext_blob(blob.clone());
    let whole = |open: DecryptFluentBuilder| {
        open.encryption_context("field", "secret")
            .encryption_context("organization", "org_1")
    };
    let opened = whole(open()).send().await.unwrap();
    assert_eq!(
        (opened.plaintext, opened.key_id.as_deref()),
        (sealed.plaintext, Some(arn))
    );
    for other in [
        open()
            .encryption_context("organization", "org_2")
            .encryption_context("field", "secret"),
        open().encryption_context("organization", "org_1"),
        whole(open()).encryption_context("more", "x"),
        open(),
    ] {
        assert_eq!(refusal(other.send().await), "InvalidCiphertextException");
    }
}

async fn a_key_has_several_names(client: &Client, names: &[&str]) {
    for name in names {
        let sealed = client
            .encrypt()
            .key_id(*name)
            .plaintext(Blob::new("x"))
            .send()
            .await
            .unwrap()
            .ciphertext_blob
            .unwrap();
        let opened = client
            .decrypt()
            .key_id(names[0])
            .ciphertext_blob(sealed)
            .send()
            .await
            .unwrap();
        assert_eq!(opened.plaintext.unwrap().as_ref(), b"x");
    }
    let unknown = client
        .generate_data_key()
        .key_id("00000000-0000-0000-0000-000000000000")
        .key_spec(DataKeySpec::Aes256)
        .send()
        .await;
    assert_eq!(refusal(unknown), "NotFoundException");
}

async fn foreign_ciphertexts_do_not_open(client: &Client, id: &str) {
    let sealed = client
        .encrypt()
        .key_id(id)
        .plaintext(Blob::new("secret"))
        .send()
        .await
        .unwrap()
        .ciphertext_blob
        .unwrap();
    let mut bytes = sealed.into_inner();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(
        refusal(
            client
                .decrypt()
                .ciphertext_blob(Blob::new(bytes))
                .send()
                .await
        ),
        "InvalidCiphertextException"
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
