//! API keys on a store with embedded engines: which are accepted, and until when.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use access::{Access, AuthenticateError, Caller, CallerCredential, Unauthenticated, issue};
use domain::api_key::ApiKey;
use domain::audit::AuditEvent;
use domain::id::{IdMint, KeyId, OrganizationId};
use domain::organization::Organization;
use domain::portal_link::Maker;
use domain::role::Role;
use domain::{Clock, Random, Timestamp};
use local_aws::{
    AttributeType, Durability, Engines, KeySchema, Mode, Options, Resources, TableSpec,
};
use secrecy::{ExposeSecret as _, SecretString};
use store::Store;
use tempfile::TempDir;

const TABLE: &str = "waybill-Table";
/// Longer than it takes to record a key's use.
const WAIT_MAX: Duration = Duration::from_secs(5);

struct Fixture {
    access: Access,
    store: Store,
    ids: IdMint,
    random: Random,
    now_ms: Arc<AtomicU64>,
    _data: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let now_ms = Arc::new(AtomicU64::new(1_764_000_000_000));
        let data = tempfile::tempdir().unwrap();
        let (engine_time, clock_time) = (Arc::clone(&now_ms), Arc::clone(&now_ms));
        let options = Options {
            mode: Mode::Thread,
            durability: Durability::Memory,
            now: Arc::new(move || engine_time.load(Ordering::Relaxed)),
        };
        let table = TableSpec {
            name: TABLE.to_owned(),
            attributes: ["pk", "sk"]
                .map(|name| (name.to_owned(), AttributeType::Text))
                .to_vec(),
            key: KeySchema {
                hash: "pk".to_owned(),
                range: Some("sk".to_owned()),
            },
            indexes: Vec::new(),
            ttl_attribute: Some("ttl".to_owned()),
        };
        let engines = Engines::open(
            data.path(),
            &Resources {
                tables: vec![table],
                ..Resources::empty()
            },
            options,
        )
        .unwrap();
        let store = Store::new(
            &engines.sdk_config(local_aws::Caller::unlimited("test")),
            TABLE.to_owned(),
            None,
        );
        let clock = Clock::new(move || {
            Timestamp::from_millis(i64::try_from(clock_time.load(Ordering::Relaxed)).unwrap())
        });
        let chance = Mutex::new(fastrand::Rng::with_seed(7));
        let random = Random::new(move |buffer| chance.lock().unwrap().fill(buffer));
        let ids = IdMint::new([7; 32], clock.clone(), random.clone());
        Self {
            access: Access::new(store.clone(), clock),
            store,
            ids,
            random,
            now_ms,
            _data: data,
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.now_ms.load(Ordering::Relaxed)).unwrap())
    }

    fn advance(&self, time: Duration) {
        self.now_ms
            .fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    async fn organization(&self) -> OrganizationId {
        let (id, now) = (self.ids.organization(), self.now());
        let organization = Organization {
            shards: 1,
            ..Organization::new(id, "Acme", String::new(), now)
        };
        let event =
            AuditEvent::by_system(self.ids.mint(id, 1), id, now, "organization.created", id);
        self.store
            .create_organization(&organization, &event)
            .await
            .unwrap();
        id
    }

    /// Saves a key of a new organization.
    async fn key(&self, expires_at: Option<Timestamp>) -> (ApiKey, SecretString) {
        let organization = self.organization().await;
        let (key, text) = issue(
            self.ids.mint(organization, 1),
            Role::Manager,
            Some(organization),
            "ci".to_owned(),
            expires_at,
            None,
            &self.random,
            self.now(),
        );
        self.store.create_key(&key).await.unwrap();
        (key, text)
    }

    /// Returns the caller, or the key that the refusal names.
    async fn enters(&self, text: &str) -> Result<Caller, Option<KeyId>> {
        self.access
            .authenticate(Some(&format!("Bearer {text}")))
            .await
            .map_err(|error| match error {
                AuthenticateError::Unauthenticated(Unauthenticated { named }) => {
                    named.and_then(|caller| caller.key())
                }
                AuthenticateError::Unavailable(error) => panic!("{error}"),
            })
    }

    async fn last_use_becomes(&self, id: KeyId, at: Timestamp) {
        let noted = async {
            while self.store.key(id).await.unwrap().unwrap().last_used_at != Some(at) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(WAIT_MAX, noted).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_names_its_caller() {
    let fixture = Fixture::new();
    let (key, text) = fixture.key(None).await;
    let caller = fixture.enters(text.expose_secret()).await.unwrap();
    let makers = vec![Maker::Key(key.id)];
    let organization = key.organization_id;
    assert_eq!(
        caller,
        Caller {
            by: CallerCredential::Key(key.id),
            name: "ci".to_owned(),
            role: Role::Manager,
            organization,
            makers
        }
    );
}

#[tokio::test]
async fn a_revoked_key_is_refused_on_the_next_request() {
    let fixture = Fixture::new();
    let (key, text) = fixture.key(None).await;
    assert!(fixture.enters(text.expose_secret()).await.is_ok());
    assert!(
        fixture
            .store
            .delete_key(key.organization_id, key.id)
            .await
            .unwrap()
    );
    assert_eq!(fixture.enters(text.expose_secret()).await, Err(None));
}

#[tokio::test]
async fn an_expired_key_is_refused() {
    let fixture = Fixture::new();
    let (key, text) = fixture
        .key(Some(fixture.now().plus(Duration::from_secs(10))))
        .await;
    assert!(fixture.enters(text.expose_secret()).await.is_ok());
    fixture.advance(Duration::from_secs(10));
    assert_eq!(
        fixture.enters(text.expose_secret()).await,
        Err(Some(key.id))
    );
}

#[tokio::test]
async fn an_invalid_key_and_the_secret_of_another_key_are_refused() {
    let fixture = Fixture::new();
    let ((key, text), (_, other)) = (fixture.key(None).await, fixture.key(None).await);
    let (text, other) = (text.expose_secret(), other.expose_secret());
    let (id_length, unknown) = ("wbk_".len() + 26, text.replacen(&text[4..8], "0000", 1));
    let anothers_secret = format!("{}{}", &text[..id_length], &other[id_length..]);
    assert_eq!(fixture.enters(&anothers_secret).await, Err(Some(key.id)));
    for wrong in ["", "nonsense", &text[1..], &unknown] {
        assert_eq!(fixture.enters(wrong).await, Err(None), "{wrong}");
    }
    assert!(matches!(
        fixture.access.authenticate(None).await,
        Err(AuthenticateError::Unauthenticated(_))
    ));
    let answer = |named: Option<ApiKey>| {
        Unauthenticated {
            named: named.map(Caller::from),
        }
        .to_string()
    };
    assert_eq!(
        answer(Some(key)),
        answer(None),
        "the response does not reveal which keys exist"
    );
}

#[tokio::test]
async fn a_keys_use_is_noted_once_a_minute() {
    let fixture = Fixture::new();
    let (key, text) = fixture.key(None).await;
    let first = fixture.now();
    fixture.enters(text.expose_secret()).await.unwrap();
    fixture.last_use_becomes(key.id, first).await;
    fixture.advance(Duration::from_secs(59));
    fixture.enters(text.expose_secret()).await.unwrap();
    fixture.advance(Duration::from_secs(1));
    fixture.enters(text.expose_secret()).await.unwrap();
    fixture.last_use_becomes(key.id, fixture.now()).await;
}

#[tokio::test]
async fn a_key_is_refused_once_its_organization_has_ended_however_often_it_was_used_before() {
    let fixture = Fixture::new();
    let (key, text) = fixture.key(None).await;
    let id = key.organization_id.unwrap();
    for _ in 0..2 {
        assert!(fixture.enters(text.expose_secret()).await.is_ok());
    }
    let organization = fixture.store.organization(id).await.unwrap().unwrap();
    let ended = Organization {
        ended_at: Some(fixture.now()),
        revision: 2,
        ..organization
    };
    assert_eq!(
        fixture.store.end_organization(&ended, 1).await.unwrap(),
        store::Ending::Done
    );
    assert_eq!(
        fixture.enters(text.expose_secret()).await,
        Err(None),
        "its items are still there"
    );
    fixture.store.remove_organization(id).await.unwrap();
    assert_eq!(fixture.enters(text.expose_secret()).await, Err(None));
}
