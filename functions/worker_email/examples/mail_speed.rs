//! Measures how many small messages per second one connection can send, one after another, to a
//! mail server in another process.
//!
//! `cargo run --release --example mail_speed [messages]`: 2,000 by default, over one connection
//! that stays open between messages.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    dead_code,
    reason = "a measurement, not a program: it has the machine's clock and arguments, and needs \
         not every sample"
)]

use std::time::{Duration, Instant};

use domain::Timestamp;
use domain::credentials::{CredentialKind, Credentials, SecretField, sealed_name};
use domain::destination::Destination;
use domain::input::{Errors, Fields};
use domain::settings::{DestinationType, Settings};
use domain::settle::Outcome;
use egress::{Client, Guard, Policy, Schemes, Tls};
use kit::smtp::{MailServer, PASSWORD, USERNAME};
use kit::tls::Authority;
use local_aws::{Caller, Engines, KeySpec, Options, Resources};
use oauth::Tokens;
use runtime::platform::{system_clock, system_random};
use rustls::RootCertStore;
use serde_json::json;
use store::Store;
use vault::Vault;
use worker::{Connector as _, Job, Payload};
use worker_email::{Email, Links, Parts};

const ROUNDS: usize = 3;
const PAYLOAD: &[u8] = br#"{"report": "2026-11", "rows": 1204}"#;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mails = std::env::args()
        .nth(1)
        .map_or(2_000, |count| count.parse().expect("a number of mails"));
    runtime::platform::install_tls();
    let server = MailServer::start("none", &Authority::new());
    let data = tempfile::tempdir().unwrap();
    let resources = Resources {
        keys: vec![KeySpec {
            name: "waybill-Key".into(),
        }],
        ..Resources::empty()
    };
    let engines = Engines::open(data.path(), &resources, Options::local()).unwrap();
    let aws = engines.sdk_config(Caller::unlimited("speed"));
    let guard = Guard::new(Policy::parse("127.0.0.1").unwrap());
    let tls = Tls::with_roots(RootCertStore::empty()).unwrap();
    let vault = Vault::new(
        &aws,
        engines.key_arn("waybill-Key"),
        system_clock(),
        system_random(),
    );
    let destination = destination(server.port, &vault).await;
    let client = Client::new(guard.clone(), tls.clone());
    let email = Email::new(Parts {
        guard,
        tls,
        tokens: Tokens::new(client, Schemes::HttpAndHttps, system_clock()),
        vault,
        store: Store::new(&aws, "none".to_owned(), None),
        links: Links::new(&aws, String::new(), String::new()),
        ehlo_name: None,
        aws,
        clock: system_clock(),
        random: system_random(),
    });
    deliver(&email, &destination, 50).await;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        deliver(&email, &destination, mails).await;
        println!(
            "{:.0} mails a second",
            f64::from(mails) / started.elapsed().as_secs_f64()
        );
    }
}

/// Returns a destination that signs in at the mail server.
async fn destination(port: u16, vault: &Vault) -> Destination {
    let settings = json!({"transport": {"smtp": {"host": "127.0.0.1", "port": port,
        "security": "none"}}, "from": "reports@example.com",
        "to": ["ann@example.com"]});
    let errors = Errors::default();
    let settings = Settings::read(
        DestinationType::Email,
        &mut Fields::new("", settings.as_object().unwrap().clone(), &errors),
    )
    .unwrap();
    let sample = samples::webhook("");
    let sealed = vault
        .seal(
            sample.organization_id,
            sample.id,
            &sealed_name("password"),
            &PASSWORD.into(),
        )
        .await
        .unwrap();
    let secret = SecretField {
        sealed,
        hint: None,
        updated_at: Timestamp::from_millis(0),
    };
    let credentials = Credentials {
        kind: CredentialKind::SmtpPassword,
        open: [("username".to_owned(), USERNAME.to_owned())].into(),
        secrets: [("password".to_owned(), secret)].into(),
        shown: Default::default(),
    };
    Destination {
        settings,
        credentials,
        ..sample
    }
}

async fn deliver(email: &Email, destination: &Destination, mails: u32) {
    for _ in 0..mails {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(15);
        let delivery = samples::delivery();
        let job = Job {
            delivery: &delivery,
            destination,
            payload: Payload::in_memory(PAYLOAD),
            attempt_number: 1,
            deadline,
        };
        let attempted = email.deliver(job).await.unwrap();
        assert!(
            matches!(attempted.outcome, Outcome::Delivered(_)),
            "{attempted:?}"
        );
    }
}
