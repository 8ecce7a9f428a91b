use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use domain::Timestamp;
use domain::key_ring::KeyRing;
use local_aws::{Caller, Fault, Policy};
use vault::{KeySource, KeyUse, RotateError, SIGNS_AFTER, VaultError, accept, key_ring, rotate};

use crate::{Deployment, SIGNING_KEYS, random};

const USES: [KeyUse; 4] = [
    KeyUse::Ids,
    KeyUse::Cursors,
    KeyUse::Links,
    KeyUse::Sessions,
];

fn after(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_764_000_000_000).plus(Duration::from_secs(seconds))
}

/// Creates a secret like the template does.
async fn secret(deployment: &Deployment, name: &str, root: &str) -> String {
    let text = format!(r#"{{"root":"{root}"}}"#);
    let create = Client::new(&deployment.aws())
        .create_secret()
        .name(name)
        .secret_string(text);
    create.send().await.unwrap().arn.unwrap()
}

#[tokio::test]
async fn signing_keys_are_the_same_in_every_process_and_differ_by_use() {
    let deployment = Deployment::new();
    let (aws, arn) = (
        deployment.aws(),
        deployment.engines.secret_arn(SIGNING_KEYS).unwrap(),
    );
    let mut keys = Vec::new();
    for usage in USES {
        let first = key_ring(&aws, arn, usage, after(0)).await.unwrap();
        let second = key_ring(&aws, arn, usage, after(0)).await.unwrap();
        assert_eq!(
            (first.signing(), first.accepted()),
            (second.signing(), second.accepted())
        );
        keys.push(first.signing());
    }
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), USES.len());
    for text in ["r", ""] {
        let short = secret(&deployment, &format!("short{text}"), text).await;
        assert!(matches!(
            key_ring(&aws, &short, KeyUse::Ids, after(0)).await,
            Err(VaultError::Corrupt(_))
        ));
    }
}

/// One process reads just before the rotation, another immediately after it. Neither ever signs
/// something that the other rejects.
#[tokio::test]
async fn processes_that_run_through_a_rotation_accept_what_each_other_signs() {
    let deployment = Deployment::new();
    let (aws, arn) = (
        deployment.aws(),
        deployment
            .engines
            .secret_arn(SIGNING_KEYS)
            .unwrap()
            .to_owned(),
    );
    let early = KeySource::new(&aws, arn.clone(), KeyUse::Links);
    let before = early.ring(after(0)).await.unwrap().signing();
    rotate(&aws, &arn, KeyUse::Links, &random(), after(1), SIGNS_AFTER)
        .await
        .unwrap();
    let late = KeySource::new(&aws, arn, KeyUse::Links);
    for second in (2..2000).step_by(50) {
        let (one, other) = (
            early.ring(after(second)).await.unwrap(),
            late.ring(after(second)).await.unwrap(),
        );
        for (signs, accepts) in [(&one, &other), (&other, &one)] {
            assert!(accepts.accepted().contains(&signs.signing()), "{second}");
        }
    }
    let ring = early.ring(after(2000)).await.unwrap();
    assert!(ring.signing() != before && ring.accepted().contains(&before));
}

#[tokio::test]
async fn a_process_goes_on_with_the_keys_it_has_while_secrets_manager_is_down() {
    let deployment = Deployment::new();
    let (aws, arn) = (
        deployment.aws(),
        deployment
            .engines
            .secret_arn(SIGNING_KEYS)
            .unwrap()
            .to_owned(),
    );
    let source = KeySource::new(&aws, arn.clone(), KeyUse::Sessions);
    let before = source.ring(after(0)).await.unwrap().signing();
    deployment.engines.install_faults(|_| Fault::throttled());
    assert_eq!(source.ring(after(400)).await.unwrap().signing(), before);
    let other = KeySource::new(&aws, arn, KeyUse::Sessions);
    assert!(other.ring(after(400)).await.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn a_rotation_waits_for_the_one_before_it() {
    let deployment = Deployment::new();
    let (aws, arn) = (
        deployment.aws(),
        deployment.engines.secret_arn(SIGNING_KEYS).unwrap(),
    );
    let ring = async |now| key_ring(&aws, arn, KeyUse::Cursors, now).await.unwrap();
    let first = ring(after(0)).await.signing();
    let signs_from = rotate(&aws, arn, KeyUse::Cursors, &random(), after(0), SIGNS_AFTER)
        .await
        .unwrap();
    assert_eq!(signs_from, after(900));
    let again = rotate(
        &aws,
        arn,
        KeyUse::Cursors,
        &random(),
        after(899),
        SIGNS_AFTER,
    )
    .await;
    assert!(matches!(again, Err(RotateError::UnderWay(from)) if from == signs_from));
    assert_eq!(ring(after(899)).await.signing(), first);
    rotate(
        &aws,
        arn,
        KeyUse::Cursors,
        &random(),
        after(900),
        SIGNS_AFTER,
    )
    .await
    .unwrap();
    assert!(
        !ring(after(900)).await.accepted().contains(&first),
        "two versions are accepted"
    );
}

#[tokio::test]
async fn no_rotation_takes_a_version_of_ids_away() {
    let deployment = Deployment::new();
    let (aws, arn) = (
        deployment.aws(),
        deployment.engines.secret_arn(SIGNING_KEYS).unwrap(),
    );
    let ring = async |now| -> KeyRing { key_ring(&aws, arn, KeyUse::Ids, now).await.unwrap() };
    let first = ring(after(0)).await.signing();
    for round in 0..5 {
        rotate(
            &aws,
            arn,
            KeyUse::Ids,
            &random(),
            after(round * 1000),
            SIGNS_AFTER,
        )
        .await
        .unwrap();
    }
    let last = ring(after(9000)).await;
    assert_eq!((last.accepted().len(), last.oldest()), (6, first));
}

#[tokio::test]
async fn keys_of_another_secret_are_accepted_until_the_next_rotation_and_never_for_ids() {
    let deployment = Deployment::new();
    let aws = deployment.aws();
    let old = secret(&deployment, "old", &"o".repeat(64)).await;
    let new = secret(&deployment, "new", &"n".repeat(64)).await;
    let ring = async |arn, now| key_ring(&aws, arn, KeyUse::Links, now).await.unwrap();
    let (before, signing) = (
        ring(&old, after(0)).await.signing(),
        ring(&new, after(0)).await.signing(),
    );
    for _ in 0..2 {
        accept(&aws, &new, KeyUse::Links, &old, after(0))
            .await
            .unwrap();
        let both = ring(&new, after(0)).await;
        assert_eq!(
            (both.signing(), both.accepted()),
            (signing, vec![signing, before])
        );
    }
    rotate(&aws, &new, KeyUse::Links, &random(), after(0), SIGNS_AFTER)
        .await
        .unwrap();
    assert!(!ring(&new, after(0)).await.accepted().contains(&before));
    let refused = accept(&aws, &new, KeyUse::Ids, &old, after(0)).await;
    assert!(matches!(refused, Err(RotateError::AcceptsForGood)));
}

#[tokio::test]
async fn a_role_without_the_right_to_a_secret_reads_no_keys() {
    let deployment = Deployment::new();
    let arn = deployment.engines.secret_arn(SIGNING_KEYS).unwrap();
    let aws = deployment.engines.sdk_config(Caller::new(
        "worker",
        Policy {
            statements: Vec::new(),
        },
    ));
    assert!(key_ring(&aws, arn, KeyUse::Ids, after(0)).await.is_err());
    assert!(
        rotate(&aws, arn, KeyUse::Ids, &random(), after(0), SIGNS_AFTER)
            .await
            .is_err()
    );
}
