use std::time::Duration;

use domain::api_key::ApiKey;
use domain::id::{Id as _, KeyId, OrganizationId};
use domain::limits::KEYS_MAX;
use domain::role::Role;
use futures_util::future::join_all;
use store::Created;

use crate::fixture::Fixture;

fn new_key(fixture: &Fixture, organization_id: Option<OrganizationId>) -> ApiKey {
    fixture.advance(Duration::from_millis(1));
    let id = organization_id.map_or_else(
        || KeyId::from(fixture.ids.organization().ulid()),
        |id| fixture.ids.mint(id, 1),
    );
    ApiKey {
        id,
        organization_id,
        name: "ci".to_owned(),
        role: if organization_id.is_some() {
            Role::Admin
        } else {
            Role::Operator
        },
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
    assert_eq!(
        fixture.store.create_key(&keys[0]).await.unwrap(),
        Created::Conflict,
        "an id is taken once"
    );
}

#[tokio::test]
async fn a_deleted_key_is_refused_immediately_and_permanently() {
    let fixture = Fixture::new();
    let (ours, theirs) = (fixture.ids.organization(), fixture.ids.organization());
    let key = new_key(&fixture, Some(ours));
    fixture.store.create_key(&key).await.unwrap();
    assert!(
        !fixture
            .store
            .delete_key(Some(theirs), key.id)
            .await
            .unwrap(),
        "it is not theirs"
    );
    assert!(!fixture.store.delete_key(None, key.id).await.unwrap());
    assert_eq!(fixture.store.key(key.id).await.unwrap(), Some(key.clone()));

    assert!(fixture.store.delete_key(Some(ours), key.id).await.unwrap());
    assert_eq!(fixture.store.key(key.id).await.unwrap(), None);
    assert!(fixture.store.keys(Some(ours)).await.unwrap().is_empty());
    assert!(!fixture.store.delete_key(Some(ours), key.id).await.unwrap());
    fixture
        .store
        .touch_key(key.id, fixture.now())
        .await
        .unwrap();
    assert_eq!(
        fixture.store.key(key.id).await.unwrap(),
        None,
        "its last use does not bring it back"
    );
}

#[tokio::test]
async fn a_key_shows_when_it_was_used() {
    let fixture = Fixture::new();
    let key = new_key(&fixture, Some(fixture.ids.organization()));
    fixture.store.create_key(&key).await.unwrap();
    fixture.advance(Duration::from_secs(60));
    fixture
        .store
        .touch_key(key.id, fixture.now())
        .await
        .unwrap();
    let used = ApiKey {
        last_used_at: Some(fixture.now()),
        ..key
    };
    assert_eq!(
        fixture.store.keys(used.organization_id).await.unwrap(),
        std::slice::from_ref(&used)
    );
    assert_eq!(fixture.store.key(used.id).await.unwrap(), Some(used));
}

async fn create_at_once(
    fixture: &Fixture,
    owner: OrganizationId,
    keys: usize,
) -> Vec<(ApiKey, Created)> {
    let keys: Vec<ApiKey> = (0..keys).map(|_| new_key(fixture, Some(owner))).collect();
    let created = join_all(keys.iter().map(|key| fixture.store.create_key(key))).await;
    keys.into_iter()
        .zip(created.into_iter().map(Result::unwrap))
        .collect()
}

#[tokio::test]
async fn the_limit_on_keys_holds_however_many_are_made_at_once() {
    let fixture = Fixture::new();
    let owner = fixture.ids.organization();
    let mut made = Vec::new();
    // In groups that a real table would serve at the same time.
    for _ in 0..12 {
        made.extend(create_at_once(&fixture, owner, 10).await);
    }
    let done = made
        .iter()
        .filter(|(_, created)| *created == Created::Done)
        .count();
    assert_eq!((done, made.len()), (KEYS_MAX, 120));
    assert_eq!(
        fixture.store.keys(Some(owner)).await.unwrap().len(),
        KEYS_MAX
    );
    assert!(
        made[KEYS_MAX..]
            .iter()
            .all(|(_, created)| *created == Created::TooMany)
    );

    for (key, _) in &made[..3] {
        assert!(fixture.store.delete_key(Some(owner), key.id).await.unwrap());
    }
    let again = create_at_once(&fixture, owner, 10).await;
    assert_eq!(
        again
            .iter()
            .filter(|(_, created)| *created == Created::Done)
            .count(),
        3,
        "as many as were revoked"
    );
}

/// Keys that were created before the tally existed count too.
#[tokio::test]
async fn a_tally_begins_with_what_is_there() {
    let fixture = Fixture::new();
    let owner = fixture.ids.organization();
    create_at_once(&fixture, owner, 5).await;
    fixture.forget(&format!("ORG#{owner}"), "TALLY#KEYS").await;
    let more = (0..KEYS_MAX).map(|_| new_key(&fixture, Some(owner)));
    let mut done = 0;
    for key in more {
        done += usize::from(fixture.store.create_key(&key).await.unwrap() == Created::Done);
    }
    assert_eq!(done, KEYS_MAX - 5);
}

#[tokio::test]
async fn when_two_keys_delete_themselves_concurrently_one_remains() {
    let fixture = Fixture::new();
    let owner = fixture.ids.organization();
    let made = create_at_once(&fixture, owner, 2).await;
    let (first, second) = (made[0].0.id, made[1].0.id);
    let ends = |own, other| fixture.store.delete_key_if_other_exists(owner, own, other);
    let (one, two) = tokio::join!(ends(first, second), ends(second, first));
    assert_eq!(
        [one.unwrap(), two.unwrap()]
            .into_iter()
            .filter(|ended| *ended)
            .count(),
        1
    );
    assert_eq!(fixture.store.keys(Some(owner)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_unreadable_key_hides_no_other_and_is_deleted_with_its_organization() {
    let fixture = Fixture::new();
    let owner = fixture.organization().await.id;
    let keys = [(); 2].map(|()| new_key(&fixture, Some(owner)));
    for key in &keys {
        fixture.store.create_key(key).await.unwrap();
    }
    let damaged = format!("KEY#{}", keys[0].id);
    fixture.damage(&damaged, "KEY", "doc").await;
    assert_eq!(fixture.store.keys(Some(owner)).await.unwrap(), keys[1..]);
    fixture.store.remove_organization(owner).await.unwrap();
    for key in &keys {
        assert_eq!(fixture.store.key(key.id).await.unwrap(), None);
    }
}
