//! Creates the first API keys, when Waybill is deployed or started on a laptop for the first time.
//! This needs access to the table itself.

use domain::audit::AuditEvent;
use domain::id::{IdMint, OrganizationId};
use domain::role::Role;
use domain::{Clock, Random};
use secrecy::SecretString;
use store::{Store, StoreError};

use crate::{Operations, Refusal};

/// Creates an operator's key and returns its text, which is not stored.
pub async fn operator_key(
    store: &Store,
    ids: &IdMint,
    random: &Random,
    clock: &Clock,
) -> Result<SecretString, StoreError> {
    let (key, plaintext) = access::issue(
        ids.mint_for(None),
        Role::Operator,
        None,
        "operator".to_owned(),
        None,
        None,
        random,
        clock.now(),
    );
    store.create_key(&key).await?;
    Ok(plaintext)
}

/// Creates an operator's key with the operations' own services, as [`operator_key`] does.
pub async fn first_operator_key(operations: &Operations) -> Result<SecretString, Refusal> {
    let Operations {
        store,
        ids,
        random,
        clock,
        ..
    } = operations;
    Ok(operator_key(store, ids, random, clock).await?)
}

/// Creates an organization with an admin key. Returns its id and the text of the key, which is not
/// stored.
pub async fn organization_with_key(
    operations: &Operations,
    name: &str,
) -> Result<(OrganizationId, SecretString), Refusal> {
    let organization = operations.new_organization(operations.ids.organization(), name.to_owned());
    let created = system_event(
        operations,
        organization.id,
        "organization.created",
        organization.id.to_string(),
    );
    operations
        .store
        .create_organization(&organization, &created)
        .await?;
    let Operations {
        ids,
        random,
        clock,
        store,
        ..
    } = operations;
    let (key, plaintext) = access::issue(
        ids.mint(organization.id, 1),
        Role::Admin,
        Some(organization.id),
        "first key".to_owned(),
        None,
        None,
        random,
        clock.now(),
    );
    store.create_key(&key).await?;
    let event = system_event(
        operations,
        organization.id,
        "api_key.created",
        key.id.to_string(),
    );
    operations.record_made(&event).await;
    Ok((organization.id, plaintext))
}

fn system_event(
    operations: &Operations,
    organization: OrganizationId,
    action: &str,
    target: String,
) -> AuditEvent {
    AuditEvent::by_system(
        operations.ids.mint(organization, 1),
        organization,
        operations.clock.now(),
        action,
        target,
    )
}
