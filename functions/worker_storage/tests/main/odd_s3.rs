//! Tests stores whose S3 protocol differs from Amazon's.

use std::collections::BTreeMap;

use domain::Reason;
use domain::check::{CheckReport, StepName};
use domain::settings::storage::{IfExists, S3Settings};
use domain::settle::Outcome;
use kit::odd_s3::{BUCKET, Conditional, OddS3, Oddities};
use worker_storage::Credentials;

use crate::bucket::{
    Any, Bucket, failed_step, no_credentials, object_settings, payload, refused, tracking,
};

/// The size of an object in one request, and of one in parts.
const SIZES: [usize; 2] = [10, 17 << 20];

fn bucket(server: &OddS3) -> Bucket {
    let settings = S3Settings {
        bucket: BUCKET.to_owned(),
        region: Some("us-east-1".to_owned()),
        endpoint: Some(server.endpoint.clone()),
        server_side_encryption: None,
        kms_key_id: None,
        tags: BTreeMap::new(),
        object: object_settings(),
    };
    let credentials = Credentials::AccessKey {
        access_key_id: "AKIDODD".to_owned(),
        secret_access_key: "secret".to_owned().into(),
        session_token: None,
    };
    Bucket::new(no_credentials(), Any::S3(settings), credentials)
}

async fn store(conditional: Conditional) -> (OddS3, Bucket) {
    odd(Oddities {
        conditional,
        ..Oddities::default()
    })
    .await
}

async fn odd(oddities: Oddities) -> (OddS3, Bucket) {
    let server = OddS3::start(oddities).await;
    let bucket = bucket(&server);
    (server, bucket)
}

async fn checked(bucket: &Bucket) -> CheckReport {
    bucket.check(&bucket.settings, &bucket.credentials).await
}

fn write_detail(report: &CheckReport) -> &str {
    assert!(report.ok, "{report:?}");
    &report.steps.last().unwrap().detail
}

const ALL: [Conditional; 4] = [
    Conditional::Honored,
    Conditional::Ignored,
    Conditional::IgnoredInParts,
    Conditional::Refused,
];

#[tokio::test]
async fn no_object_is_overwritten_whatever_the_store_does_with_conditions() {
    for conditional in ALL {
        let (server, bucket) = store(conditional).await;
        for size in SIZES {
            let key = format!("occupied/{size}");
            server.put(&key, b"theirs");
            let failed = bucket.deliver("dlv_1", &key, &payload(size)).await;
            assert_eq!(
                failed.outcome,
                refused(Reason::Rejected),
                "{conditional:?} {size}: {}",
                failed.detail
            );
            let skipping = bucket.settings.clone().if_exists(IfExists::Skip);
            tracking(&bucket.with(&skipping, "dlv_1", &key, &payload(size)).await);
            assert_eq!(
                &*server.object(&key).unwrap(),
                b"theirs",
                "{conditional:?} {size}"
            );
            let replacing = bucket.settings.clone().if_exists(IfExists::Replace);
            tracking(&bucket.with(&replacing, "dlv_1", &key, &payload(size)).await);
            assert_eq!(
                server.object(&key).unwrap(),
                payload(size),
                "{conditional:?} {size}"
            );
        }
    }
}

#[tokio::test]
async fn objects_arrive_and_repeats_are_recognised_whatever_the_store_does_with_conditions() {
    for conditional in ALL {
        let (server, bucket) = store(conditional).await;
        for size in SIZES {
            let key = format!("free/{size}");
            tracking(&bucket.deliver("dlv_1", &key, &payload(size)).await);
            assert_eq!(
                server.object(&key).unwrap(),
                payload(size),
                "{conditional:?}"
            );
            let again = bucket.deliver("dlv_1", &key, &payload(size)).await;
            assert_eq!(
                again.detail, "uploaded by an earlier attempt",
                "{conditional:?} {size}"
            );
        }
    }
}

#[tokio::test]
async fn the_check_warns_where_conditions_do_not_protect_objects() {
    for (conditional, warning) in [
        (Conditional::Ignored, "ignores conditional writes"),
        (Conditional::IgnoredInParts, "ignores conditional writes"),
        (
            Conditional::Refused,
            "does not implement conditional writes",
        ),
    ] {
        let (server, bucket) = store(conditional).await;
        let report = checked(&bucket).await;
        assert!(
            write_detail(&report).contains(warning),
            "{conditional:?}: {report:?}"
        );
        assert_eq!(server.keys(), Vec::<String>::new(), "the check cleans up");
        let replacing = bucket.settings.clone().if_exists(IfExists::Replace);
        let report = bucket.check(&replacing, &bucket.credentials).await;
        assert!(
            !write_detail(&report).contains("warning"),
            "replacing needs no conditions: {report:?}"
        );
    }
    let (_server, bucket) = store(Conditional::Honored).await;
    let report = checked(&bucket).await;
    assert!(!write_detail(&report).contains("warning"), "{report:?}");
}

#[tokio::test]
async fn the_check_fails_where_neither_conditions_nor_looking_protect_objects() {
    for conditional in [
        Conditional::Ignored,
        Conditional::IgnoredInParts,
        Conditional::Refused,
    ] {
        let (server, bucket) = odd(Oddities {
            conditional,
            write_only: true,
            ..Oddities::default()
        })
        .await;
        let report = checked(&bucket).await;
        let (step, detail) = failed_step(&report);
        assert_eq!(step, StepName::Write, "{conditional:?}: {report:?}");
        assert!(detail.contains("If-None-Match"), "{detail}");
        assert_eq!(server.keys(), Vec::<String>::new(), "the check cleans up");
    }
    let (_server, bucket) = odd(Oddities {
        write_only: true,
        ..Oddities::default()
    })
    .await;
    assert!(
        checked(&bucket).await.ok,
        "a store that honors conditions needs no reading"
    );
}

#[tokio::test]
async fn nothing_is_overwritten_if_the_store_supports_neither_conditions_nor_looking() {
    for conditional in [
        Conditional::Ignored,
        Conditional::IgnoredInParts,
        Conditional::Refused,
    ] {
        let (server, bucket) = odd(Oddities {
            conditional,
            write_only: true,
            ..Oddities::default()
        })
        .await;
        for size in SIZES {
            let key = format!("occupied/{size}");
            server.put(&key, b"theirs");
            let attempted = bucket.deliver("dlv_1", &key, &payload(size)).await;
            assert_ne!(
                attempted.outcome.reason(),
                None,
                "{conditional:?} {size}: {}",
                attempted.detail
            );
            assert_eq!(
                &*server.object(&key).unwrap(),
                b"theirs",
                "{conditional:?} {size}"
            );
        }
    }
    let (server, bucket) = odd(Oddities {
        write_only: true,
        ..Oddities::default()
    })
    .await;
    for size in SIZES {
        tracking(
            &bucket
                .deliver("dlv_1", &format!("free/{size}"), &payload(size))
                .await,
        );
    }
    assert_eq!(
        server
            .keys()
            .iter()
            .filter(|key| !key.starts_with("free/"))
            .count(),
        1,
        "one small object is kept for the trial"
    );
}

#[tokio::test]
async fn leftovers_that_the_check_cannot_delete_are_a_warning() {
    let (server, bucket) = odd(Oddities {
        keeps_everything: true,
        ..Oddities::default()
    })
    .await;
    let report = checked(&bucket).await;
    let detail = write_detail(&report);
    assert!(
        detail.contains("could not be deleted") && detail.contains("could not be aborted"),
        "{detail}"
    );
    assert_eq!(server.keys().len(), 1);
}

#[tokio::test]
async fn a_bucket_with_object_lock_gets_its_checksums() {
    let (server, bucket) = odd(Oddities {
        demands_md5: true,
        ..Oddities::default()
    })
    .await;
    for size in [0, 10, 17 << 20] {
        let key = format!("locked/{size}");
        tracking(&bucket.deliver("dlv_1", &key, &payload(size)).await);
        assert_eq!(server.object(&key).unwrap(), payload(size));
    }
    assert!(checked(&bucket).await.ok);
}

#[tokio::test]
async fn other_conflicts_are_not_another_upload() {
    for (status, code, outcome) in [
        (409, "OperationAborted", Outcome::Retry(Reason::ServerError)),
        (412, "LeaseIdMissing", refused(Reason::Rejected)),
        (409, "InvalidBucketState", refused(Reason::Rejected)),
    ] {
        let (_server, bucket) = odd(Oddities {
            refuses: Some((status, code, Vec::new())),
            ..Oddities::default()
        })
        .await;
        for if_exists in [IfExists::Fail, IfExists::Skip, IfExists::Replace] {
            let settings = bucket.settings.clone().if_exists(if_exists);
            let attempted = bucket.with(&settings, "dlv_1", "a", &payload(10)).await;
            assert_eq!(attempted.outcome, outcome, "{code}: {}", attempted.detail);
            assert!(
                attempted.detail.contains(code) && !attempted.detail.contains("another upload"),
                "{}",
                attempted.detail
            );
        }
    }
}

#[tokio::test]
async fn the_region_of_a_bucket_is_named() {
    let headers = vec![("x-amz-bucket-region", "eu-central-1")];
    let (_server, bucket) = odd(Oddities {
        refuses: Some((301, "PermanentRedirect", headers)),
        ..Oddities::default()
    })
    .await;
    let attempted = bucket.deliver("dlv_1", "a", &payload(10)).await;
    assert_eq!(attempted.outcome, Outcome::Reject(Reason::Misconfigured));
    assert!(
        attempted.detail.contains("eu-central-1"),
        "{}",
        attempted.detail
    );
    let report = checked(&bucket).await;
    assert!(
        failed_step(&report).1.contains("eu-central-1"),
        "{report:?}"
    );
}

#[tokio::test]
async fn the_store_s_retry_after_is_respected() {
    let dated = vec![
        ("date", "Mon, 30 Nov 2026 02:00:00 GMT"),
        ("retry-after", "Mon, 30 Nov 2026 02:00:40 GMT"),
    ];
    for (headers, seconds) in [(vec![("retry-after", "40")], 40), (dated, 40)] {
        let (_server, bucket) = odd(Oddities {
            refuses: Some((503, "SlowDown", headers)),
            ..Oddities::default()
        })
        .await;
        let attempted = bucket.deliver("dlv_1", "a", &payload(10)).await;
        let wait = std::time::Duration::from_secs(seconds);
        assert_eq!(
            attempted.outcome,
            Outcome::Throttled(Reason::RateLimited, wait)
        );
    }
}
