//! Takes pictures of every page of the console, light, dark and as wide as a phone, of an organization that has seen some life.
//!
//! ```sh
//! cargo build --workspace && cargo run --example screenshots -- pictures
//! ```

use std::path::{Path, PathBuf};

use kit::browser;
use kit::sink::{Reply, Sink};
use kit::stack::{Launch, Organization, Stack};
use serde_json::{Value, json};

#[tokio::main]
async fn main() {
    let folder: PathBuf = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("pictures"), PathBuf::from);
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let folder = folder.canonicalize().expect("the folder is there");
    // target/debug/examples/screenshots stands beside target/debug/waybill.
    let own = std::env::current_exe().expect("this program has a path");
    let waybill = own.ancestors().nth(2).expect("it is in target/debug/examples").join("waybill");
    assert!(waybill.exists(), "{} is missing: cargo build --workspace", waybill.display());
    let stack = Launch::of(waybill).start().await;
    let sink = Sink::start().await;
    let acme = stack.organization("Acme Analytics").await;
    let pages = life(&acme, &sink).await;
    others(&stack, &sink).await;
    let local = stack.local_json();
    let task = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser/tasks/screenshots.mjs");
    let knows = json!({
        "url": local["console_url"], "key": acme.plain_key(), "operator": local["operator_key"], "folder": folder, "pages": pages, "organization": acme.id,
    });
    let taken = browser::does(task, knows).await;
    println!("{taken} pictures in {}", folder.display());
}

/// Destinations that do well and badly, and what went to them. Answers with the pages to take pictures of, by name.
async fn life(acme: &Organization, sink: &Sink) -> Value {
    let (events, crm, backup) = (sink.path("/events"), sink.path("/crm"), sink.path("/backup"));
    crm.answers([401; 400]);
    backup.answers([500; 400]);
    let events = acme
        .destination()
        .with("name", "Event stream")
        .event_types(["report.*", "invoice.**"])
        .webhook(&events)
        .skip_check()
        .create()
        .await;
    let token = json!({"kind": "bearer", "token": "a-token-that-was-revoked"});
    let crm = acme.destination().with("name", "CRM").webhook(&crm).credentials(token).retries(0).skip_check().create().await;
    let backup = acme.destination().with("name", "Backup receiver").webhook(&backup).retries(0).skip_check().create().await;
    let flaky = sink.path("/flaky");
    flaky.replies([Reply::status(503), Reply::status(503).body("{\"error\":\"try again\"}"), Reply::status(200).body("{\"ok\":true}")]);
    let flaky = acme.destination().with("name", "Billing").webhook(&flaky).skip_check().create().await;
    let bucket = json!({"bucket": "acme-reports", "region": "eu-west-1"});
    let key = json!({"kind": "access_key", "access_key_id": "AKIAEXAMPLE", "secret_access_key": "a-secret-access-key-of-theirs"});
    acme.destination().with("type", "s3").with("name", "Monthly archive").settings(bucket).credentials(key).skip_check().create().await;
    let payload = |n: u32| json!({"report": "daily-sales", "rows": n, "total": {"amount": 1204.5, "currency": "EUR"}});
    let (mut watched, mut failed) = (None, Value::Null);
    for n in 0..24 {
        acme.send([&events], payload(n)).await;
        if n < 6 {
            failed = acme.send([&crm], payload(n)).await.delivery(0).reaches("failed").await;
        }
        if n < 21 {
            acme.send([&backup], payload(n)).await.delivery(0).settles().await;
        }
        if n == 3 {
            let body = json!({"event_type": "invoice.paid", "reference": "INV-2041", "metadata": {"customer": "Globex"}, "payload": payload(n), "destination_ids": [flaky.id]});
            watched = Some(acme.submit(body).await);
        }
    }
    let watched = watched.expect("one was sent");
    let delivery = watched.delivery(0).reaches("succeeded").await;
    let job = acme.post("/v1/jobs", json!({"kind": "retry", "filter": {"status": ["failed"], "destination_id": crm.id}})).await.ok(202);
    // The monitor disables what keeps failing.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let id = |value: &Value| value["id"].as_str().expect("an id").to_owned();
    json!({
        "overview": "/", "destinations": "/destinations", "destination": format!("/destinations/{}", crm.id), "disabled": format!("/destinations/{}", backup.id),
        "destination-deliveries": format!("/destinations/{}?tab=deliveries", crm.id), "destination-settings": format!("/destinations/{}?tab=settings", crm.id),
        "destination-secrets": format!("/destinations/{}?tab=secrets", crm.id), "replay": format!("/destinations/{}/replay", backup.id),
        "test": format!("/destinations/{}/test", crm.id), "rotate": format!("/destinations/{}/rotate-secret", crm.id), "mailbox": "/mailboxes/new",
        "new-s3": "/destinations/new/s3", "new-postgres": "/destinations/new/postgres", "new-key": "/api-keys/new", "failed": format!("/deliveries/{}", id(&failed)),
        "types": "/destinations/new", "new-webhook": "/destinations/new/webhook", "new-email": "/destinations/new/email", "new-sftp": "/destinations/new/sftp",
        "edit": format!("/destinations/{}/edit", crm.id), "deliveries": "/deliveries", "filtered": "/deliveries?status=failed&last=24h",
        "retry-all": "/deliveries/retry?status=failed", "delivery": format!("/deliveries/{}", id(&delivery)), "trace": format!("/deliveries/{}/trace", id(&delivery)),
        "messages": "/messages", "message": format!("/messages/{}", watched.id), "alerts": "/alerts", "jobs": "/jobs", "job": format!("/jobs/{}", id(&job)),
        "audit": "/audit", "access": "/api-keys", "settings": "/organization", "not-found": "/no-such-page",
    })
}

/// Other tenants, for the operator's page.
async fn others(stack: &Stack, sink: &Sink) {
    for name in ["Globex", "Initech", "Umbrella"] {
        let organization = stack.organization(name).await;
        let destination = organization.destination().webhook(&sink.path("/other")).skip_check().create().await;
        organization.send([&destination], json!(1)).await.delivery(0).settles().await;
    }
}
