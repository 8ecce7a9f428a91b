//! Takes pictures of every page of the console, light, dark and as wide as a phone, of an
//! organization that has lived for a day. Those of the README are in the folder `readme` of the
//! pictures.
//!
//! ```sh
//! cargo build --workspace && cargo run --example screenshots -- pictures && cp pictures/readme/* docs/images/
//! ```

#[path = "life.rs"]
mod life;

use std::path::{Path, PathBuf};

use kit::browser;
use kit::sink::Sink;
use kit::stack::{Launch, Stack};
use serde_json::{Value, json};

use life::{Clock, Receivers, Seen};

#[tokio::main]
async fn main() {
    let folder: PathBuf = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("pictures"), PathBuf::from);
    std::fs::create_dir_all(folder.join("readme")).expect("the folder can be made");
    let folder = folder.canonicalize().expect("the folder is there");
    // target/debug/examples/screenshots is two folders below target/debug/waybill.
    let own = std::env::current_exe().expect("this program has a path");
    let waybill = own
        .ancestors()
        .nth(2)
        .expect("it is in target/debug/examples")
        .join("waybill");
    assert!(
        waybill.exists(),
        "{} is missing: cargo build --workspace",
        waybill.display()
    );
    let clock = Clock::new(&folder);
    let stack = Launch::of(waybill).at_offset_in(clock.file()).start().await;
    let receivers = Receivers::start().await;
    let acme = stack.organization("Acme Analytics").await;
    let seen = life::live(&stack, &acme, &receivers, &clock).await;
    let sink = Sink::start().await;
    others(&stack, &sink).await;
    let local = stack.local_json();
    let task =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser/tasks/screenshots.mjs");
    let knows = json!({
        "url": local["console_url"], "api": local["api_url"], "key": acme.plain_key(),
        "operator": local["operator_key"],
        "folder": folder, "pages": pages(&seen), "readme": readme(&seen), "organization": acme.id,
    });
    let taken = browser::does(task, knows).await;
    std::fs::remove_file(clock.file()).expect("the clock's file is removed");
    println!("{taken} pictures in {}", folder.display());
}

/// The pages by the names of their pictures.
fn pages(seen: &Seen) -> Value {
    let Seen {
        crm,
        backup,
        warehouse,
        failed,
        watched,
        delivery,
        mail,
        file,
        rows,
        job,
    } = seen;
    json!({
        "overview": "/", "destinations": "/destinations",
        "destination": format!("/destinations/{backup}"),
        "healthy": format!("/destinations/{warehouse}"), "disabled": format!("/destinations/{crm}"),
        "destination-deliveries": format!("/destinations/{crm}?tab=deliveries"),
        "destination-settings": format!("/destinations/{crm}?tab=settings"),
        "destination-secrets": format!("/destinations/{crm}?tab=secrets"),
        "replay": format!("/destinations/{crm}/replay"),
        "test": format!("/destinations/{crm}/test"),
        "rotate": format!("/destinations/{crm}/rotate-secret"),
        "mailbox": "/mailboxes/new", "new-key": "/api-keys/new",
        "types": "/destinations/new", "new-webhook": "/destinations/new/webhook",
        "new-email": "/destinations/new/email",
        "new-s3": "/destinations/new/s3", "new-sftp": "/destinations/new/sftp",
        "new-postgres": "/destinations/new/postgres",
        "edit": format!("/destinations/{crm}/edit"), "deliveries": "/deliveries",
        "filtered": "/deliveries?status=failed&last=24h",
        "retry-all": "/deliveries/retry?status=failed", "failed": format!("/deliveries/{failed}"),
        "delivery": format!("/deliveries/{delivery}"),
        "trace": format!("/deliveries/{delivery}/trace"),
        "mail": format!("/deliveries/{mail}"), "file": format!("/deliveries/{file}"),
        "rows": format!("/deliveries/{rows}"),
        "messages": "/messages", "message": format!("/messages/{}", watched.id),
        "alerts": "/alerts", "jobs": "/jobs",
        "job": format!("/jobs/{job}"), "audit": "/audit", "access": "/api-keys",
        "settings": "/organization",
        "not-found": "/no-such-page",
    })
}

/// The pictures of the README: name, page and color scheme.
fn readme(seen: &Seen) -> Value {
    json!([
        ["overview", "/", false],
        ["overview-dark", "/", true],
        ["destination", format!("/destinations/{}", seen.crm), false],
        ["delivery", format!("/deliveries/{}", seen.delivery), false],
        ["mail", format!("/deliveries/{}", seen.mail), false],
        ["destination-types", "/destinations/new", false],
    ])
}

/// Other tenants, for the operator's page.
async fn others(stack: &Stack, sink: &Sink) {
    for name in ["Globex", "Initech", "Umbrella"] {
        let organization = stack.organization(name).await;
        let destination = organization
            .destination()
            .webhook(&sink.path("/other"))
            .skip_check()
            .create()
            .await;
        organization
            .send([&destination], json!(1))
            .await
            .delivery(0)
            .settles()
            .await;
    }
}
