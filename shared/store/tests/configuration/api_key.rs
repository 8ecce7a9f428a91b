use std::time::Duration;

use domain::api_key::ApiKey;
use domain::id::{Id as _, KeyId, OrganizationId};
use domain::role::Role;

use crate::fixture::Fixture;

fn new_key(fixture: &Fixture, organization_id: Option<OrganizationId>) -> ApiKey {
    fixture.advance(Duration::from_millis(1));
    let id = organization_id.map_or_else(|| KeyId::from(fixture.ids.organization().ulid()), |id| fixture.ids.mint(id, 1));
    ApiKey {
        id,
        organization_id,
        name: "ci".to_owned(),
        role: if organization_id.is_some() { Role::Admin } else { Role::Operator },
        secret_sha256: "00".repeat(32),
        hint: "last".to_owned(),
        created_at: fixture.now(),
        created_by: None,
        expires_at: None,
        last_used_at: None,
    }
}

#[tokio::test]
async fn keys_are_listed_with_their_organization_oldest_first() {
    let fixture = Fixture::new();
    let (ours, theirs) = (fixture.ids.organization(), fixture.ids.organization());
    let owners = [Some(ours), Some(ours), Some(theirs), None];
    let keys = owners.map(|owner| new_key(&fixture, owner));
    for key in &keys {
        fixture.store.create_key(key).await.unwrap();
    }
    assert_eq!(fixture.store.keys(Some(ours)).await.unwrap(), keys[..2]);
    assert_eq!(fixture.store.keys(Some(theirs)).await.unwrap(), keys[2..3]);
    assert_eq!(fixture.store.keys(None).await.unwrap(), keys[3..]);
    assert!(fixture.store.create_key(&keys[0]).await.is_err(), "an id is taken once");
}

#[tokio::test]
async fn a_deleted_key_is_gone_at_once_and_stays_so() {
    let fixture = Fixture::new();
    let (ours, theirs) = (fixture.ids.organization(), fixture.ids.organization());
    let key = new_key(&fixture, Some(ours));
    fixture.store.create_key(&key).await.unwrap();
    assert!(!fixture.store.delete_key(Some(theirs), key.id).await.unwrap(), "it is not theirs");
    assert!(!fixture.store.delete_key(None, key.id).await.unwrap());
    assert_eq!(fixture.store.key(key.id).await.unwrap(), Some(key.clone()));

    assert!(fixture.store.delete_key(Some(ours), key.id).await.unwrap());
    assert_eq!(fixture.store.key(key.id).await.unwrap(), None);
    assert!(fixture.store.keys(Some(ours)).await.unwrap().is_empty());
    assert!(!fixture.store.delete_key(Some(ours), key.id).await.unwrap());
    fixture.store.touch_key(key.id, fixture.now()).await.unwrap();
    assert_eq!(fixture.store.key(key.id).await.unwrap(), None, "its last use does not bring it back");
}

#[tokio::test]
async fn a_key_shows_when_it_was_used() {
    let fixture = Fixture::new();
    let key = new_key(&fixture, Some(fixture.ids.organization()));
    fixture.store.create_key(&key).await.unwrap();
    fixture.advance(Duration::from_secs(60));
    fixture.store.touch_key(key.id, fixture.now()).await.unwrap();
    let used = ApiKey { last_used_at: Some(fixture.now()), ..key };
    assert_eq!(fixture.store.keys(used.organization_id).await.unwrap(), std::slice::from_ref(&used));
    assert_eq!(fixture.store.key(used.id).await.unwrap(), Some(used));
}
