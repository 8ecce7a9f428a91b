use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use domain::credentials::{CredentialKind, Sealed};
use domain::input::{Errors, Fields};
use domain::settings::{DestinationType, Settings};
use futures_util::future::try_join_all;
use local_aws::{Caller, Effect, Fault, Policy, Statement};
use secrecy::{ExposeSecret as _, SecretString};
use vault::{Recipient, Vault, VaultError};

use crate::{Deployment, count, destination, organization, random};

async fn sealed(vault: &Vault, field: &str, secret: &str) -> Sealed {
    vault
        .seal(
            organization(1),
            destination(1),
            field,
            &SecretString::from(secret),
        )
        .await
        .unwrap()
}

async fn open(vault: &Vault, field: &str, sealed: &Sealed) -> Result<String, VaultError> {
    Ok(vault
        .open(organization(1), destination(1), field, sealed)
        .await?
        .expose_secret()
        .to_owned())
}

#[tokio::test]
async fn a_credential_is_ciphertext_and_opens_for_its_own_record_only() {
    let deployment = Deployment::new();
    let vault = deployment.vault();
    let token = sealed(&vault, "credentials/token", "tok_s3cret").await;
    assert!(!token.0.contains("s3cret"));
    assert_eq!(
        open(&vault, "credentials/token", &token).await.unwrap(),
        "tok_s3cret"
    );
    for (org, dst, field) in [
        (2, 1, "credentials/token"),
        (1, 2, "credentials/token"),
        (1, 1, "credentials/value"),
    ] {
        let moved = vault
            .open(organization(org), destination(dst), field, &token)
            .await;
        assert!(
            matches!(moved, Err(VaultError::Corrupt(_))),
            "{org} {dst} {field}: {moved:?}"
        );
    }
}

#[tokio::test]
async fn a_credential_does_not_open_under_the_key_of_another() {
    let deployment = Deployment::new();
    let vault = deployment.vault();
    let fields = [
        ("credentials/a", SecretString::from("one")),
        ("credentials/b", SecretString::from("two")),
    ];
    let sealed = vault
        .seal_all(organization(1), destination(1), &fields)
        .await
        .unwrap();
    assert_eq!(
        open(&vault, "credentials/a", &sealed[0]).await.unwrap(),
        "one"
    );
    assert_eq!(
        open(&vault, "credentials/b", &sealed[1]).await.unwrap(),
        "two"
    );
    assert!(open(&vault, "credentials/a", &sealed[1]).await.is_err());
}

#[tokio::test]
async fn a_damaged_credential_does_not_open() {
    let deployment = Deployment::new();
    let vault = deployment.vault();
    let token = sealed(&vault, "credentials/token", "tok_s3cret").await;
    for position in [0, 8, 100, token.0.len() - 8] {
        let mut damaged = token.0.clone().into_bytes();
        damaged[position] = if damaged[position] == b'A' {
            b'B'
        } else {
            b'A'
        };
        let damaged = Sealed(String::from_utf8(damaged).unwrap());
        assert!(
            matches!(
                open(&vault, "credentials/token", &damaged).await,
                Err(VaultError::Corrupt(_))
            ),
            "{position}"
        );
    }
}

#[tokio::test]
async fn fields_sealed_together_cost_one_data_key() {
    let deployment = Deployment::new();
    let calls = deployment.engines.record();
    let fields = ["a", "b", "c"].map(|field| (field, SecretString::from("secret")));
    deployment
        .vault()
        .seal_all(organization(1), destination(1), &fields)
        .await
        .unwrap();
    deployment
        .vault()
        .seal_all(organization(1), destination(1), &[])
        .await
        .unwrap();
    assert_eq!(count(&calls, "GenerateDataKey"), 1);
}

#[tokio::test]
async fn a_warm_worker_asks_kms_once_for_minutes_of_deliveries() {
    let deployment = Deployment::new();
    let (vault, calls) = (deployment.vault(), deployment.engines.record());
    let token = sealed(&vault, "credentials/token", "tok_s3cret").await;
    try_join_all((0..20).map(|_| open(&vault, "credentials/token", &token)))
        .await
        .unwrap();
    deployment.seconds_pass(60);
    open(&vault.clone(), "credentials/token", &token)
        .await
        .unwrap();
    assert_eq!(count(&calls, "Decrypt"), 1);
    deployment.seconds_pass(300);
    open(&vault, "credentials/token", &token).await.unwrap();
    assert_eq!(count(&calls, "Decrypt"), 2);
}

#[tokio::test]
async fn a_throttled_kms_is_unavailable_and_leaves_nothing_behind() {
    let deployment = Deployment::new();
    let vault = deployment.vault();
    let token = sealed(&vault, "credentials/token", "tok_s3cret").await;
    for fault in [Fault::throttled(), Fault::unavailable()] {
        deployment.engines.install_faults(move |_| fault.clone());
        assert!(
            open(&vault, "credentials/token", &token)
                .await
                .unwrap_err()
                .is_unavailable()
        );
        let refused = vault
            .seal(
                organization(1),
                destination(1),
                "credentials/token",
                &"x".into(),
            )
            .await;
        assert!(refused.unwrap_err().is_unavailable());
    }
    deployment.engines.clear_faults();
    assert_eq!(
        open(&vault, "credentials/token", &token).await.unwrap(),
        "tok_s3cret"
    );
}

#[tokio::test]
async fn a_caller_that_may_only_generate_data_keys_seals_and_never_opens() {
    let deployment = Deployment::new();
    let allow = Statement {
        effect: Effect::Allow,
        actions: vec!["kms:GenerateDataKey".into()],
        resources: vec!["*".into()],
        conditions: Vec::new(),
    };
    let aws = deployment.engines.sdk_config(Caller::new(
        "api",
        Policy {
            statements: vec![allow],
        },
    ));
    let api = Vault::new(
        &aws,
        deployment.engines.key_arn(crate::KEY),
        domain::Clock::new(|| domain::Timestamp::from_millis(0)),
        random(),
    );
    let token = sealed(&api, "credentials/token", "tok_s3cret").await;
    assert!(
        open(&api, "credentials/token", &token)
            .await
            .unwrap_err()
            .is_unavailable()
    );
    assert_eq!(
        open(&deployment.vault(), "credentials/token", &token)
            .await
            .unwrap(),
        "tok_s3cret"
    );
}

#[tokio::test]
async fn no_secret_shows_in_a_debug_print() {
    let deployment = Deployment::new();
    let vault = deployment.vault();
    let token = sealed(&vault, "credentials/token", "tok_s3cret").await;
    let opened = vault
        .open(organization(1), destination(1), "credentials/token", &token)
        .await
        .unwrap();
    assert!(!format!("{vault:?} {token:?} {opened:?}").contains("s3cret"));
}

/// Returns the recipient for a webhook with this URL.
fn recipient(url: &str) -> Recipient {
    let errors = Errors::default();
    let members = serde_json::json!({"url": url})
        .as_object()
        .cloned()
        .unwrap();
    let settings = Settings::read(
        DestinationType::Webhook,
        &mut Fields::new("", members, &errors),
    )
    .unwrap();
    Recipient::new(&settings, CredentialKind::Bearer, &BTreeMap::new())
}

/// A caller who can change records and request checks, but cannot open secrets, cannot have a
/// secret sent to another server.
#[tokio::test]
async fn a_credential_opens_for_its_recipient_and_no_other() {
    let deployment = Deployment::new();
    let vault = deployment.vault();
    let own = recipient("https://hooks.example.com/a");
    let (org, dst) = (organization(1), destination(1));
    let sealed = vault
        .seal_for(
            &own,
            org,
            dst,
            &[("credentials/token", "tok_s3cret".into())],
        )
        .await
        .unwrap()
        .remove(0);
    let opened = async |to: &Recipient| {
        vault
            .open_for(to, org, dst, "credentials/token", &sealed)
            .await
    };
    assert_eq!(opened(&own).await.unwrap().expose_secret(), "tok_s3cret");
    assert_eq!(
        opened(&recipient("https://HOOKS.example.com:443/b"))
            .await
            .unwrap()
            .expose_secret(),
        "tok_s3cret"
    );
    for other in [
        "https://evil.example.com/a",
        "http://hooks.example.com/a",
        "https://hooks.example.com:8443/a",
    ] {
        assert!(
            matches!(opened(&recipient(other)).await, Err(VaultError::Corrupt(_))),
            "{other}"
        );
    }
    assert!(
        vault
            .open(org, dst, "credentials/token", &sealed)
            .await
            .is_err(),
        "it does not open without a recipient"
    );
    // The format is authenticated too: a bound secret cannot be presented as an unbound one.
    let mut bytes = BASE64.decode(&sealed.0).unwrap();
    bytes[0] = 1;
    let downgraded = Sealed(BASE64.encode(bytes));
    assert!(
        vault
            .open_for(&own, org, dst, "credentials/token", &downgraded)
            .await
            .is_err()
    );
}

/// Secrets that were sealed before recipients were recorded stay readable.
#[tokio::test]
async fn a_credential_without_a_recipient_stays_readable() {
    let deployment = Deployment::new();
    let vault = deployment.vault();
    let token = sealed(&vault, "credentials/token", "tok_s3cret").await;
    let to = recipient("https://hooks.example.com/a");
    let opened = vault
        .open_for(
            &to,
            organization(1),
            destination(1),
            "credentials/token",
            &token,
        )
        .await
        .unwrap();
    assert_eq!(opened.expose_secret(), "tok_s3cret");
}
