//! Templates that an older version stored without a limit of their depth fail their deliveries and
//! end no process.

use std::path::Path;

use domain::Timestamp;
use domain::audit::AuditEvent;
use domain::destination::Destination;
use domain::id::{DestinationId, OrganizationId, Ulid};
use kit::sink::Sink;
use local::template::{COMPILED_IN, Template, physical_name};
use local_aws::{Caller, Engines, Options};
use serde_json::{Value, json};
use store::{Saved, Store};

use crate::stage;

/// A placeholder for the template until the process has stopped.
const PLANTED: &str = "planted-template";

/// A template of each kind of nesting, deeper than may be saved.
fn templates() -> Vec<String> {
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        format!(
            "{{{{ {}{inner}{} }}}}",
            open.repeat(depth),
            close.repeat(depth)
        )
    };
    vec![
        nested("-", "1", "", 848),
        nested("-", "1", "", 60_000),
        nested("(", "1", ")", 30_000),
        nested("[", "1", "]", 30_000),
    ]
}

fn destinations() -> Vec<(&'static str, Value, Value)> {
    let smtp = json!({"smtp": {"host": "127.0.0.1", "port": 1, "security": "none"}});
    let mail = |member: &str| {
        let mut settings =
            json!({"transport": smtp, "from": "a@acme.example", "to": ["b@customer.example"]});
        settings[member] = PLANTED.into();
        settings
    };
    let password =
        json!({"kind": "smtp_password", "username": "user", "password": "a-long-password"});
    let bucket =
        json!({"bucket": "bucket", "endpoint": "http://127.0.0.1:1", "key_template": PLANTED});
    let access_key = json!({"kind": "access_key", "access_key_id": "AKIAIOSFODNN7EXAMPLE",
        "secret_access_key": "s3cret-access-key"});
    vec![
        (
            "webhook",
            json!({"url": "http://127.0.0.1:1/", "body_template": PLANTED}),
            json!({"kind": "none"}),
        ),
        ("email", mail("subject_template"), password.clone()),
        ("email", mail("html_template"), password),
        ("s3", bucket, access_key),
    ]
}

/// Replaces the planted template in the store, as an older version would have written it.
async fn store_over_deep(data: &Path, organization: &str, destinations: &[(String, String)]) {
    let template = Template::read(COMPILED_IN, &std::collections::BTreeMap::new()).unwrap();
    let engines =
        Engines::open(data, &template.stack().unwrap().resources, Options::local()).unwrap();
    let store = Store::new(
        &engines.sdk_config(Caller::unlimited("test")),
        physical_name("Table"),
        None,
    );
    let organization: OrganizationId = organization.parse().unwrap();
    for (id, source) in destinations {
        let id: DestinationId = id.parse().unwrap();
        let before = store.destination(organization, id).await.unwrap().unwrap();
        let text = serde_json::to_string(&before).unwrap();
        assert!(text.contains(PLANTED), "{text}");
        let after: Destination = serde_json::from_str(&text.replace(PLANTED, source)).unwrap();
        let after = after.revised(before.updated_at);
        let now = Timestamp::from_millis(1_764_000_000_000);
        let event = AuditEvent::by_system(
            Ulid::first_at(now).into(),
            organization,
            now,
            "destination.updated",
            id,
        );
        assert_eq!(
            store
                .save_destination(&after, before.revision(), &event)
                .await
                .unwrap(),
            Saved::Done
        );
    }
    engines.close().await;
}

#[tokio::test]
async fn a_stored_template_that_is_too_deep_fails_its_deliveries_as_misconfigured_and_ends_no_process()
 {
    let mut stack = stage::launch().start().await;
    let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
    let neighbour = acme.destination().webhook(&sink).create().await;
    let mut planted = Vec::new();
    let mut created = Vec::new();
    for source in templates() {
        for (kind, settings, credentials) in destinations() {
            let new = acme
                .destination()
                .with("type", kind)
                .settings(settings)
                .credentials(credentials)
                .retries(0)
                .skip_check();
            let destination = new.create().await;
            planted.push((destination.id.clone(), source.clone()));
            created.push(destination);
        }
    }
    assert_eq!(stack.stop().await.0, Some(0), "{}", stack.log());
    store_over_deep(&stack.data(), &acme.id, &planted).await;
    stack.restart().await;

    let message = acme
        .send(created.iter().chain([&neighbour]), json!({"a": 1}))
        .await;
    message.settles().await;
    for (position, (id, source)) in planted.iter().enumerate() {
        let delivery = message.delivery(position).read().await;
        let what = format!("{id} {}…: {delivery}", &source[..20]);
        assert_eq!(
            (&delivery["status"], &delivery["reason"]),
            (&json!("failed"), &json!("misconfigured")),
            "{what}"
        );
        assert_eq!(delivery["attempt_count"], 1, "{what}");
        let why = delivery["attempts"][0]["detail"]
            .as_str()
            .unwrap_or_default();
        assert!(
            why.contains("too deeply nested") || why.contains("has more than"),
            "{what}"
        );
    }
    assert_eq!(
        message.delivery(planted.len()).read().await["status"],
        "succeeded"
    );
    assert!(!stack.has_ended(), "{}", stack.log());
    stack.operator().get("/healthz").await.ok(200);
}
