//! Amazon S3.

use std::fmt::Debug;
use std::io::Write as _;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};

const BUCKET: &str = "contract-objects";
/// The minimum size that S3 accepts for a part other than the last.
const PART_BYTES: usize = 5 * 1024 * 1024;

/// Returns an HTTP client without AWS credentials.
#[allow(
    clippy::disallowed_methods,
    reason = "it talks to the test's own servers"
)]
pub fn browser() -> reqwest::Client {
    // Fails only if another test has installed it.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    reqwest::Client::new()
}

/// Runs the whole suite. It creates a bucket and does not delete it. Presigned links are followed
/// over the network.
pub async fn hold(client: Client) {
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    an_object_comes_back_as_it_was_put(&client).await;
    keys_may_hold_anything(&client).await;
    a_range_is_a_part(&client).await;
    a_creation_happens_once(&client).await;
    deleting_is_idempotent(&client).await;
    a_file_is_streamed(&client).await;
    parts_make_an_object(&client).await;
    listings_are_paged(&client).await;
    links_work_without_credentials(&client).await;
}

async fn put(client: &Client, key: &str, body: impl Into<Vec<u8>>) {
    client
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .body(body.into().into())
        .send()
        .await
        .unwrap();
}

async fn get(client: &Client, key: &str) -> Vec<u8> {
    client
        .get_object()
        .bucket(BUCKET)
        .key(key)
        .send()
        .await
        .unwrap()
        .body
        .collect()
        .await
        .unwrap()
        .to_vec()
}

async fn an_object_comes_back_as_it_was_put(client: &Client) {
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("90/org/a")
        .content_type("application/json")
        .metadata("sha256", "00ff");
    let etag = put
        .body(ByteStream::from_static(b"{\"a\": 1}"))
        .send()
        .await
        .unwrap()
        .e_tag
        .unwrap();
    let got = client
        .get_object()
        .bucket(BUCKET)
        .key("90/org/a")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (got.content_type(), got.content_length(), got.e_tag()),
        (Some("application/json"), Some(8), Some(etag.as_str()))
    );
    assert_eq!(got.metadata().unwrap()["sha256"], "00ff");
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"{\"a\": 1}");
    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("90/org/a")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (head.content_length(), head.e_tag()),
        (Some(8), Some(etag.as_str()))
    );

    let missing = client
        .get_object()
        .bucket(BUCKET)
        .key("90/org/missing")
        .send()
        .await;
    assert_eq!(refusal(missing), "NoSuchKey");
    let missing = client
        .head_object()
        .bucket(BUCKET)
        .key("90/org/missing")
        .send()
        .await
        .unwrap_err();
    assert!(missing.into_service_error().is_not_found());
    self::put(client, "90/org/a", "replaced").await;
    assert_eq!(get(client, "90/org/a").await, b"replaced");
    self::put(client, "90/org/empty", "").await;
    assert_eq!(get(client, "90/org/empty").await, b"");
}

async fn keys_may_hold_anything(client: &Client) {
    for key in [
        "keys/a b+c",
        "keys/grüße",
        "keys/100%25",
        "keys/a=b&c?d#e",
        "keys/(1)'!*",
    ] {
        put(client, key, key).await;
        assert_eq!(get(client, key).await, key.as_bytes(), "{key}");
    }
}

async fn a_range_is_a_part(client: &Client) {
    put(client, "range", "0123456789").await;
    for (range, content_range, expected) in [
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-2", "bytes 8-9/10", "89"),
    ] {
        let got = client
            .get_object()
            .bucket(BUCKET)
            .key("range")
            .range(range)
            .send()
            .await
            .unwrap();
        assert_eq!(got.content_range(), Some(content_range));
        assert_eq!(
            got.body.collect().await.unwrap().to_vec(),
            expected.as_bytes()
        );
    }
    let beyond = client
        .get_object()
        .bucket(BUCKET)
        .key("range")
        .range("bytes=10-")
        .send()
        .await;
    assert_eq!(refusal(beyond), "InvalidRange");
}

async fn a_creation_happens_once(client: &Client) {
    let create = |body: &'static str| {
        let put = client
            .put_object()
            .bucket(BUCKET)
            .key("created")
            .if_none_match("*");
        put.body(ByteStream::from_static(body.as_bytes())).send()
    };
    create("first").await.unwrap();
    assert_eq!(refusal(create("second").await), "PreconditionFailed");
    assert_eq!(get(client, "created").await, b"first");
}

async fn deleting_is_idempotent(client: &Client) {
    for key in ["d/1", "d/2", "d/3"] {
        put(client, key, "x").await;
    }
    for _ in 0..2 {
        client
            .delete_object()
            .bucket(BUCKET)
            .key("d/1")
            .send()
            .await
            .unwrap();
    }
    let named = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder()
        .objects(named("d/2"))
        .objects(named("d/missing"))
        .build()
        .unwrap();
    let deleted = client
        .delete_objects()
        .bucket(BUCKET)
        .delete(delete)
        .send()
        .await
        .unwrap();
    assert!(deleted.errors().is_empty(), "{deleted:?}");
    let left = client
        .list_objects_v2()
        .bucket(BUCKET)
        .prefix("d/")
        .send()
        .await
        .unwrap();
    assert_eq!(
        left.contents()
            .iter()
            .filter_map(|object| object.key())
            .collect::<Vec<_>>(),
        ["d/3"]
    );
}

async fn a_file_is_streamed(client: &Client) {
    let bytes: Vec<u8> = (0..1_000_003_u32).map(|n| n.to_le_bytes()[1]).collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&bytes).unwrap();
    let body = ByteStream::from_path(file.path()).await.unwrap();
    client
        .put_object()
        .bucket(BUCKET)
        .key("streamed")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(get(client, "streamed").await, bytes);
}

async fn parts_make_an_object(client: &Client) {
    let upload = client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("parts")
        .send()
        .await
        .unwrap()
        .upload_id
        .unwrap();
    let mut parts = Vec::new();
    for (number, body) in [(1, vec![b'a'; PART_BYTES]), (2, b"end".to_vec())] {
        let part = client
            .upload_part()
            .bucket(BUCKET)
            .key("parts")
            .upload_id(&upload)
            .part_number(number);
        let etag = part.body(body.into()).send().await.unwrap().e_tag.unwrap();
        parts.push(
            CompletedPart::builder()
                .part_number(number)
                .e_tag(etag)
                .build(),
        );
    }
    let whole = CompletedMultipartUpload::builder()
        .set_parts(Some(parts))
        .build();
    client
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key("parts")
        .upload_id(upload)
        .multipart_upload(whole)
        .send()
        .await
        .unwrap();
    let object = get(client, "parts").await;
    assert_eq!(
        (object.len(), object.ends_with(b"aend")),
        (PART_BYTES + 3, true)
    );

    let upload = client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("aborted")
        .send()
        .await
        .unwrap()
        .upload_id
        .unwrap();
    client
        .upload_part()
        .bucket(BUCKET)
        .key("aborted")
        .upload_id(&upload)
        .part_number(1)
        .body(vec![1].into())
        .send()
        .await
        .unwrap();
    client
        .abort_multipart_upload()
        .bucket(BUCKET)
        .key("aborted")
        .upload_id(&upload)
        .send()
        .await
        .unwrap();
    assert_eq!(
        refusal(
            client
                .get_object()
                .bucket(BUCKET)
                .key("aborted")
                .send()
                .await
        ),
        "NoSuchKey"
    );
}

async fn listings_are_paged(client: &Client) {
    for n in 0..5 {
        put(client, &format!("list/{n}"), "x").await;
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = client
            .list_objects_v2()
            .bucket(BUCKET)
            .prefix("list/")
            .max_keys(2)
            .set_continuation_token(after)
            .send()
            .await
            .unwrap();
        seen.extend(
            page.contents()
                .iter()
                .filter_map(|object| object.key().map(str::to_owned)),
        );
        after = page.next_continuation_token;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["list/0", "list/1", "list/2", "list/3", "list/4"]);
}

async fn links_work_without_credentials(client: &Client) {
    let browser = browser();
    let valid = || PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let upload = client
        .put_object()
        .bucket(BUCKET)
        .key("linked/a b")
        .content_type("text/plain")
        .presigned(valid())
        .await
        .unwrap();
    let mut sent = browser.put(upload.uri()).body("through a link");
    for (name, value) in upload.headers() {
        sent = sent.header(name, value);
    }
    let sent = sent.send().await.unwrap();
    assert_eq!(sent.status(), 200, "{:?}", sent.text().await);
    let download = client
        .get_object()
        .bucket(BUCKET)
        .key("linked/a b")
        .response_content_disposition("attachment");
    let download = download.presigned(valid()).await.unwrap();
    let got = browser.get(download.uri()).send().await.unwrap();
    assert_eq!(
        (
            got.status().as_u16(),
            got.headers()["content-disposition"].to_str().unwrap()
        ),
        (200, "attachment")
    );
    assert_eq!(got.text().await.unwrap(), "through a link");
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
