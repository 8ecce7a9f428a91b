//! The tests that all three providers have to pass.

use std::time::Duration;

use bytes::Bytes;
use domain::Reason;
use domain::check::StepName;
use domain::settings::storage::IfExists;
use tokio::time::timeout;
use worker_storage::Credentials;

use crate::bucket::{Bucket, failed_step, payload, refused, sha256, tracking};

/// The times after which an upload is cancelled.
pub(crate) const MOMENTS_MS: &[u64] = &[0, 1, 3, 10, 20, 40, 60, 80, 120, 160, 240];

/// Reads objects from the bucket without the connector.
pub(crate) trait BucketReader {
    async fn object(&self, key: &str) -> Option<Bytes>;
}

pub(crate) async fn delivers_and_recognises_repeats(bucket: &Bucket, reader: &impl BucketReader) {
    for (name, size) in [
        ("empty", 0),
        ("1KiB", 1024),
        ("8MiB", 8 << 20),
        ("17MiB", 17 << 20),
    ] {
        let (key, bytes) = (format!("{name}/ü b.bin"), payload(size));
        let first = bucket.deliver("dlv_1", &key, &bytes).await;
        let tracked = tracking(&first);
        assert_eq!(
            (tracked["key"].as_str(), tracked["kind"].as_str()),
            (Some(&*key), Some("object")),
            "{name}"
        );
        assert!(
            tracked["etag"].is_string()
                && tracked["uri"]
                    .as_str()
                    .is_some_and(|uri| uri.contains("://")),
            "{tracked}"
        );
        assert_eq!(
            reader.object(&key).await.as_deref(),
            Some(&*bytes),
            "{name}"
        );

        let again = bucket.deliver("dlv_1", &key, &bytes).await;
        assert_eq!(tracking(&again), tracked, "{name}: {}", again.detail);
        assert_eq!(again.detail, "uploaded by an earlier attempt");
        let replacing = bucket.settings.clone().if_exists(IfExists::Replace);
        let again = bucket.with(&replacing, "dlv_1", &key, &bytes).await;
        assert_eq!(
            tracking(&again),
            tracked,
            "{name}: a repeat writes nothing, also where it might"
        );
    }
}

pub(crate) async fn existing_objects_are_respected(bucket: &Bucket, reader: &impl BucketReader) {
    for size in [10, 17 << 20] {
        let (key, first, second) = (format!("occupied/{size}"), payload(20), payload(size));
        tracking(&bucket.deliver("dlv_1", &key, &first).await);

        let failed = bucket.deliver("dlv_2", &key, &second).await;
        assert_eq!(
            failed.outcome,
            refused(Reason::Rejected),
            "{}",
            failed.detail
        );
        let skipped = bucket
            .with(
                &bucket.settings.clone().if_exists(IfExists::Skip),
                "dlv_2",
                &key,
                &second,
            )
            .await;
        tracking(&skipped);
        assert_eq!(reader.object(&key).await.unwrap(), first, "it stays");
        let replaced = bucket
            .with(
                &bucket.settings.clone().if_exists(IfExists::Replace),
                "dlv_2",
                &key,
                &second,
            )
            .await;
        tracking(&replaced);
        assert_eq!(
            reader.object(&key).await.unwrap(),
            second,
            "it is written over"
        );
    }
}

/// The bytes of another delivery are not this one's, even if they are the same.
pub(crate) async fn equal_bytes_of_another_delivery_are_another_object(bucket: &Bucket) {
    const EARLIER: &str = "uploaded by an earlier attempt";
    let with = |if_exists| bucket.settings.clone().if_exists(if_exists);
    for size in [0, 10, 17 << 20] {
        let (key, bytes) = (format!("equal/{size}"), payload(size));
        tracking(&bucket.deliver("dlv_1", &key, &bytes).await);

        let failed = bucket.deliver("dlv_2", &key, &bytes).await;
        assert_eq!(
            failed.outcome,
            refused(Reason::Rejected),
            "{size}: {}",
            failed.detail
        );
        let skipped = bucket
            .with(&with(IfExists::Skip), "dlv_2", &key, &bytes)
            .await;
        tracking(&skipped);
        assert!(
            skipped.detail.contains("was kept"),
            "{size}: {}",
            skipped.detail
        );
        let replaced = bucket
            .with(&with(IfExists::Replace), "dlv_2", &key, &bytes)
            .await;
        tracking(&replaced);
        assert_eq!(replaced.detail, "uploaded", "{size}");

        // The object is the second delivery's now, and no longer the first one's.
        let again = bucket.deliver("dlv_2", &key, &bytes).await;
        assert_eq!(
            (tracking(&again), &*again.detail),
            (tracking(&replaced), EARLIER),
            "{size}"
        );
        let failed = bucket.deliver("dlv_1", &key, &bytes).await;
        assert_eq!(
            failed.outcome,
            refused(Reason::Rejected),
            "{size}: {}",
            failed.detail
        );
    }
}

pub(crate) async fn nothing_half_written_is_seen(
    bucket: &Bucket,
    reader: &impl BucketReader,
    moments_ms: &[u64],
) {
    let bytes = payload(20 << 20);
    for millis in moments_ms.iter().copied() {
        let key = format!("cancelled/{millis}");
        drop(
            timeout(
                Duration::from_millis(millis),
                bucket.deliver("dlv_1", &key, &bytes),
            )
            .await,
        );
        if let Some(found) = reader.object(&key).await {
            assert_eq!(found.len(), bytes.len(), "{key}");
        }
        tracking(&bucket.deliver("dlv_1", &key, &bytes).await);
        assert_eq!(reader.object(&key).await.unwrap(), bytes, "{key}");
    }
    for (key, size) in [("short/small", 100), ("short/large", 20 << 20)] {
        let broken = bucket
            .broken(key, size as u64, bytes.slice(..size - 1))
            .await;
        assert!(
            domain::chain(&broken.unwrap_err())
                .to_string()
                .contains("payload"),
            "a failure of the payload's source is no outcome of the destination's"
        );
        assert_eq!(reader.object(key).await, None, "{key}");
    }
}

pub(crate) async fn wrong_credentials_are_named(bucket: &Bucket, wrong: &[(&str, Credentials)]) {
    for (name, credentials) in wrong {
        let attempted = bucket.authenticated(credentials).await;
        assert_eq!(
            attempted.outcome,
            refused(Reason::Authentication),
            "{name}: {}",
            attempted.detail
        );
        let report = bucket.check(&bucket.settings, credentials).await;
        assert_eq!(
            failed_step(&report).0,
            StepName::Authenticate,
            "{name}: {report:?}"
        );
        let printed = format!("{attempted:?}{report:?}");
        assert!(!printed.contains("wrong-secret"), "{name}: {printed}");
    }
}

pub(crate) async fn the_check_names_the_step(bucket: &Bucket, reader: &impl BucketReader) {
    let report = bucket.check(&bucket.settings, &bucket.credentials).await;
    assert!(report.ok, "{report:?}");
    let names: Vec<StepName> = report
        .steps
        .iter()
        .map(|step| step.name)
        .filter(|name| *name != StepName::Tls)
        .collect();
    assert_eq!(
        names,
        [
            StepName::Resolve,
            StepName::Connect,
            StepName::Authenticate,
            StepName::Authorize,
            StepName::Write
        ]
    );
    assert!(
        report
            .steps
            .iter()
            .all(|step| !step.detail.contains("warning")),
        "{report:?}"
    );
    assert_eq!(
        reader.object("some/where/waybill-check-0a1b2c").await,
        None,
        "it is deleted"
    );

    let missing = bucket
        .check(
            &bucket.settings.clone().bucket("missing"),
            &bucket.credentials,
        )
        .await;
    let (step, detail) = failed_step(&missing);
    assert_eq!(step, StepName::Authorize, "{missing:?}");
    assert!(detail.contains("there is no missing"), "{detail}");
}

pub(crate) async fn metadata_leads_back(name: &str, found: Option<&str>, bytes: &Bytes) {
    let expected = match name.replace('_', "-").as_str() {
        "waybill-delivery-id" => "dlv_1".to_owned(),
        "waybill-message-id" => "msg_1".to_owned(),
        "waybill-event-type" => "report.ready".to_owned(),
        "waybill-sha256" => sha256(bytes),
        other => panic!("{other}"),
    };
    assert_eq!(found, Some(&*expected), "{name}");
}
