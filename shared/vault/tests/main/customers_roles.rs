//! Tests secrets that customers' own roles read, with an STS and a Secrets Manager that enforce
//! IAM.

use domain::signing_secret::SecretRole;
use domain::{Clock, Timestamp};
use kit::iam_s3::{IamS3, SECRET};
use secrecy::ExposeSecret as _;
use vault::{Vault, VaultError};

use crate::{organization, random};

fn vault(server: &IamS3, who: &str) -> Vault {
    let clock = Clock::new(|| Timestamp::from_millis(1_764_000_000_000));
    Vault::new(&server.sdk_config(who), None, clock, random())
}

fn role(role_arn: &str, external_id: &str) -> SecretRole {
    SecretRole {
        role_arn: role_arn.to_owned(),
        external_id: external_id.to_owned(),
    }
}

#[tokio::test]
async fn a_customers_role_reads_its_secret_for_the_organization_with_the_external_id_that_it_trusts()
 {
    let server = IamS3::start();
    let vault = vault(&server, "function");
    let read = async |arn: &str, role: &SecretRole| {
        vault.referenced(arn, Some(role), organization(1)).await
    };
    let signing = role(&server.secret_role_arn, &server.external_id);
    assert_eq!(
        read(&server.secret_arn, &signing)
            .await
            .unwrap()
            .expose_secret(),
        SECRET
    );
    let partial = server.secret_arn.rsplit_once('-').unwrap().0;
    assert_eq!(
        read(partial, &signing).await.unwrap().expose_secret(),
        SECRET,
        "a partial ARN"
    );

    let anothers = role(&server.secret_role_arn, "another's");
    let refused = vault
        .referenced(&server.secret_arn, Some(&anothers), organization(2))
        .await;
    assert!(
        matches!(refused, Err(VaultError::RoleRefused { .. })),
        "{refused:?}"
    );
    let not_a_role = role(
        "arn:aws:iam::123456789012:user/function",
        &server.external_id,
    );
    let refused = read(&server.secret_arn, &not_a_role).await;
    assert!(
        matches!(refused, Err(VaultError::RoleRefused { .. })),
        "{refused:?}"
    );
    let without_rights = role(&server.role_arn, &server.external_id);
    assert!(
        read(&server.secret_arn, &without_rights).await.is_err(),
        "the role's own rights decide"
    );
    let missing = read(&server.secret_arn.replace("signing", "missing"), &signing).await;
    assert!(
        matches!(missing, Err(VaultError::Missing { .. })),
        "{missing:?}"
    );
}

#[tokio::test]
async fn an_sts_that_does_not_answer_is_unavailable_and_not_a_fault_of_the_customers() {
    let server = IamS3::start();
    let (arn, signing) = (
        server.secret_arn.clone(),
        role(&server.secret_role_arn, &server.external_id),
    );
    let vault = vault(&server, "function");
    drop(server);
    let failed = vault
        .referenced(&arn, Some(&signing), organization(1))
        .await;
    assert!(failed.unwrap_err().is_unavailable());
}
