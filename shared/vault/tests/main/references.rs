use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::Tag;
use domain::id::OrganizationId;
use local_aws::Fault;
use secrecy::ExposeSecret as _;
use vault::{ORGANIZATION_TAG, Vault, VaultError};

use crate::{Deployment, SIGNING_KEYS, count, organization};

/// Creates a customer's secret, tagged for an organization.
async fn secret(
    deployment: &Deployment,
    name: &str,
    owner: Option<OrganizationId>,
    text: &str,
) -> String {
    let tag = owner.map(|owner| {
        Tag::builder()
            .key(ORGANIZATION_TAG)
            .value(owner.to_string())
            .build()
    });
    let create = Client::new(&deployment.aws())
        .create_secret()
        .name(name)
        .secret_string(text)
        .set_tags(tag.map(|tag| vec![tag]));
    create.send().await.unwrap().arn.unwrap()
}

async fn read(vault: &Vault, arn: &str) -> Result<String, VaultError> {
    Ok(vault
        .referenced(arn, None, organization(1))
        .await?
        .expose_secret()
        .to_owned())
}

#[tokio::test]
async fn a_referenced_secret_is_read_by_the_organization_it_is_tagged_for_and_by_no_other() {
    let deployment = Deployment::new();
    let vault = deployment.vault();
    let ours = secret(&deployment, "ours", Some(organization(1)), "whsec_1").await;
    let theirs = secret(&deployment, "theirs", Some(organization(2)), "whsec_2").await;
    let unowned = secret(&deployment, "nobodys", None, "whsec_3").await;
    let own = deployment.engines.secret_arn(SIGNING_KEYS).unwrap();
    assert_eq!(read(&vault, &ours).await.unwrap(), "whsec_1");
    assert!(
        vault
            .referenced(&ours, None, organization(2))
            .await
            .is_err(),
        "what one organization read, another does not find"
    );
    for arn in [&*theirs, &unowned, own] {
        assert!(
            matches!(read(&vault, arn).await, Err(VaultError::Refused { .. })),
            "{arn}"
        );
    }
    let missing = ours.replace("ours", "gone");
    assert!(matches!(
        read(&vault, &missing).await,
        Err(VaultError::Missing { .. })
    ));
}

#[tokio::test]
async fn a_secret_changed_in_secrets_manager_is_used_within_five_minutes() {
    let deployment = Deployment::new();
    let (vault, calls) = (deployment.vault(), deployment.engines.record());
    let arn = secret(&deployment, "ours", Some(organization(1)), "old").await;
    assert_eq!(read(&vault, &arn).await.unwrap(), "old");
    Client::new(&deployment.aws())
        .put_secret_value()
        .secret_id(&arn)
        .secret_string("new")
        .send()
        .await
        .unwrap();
    deployment.seconds_pass(60);
    read(&vault, &arn).await.unwrap();
    assert_eq!(count(&calls, "GetSecretValue"), 1);
    // Continuous use does not extend the time for which the old one is cached.
    deployment.seconds_pass(230);
    assert_eq!(read(&vault, &arn).await.unwrap(), "new");
}

#[tokio::test]
async fn secrets_manager_being_down_is_unavailable_and_not_a_fault_of_the_destination() {
    let deployment = Deployment::new();
    let arn = secret(&deployment, "ours", Some(organization(1)), "whsec_1").await;
    deployment.engines.install_faults(|_| Fault::throttled());
    assert!(
        read(&deployment.vault(), &arn)
            .await
            .unwrap_err()
            .is_unavailable()
    );
}
