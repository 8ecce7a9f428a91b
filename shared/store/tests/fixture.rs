//! A store on embedded engines with its own clock, and records to save in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use domain::audit::AuditEvent;
use domain::destination::Destination;
use domain::event_type::EventPattern;
use domain::id::{IdMint, OrganizationId};
use domain::organization::Organization;
use domain::retry::RetryPolicy;
use domain::settings::Settings;
use domain::settings::webhook::WebhookSettings;
use domain::{Clock, Random, Timestamp};
use local_aws::{
    AttributeType, BucketSpec, Caller, Durability, Engines, IndexSpec, KeySchema, Mode, Options,
    Projection, Resources, TableSpec,
};
use store::{Created, Store};
use tempfile::TempDir;

pub(crate) const TABLE: &str = "waybill-Table";
const BUCKET: &str = "waybill-payloads";

/// A store and the engines that it runs on.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) engines: Engines,
    /// Direct access to the table.
    pub(crate) table: Client,
    pub(crate) ids: IdMint,
    now_ms: Arc<AtomicU64>,
    _data: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let now_ms = Arc::new(AtomicU64::new(1_764_000_000_000));
        let data = tempfile::tempdir().unwrap();
        let engine_time = Arc::clone(&now_ms);
        let options = Options {
            mode: Mode::Thread,
            durability: Durability::Memory,
            now: Arc::new(move || engine_time.load(Ordering::Relaxed)),
        };
        let engines = Engines::open(data.path(), &resources(), options).unwrap();
        let aws = engines.sdk_config(Caller::unlimited("test"));
        let ids = IdMint::new([7; 32], clock(&now_ms), random());
        Self {
            store: Store::new(&aws, TABLE.to_owned(), Some(BUCKET.to_owned())),
            table: Client::new(&aws),
            engines,
            ids,
            now_ms,
            _data: data,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        clock(&self.now_ms).now()
    }

    pub(crate) fn advance(&self, time: Duration) {
        self.now_ms
            .fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Saves an organization and returns it.
    pub(crate) async fn organization(&self) -> Organization {
        let organization = Organization::new(
            self.ids.organization(),
            "Acme",
            "external".to_owned(),
            self.now(),
        );
        let event = self.event(organization.id, "organization.created");
        self.store
            .create_organization(&organization, &event)
            .await
            .unwrap();
        self.advance(Duration::from_millis(1));
        organization
    }

    /// Makes a destination without saving it.
    pub(crate) fn new_destination(&self, organization: OrganizationId) -> Destination {
        self.advance(Duration::from_millis(1));
        let settings = WebhookSettings {
            timeout_seconds: 10,
            ..WebhookSettings::new("https://example.com/hook")
        };
        let id = self.ids.mint(organization, 1);
        Destination {
            event_types: Some(vec![EventPattern::parse("invoice.*").unwrap()]),
            retry_policy: Some(RetryPolicy::default()),
            ..Destination::new(
                id,
                organization,
                "Billing",
                Settings::Webhook(settings),
                self.now(),
            )
        }
    }

    /// Saves a destination and returns it.
    pub(crate) async fn destination(&self, organization: OrganizationId) -> Destination {
        let destination = self.new_destination(organization);
        let event = self.event(organization, "destination.created");
        assert_eq!(
            self.store
                .create_destination(&destination, &event)
                .await
                .unwrap(),
            Created::Done
        );
        destination
    }

    /// Removes an item from the table.
    pub(crate) async fn forget(&self, pk: &str, sk: &str) {
        let key = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        self.table
            .delete_item()
            .table_name(TABLE)
            .key("pk", key(pk))
            .key("sk", key(sk))
            .send()
            .await
            .unwrap();
    }

    /// Replaces an attribute of an item by a text that nothing reads.
    pub(crate) async fn damage(&self, pk: &str, sk: &str, attribute: &str) {
        let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        self.table
            .update_item()
            .table_name(TABLE)
            .key("pk", text(pk))
            .key("sk", text(sk))
            .update_expression("SET #a = :a")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#a", attribute)
            .expression_attribute_values(":a", text("?"))
            .send()
            .await
            .unwrap();
    }

    /// Makes an audit event without saving it.
    pub(crate) fn event(&self, organization: OrganizationId, action: &str) -> AuditEvent {
        AuditEvent {
            target: None,
            ..AuditEvent::by_system(
                self.ids.mint(organization, 1),
                organization,
                self.now(),
                action,
                "",
            )
        }
    }
}

fn clock(now_ms: &Arc<AtomicU64>) -> Clock {
    let now_ms = Arc::clone(now_ms);
    Clock::new(move || {
        Timestamp::from_millis(i64::try_from(now_ms.load(Ordering::Relaxed)).unwrap())
    })
}

/// A random source that yields the same values on every run.
pub(crate) fn random() -> Random {
    let chance = Mutex::new(fastrand::Rng::with_seed(7));
    Random::new(move |buffer| chance.lock().unwrap().fill(buffer))
}

fn resources() -> Resources {
    const TEXTS: [&str; 15] = [
        "pk", "sk", "bd_pk", "bd_sk", "ao_pk", "ao_sk", "ad_pk", "ad_sk", "du_pk", "br_pk",
        "br_sk", "fa_pk", "fa_sk", "tr_pk", "tr_sk",
    ];
    const INDEXES: [(&str, &str, &str); 7] = [
        ("by_destination", "bd_pk", "bd_sk"),
        ("attention_org", "ao_pk", "ao_sk"),
        ("attention_dst", "ad_pk", "ad_sk"),
        ("due", "du_pk", "du_at"),
        ("by_reference", "br_pk", "br_sk"),
        ("failing", "fa_pk", "fa_sk"),
        ("trouble", "tr_pk", "tr_sk"),
    ];
    let key = |hash: &str, range: &str| KeySchema {
        hash: hash.to_owned(),
        range: Some(range.to_owned()),
    };
    let texts = TEXTS.map(|name| (name.to_owned(), AttributeType::Text));
    let index = |(name, hash, range): (&str, &str, &str)| IndexSpec {
        name: name.to_owned(),
        key: key(hash, range),
        projection: Projection::KeysOnly,
    };
    let table = TableSpec {
        name: TABLE.to_owned(),
        attributes: texts
            .into_iter()
            .chain([("du_at".to_owned(), AttributeType::Number)])
            .collect(),
        key: key("pk", "sk"),
        indexes: INDEXES.into_iter().map(index).collect(),
        ttl_attribute: Some("ttl".to_owned()),
    };
    let bucket = BucketSpec {
        name: BUCKET.to_owned(),
        versioned: true,
    };
    Resources {
        tables: vec![table],
        buckets: vec![bucket],
        ..Resources::empty()
    }
}
