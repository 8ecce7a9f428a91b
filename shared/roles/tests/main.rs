//! Tests session policies by evaluating them as IAM does.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]
#![allow(
    missing_docs,
    reason = "tests are named so that they read as what they hold"
)]

use domain::role_arn::RoleArn;
use local_aws::{Decision, Policy, Target};
use roles::Purpose;

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:signing-AbCdEf";

fn policy(purpose: Purpose<'_>) -> Policy {
    let role: RoleArn = "arn:aws:iam::123456789012:role/waybill".parse().unwrap();
    Policy::from_json(&purpose.session_policy(&role)).unwrap()
}

fn allows(purpose: Purpose<'_>, target: &Target) -> bool {
    policy(purpose).decide(target) == Decision::Allowed
}

#[test]
fn a_session_reaches_its_bucket_and_no_other() {
    let object =
        |action: &str, bucket: &str| Target::new(action, format!("arn:aws:s3:::{bucket}/a/b"));
    let write = Purpose::WriteBucket("reports");
    for action in [
        "s3:PutObject",
        "s3:GetObject",
        "s3:DeleteObject",
        "s3:PutObjectTagging",
        "s3:AbortMultipartUpload",
    ] {
        assert!(allows(write, &object(action, "reports")), "{action}");
        for other in ["reports-2", "report", "other"] {
            assert!(!allows(write, &object(action, other)), "{action} {other}");
        }
    }
    for action in [
        "s3:PutBucketPolicy",
        "s3:DeleteBucket",
        "s3:ListAllMyBuckets",
        "iam:CreateUser",
        "sts:AssumeRole",
        "kms:Decrypt",
    ] {
        assert!(
            !allows(write, &Target::new(action, "arn:aws:s3:::reports")),
            "{action}"
        );
    }
    let read = Purpose::ReadBucket("reports");
    assert!(
        allows(read, &object("s3:GetObject", "reports"))
            && allows(read, &object("s3:GetObjectVersion", "reports"))
    );
    assert!(
        allows(read, &Target::new("s3:ListBucket", "arn:aws:s3:::reports")),
        "a missing object is distinguished from a forbidden one"
    );
    for action in ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"] {
        assert!(!allows(read, &object(action, "reports")), "{action}");
    }
}

#[test]
fn kms_keys_are_used_only_through_the_service() {
    let key = || Target::new("kms:Decrypt", "arn:aws:kms:eu-west-1:123456789012:key/1");
    for (purpose, service, other) in [
        (Purpose::WriteBucket("reports"), "s3", "secretsmanager"),
        (Purpose::ReadBucket("reports"), "s3", "secretsmanager"),
        (Purpose::ReadSecret(SECRET), "secretsmanager", "s3"),
    ] {
        let through = |service: &str| {
            key().with(
                "kms:ViaService",
                &format!("{service}.eu-west-1.amazonaws.com"),
            )
        };
        assert!(allows(purpose, &through(service)), "{purpose:?}");
        assert!(
            !allows(purpose, &through(other)) && !allows(purpose, &key()),
            "{purpose:?}"
        );
    }
}

#[test]
fn a_session_sends_from_its_address_and_no_other() {
    let purpose = Purpose::SendMailFrom("reports@acme.example");
    let send = |from: &str| {
        Target::new(
            "ses:SendEmail",
            "arn:aws:ses:eu-west-1:123456789012:identity/acme.example",
        )
        .with("ses:FromAddress", from)
    };
    assert!(
        allows(purpose, &send("reports@acme.example"))
            && allows(purpose, &send("Reports@Acme.example"))
    );
    assert!(!allows(purpose, &send("ceo@acme.example")));
    assert!(!allows(
        purpose,
        &Target::new(
            "ses:DeleteEmailIdentity",
            "arn:aws:ses:eu-west-1:123456789012:identity/acme.example"
        )
    ));
}

#[test]
fn a_session_reads_its_secret_and_no_other() {
    let purpose = Purpose::ReadSecret(SECRET);
    assert!(allows(
        purpose,
        &Target::new("secretsmanager:GetSecretValue", SECRET)
    ));
    let other = SECRET.replace("signing", "other");
    assert!(!allows(
        purpose,
        &Target::new("secretsmanager:GetSecretValue", other)
    ));
    assert!(!allows(
        purpose,
        &Target::new("secretsmanager:PutSecretValue", SECRET)
    ));
}

/// STS accepts 2,048 characters of U+0020 to U+00FF (API reference, AssumeRole).
#[test]
fn the_policy_for_the_longest_names_fits_the_limit_of_sts() {
    let role: RoleArn = format!(
        "arn:aws-us-gov:iam::123456789012:role/{}",
        ["p".repeat(64), "r".repeat(64)].join("/")
    )
    .parse()
    .unwrap();
    let (bucket, address) = (
        "b".repeat(63),
        format!("{}@{}.example", "a".repeat(64), "d".repeat(180)),
    );
    let arn = format!(
        "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:{}",
        "s".repeat(512)
    );
    for purpose in [
        Purpose::ReadBucket(&bucket),
        Purpose::WriteBucket(&bucket),
        Purpose::SendMailFrom(&address),
        Purpose::ReadSecret(&arn),
    ] {
        let policy = purpose.session_policy(&role);
        assert!(
            policy.len() <= 2048 && policy.chars().all(|c| (' '..='\u{ff}').contains(&c)),
            "{} characters",
            policy.len()
        );
    }
}
