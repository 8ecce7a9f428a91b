//! Starting, and refusing to start. A port in use, a newer format and an invalid template are
//! tested in `infra/local/tests`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::stage;

/// The addresses and keys are in a file that only its owner can read, and are the same after every
/// start.
#[tokio::test]
async fn the_process_prints_its_address_and_keys_and_keeps_them() {
    let mut stack = stage::launch().start().await;
    let first = stack.local_json();
    for name in [
        "api_url",
        "console_url",
        "operator_key",
        "organization_id",
        "organization_key",
    ] {
        let value = first[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {first}"));
        assert!(stack.output().contains(value), "{name} is printed");
    }
    assert!(stack.output().ends_with("\nready\n"), "{}", stack.output());
    let mode = fs::metadata(stack.data().join("local.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let admin = stack
        .anonymous()
        .with_key(first["organization_key"].as_str().unwrap());
    assert_eq!(
        admin.get("/v1/organization").await.ok(200)["id"],
        first["organization_id"]
    );
    admin.get("/v1/api-keys").await.ok(200);
    stack.operator().get("/v1/organizations").await.ok(200);

    assert_eq!(stack.stop().await.0, Some(0), "{}", stack.log());
    stack.restart().await;
    let second = stack.local_json();
    for name in ["operator_key", "organization_id", "organization_key"] {
        assert_eq!(first[name], second[name]);
    }
    admin.get("/v1/organization").await.ok(200);
    assert_eq!(stack.operator().list("/v1/organizations").await.len(), 1);
}

/// Configuration and messages are kept over a restart.
#[tokio::test]
async fn configuration_and_messages_survive_a_restart() {
    let mut stack = stage::launch().start().await;
    let (acme, sink) = (
        stack.organization("Acme").await,
        kit::sink::Sink::start().await,
    );
    let credentials = serde_json::json!({"kind": "bearer", "token": "t-1"});
    let destination = acme
        .destination()
        .webhook(&sink)
        .credentials(credentials)
        .create()
        .await;
    let message = acme.send([&destination], serde_json::json!({"a": 1})).await;
    let before = message.settles().await;
    assert_eq!(stack.stop().await.0, Some(0));
    stack.restart().await;
    let after = message.read().await;
    for member in [
        "id",
        "created_at",
        "status",
        "finished_at",
        "attempt_count",
        "last_attempt",
    ] {
        assert_eq!(
            before["deliveries"][0][member], after["deliveries"][0][member],
            "{member}"
        );
    }
    acme.send([&destination], serde_json::json!({"a": 2}))
        .await
        .settles()
        .await;
    let requests = sink.requests();
    assert_eq!(requests.len(), 2);
    assert!(
        requests
            .iter()
            .all(|request| request.header("authorization") == Some("Bearer t-1"))
    );
    let secret = destination.signing_secret();
    let signed: Vec<_> = requests
        .iter()
        .map(|request| kit::verifier::Signed::received(secret, request))
        .collect();
    assert_eq!(
        kit::verifier::Verifier::Python.verdicts(&signed),
        [Ok(()), Ok(())]
    );
}

/// Two processes cannot use one data directory.
#[tokio::test]
async fn a_second_process_on_the_same_data_is_refused() {
    let stack = stage::launch().start().await;
    let refused = stage::launch().refused(&stack.data());
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.message.contains("in use"), "{refused:?}");
    stack.anonymous().get("/healthz").await.ok(200);
}

/// The process does not start if it cannot write its data.
#[test]
fn a_data_directory_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    for data in [
        file.as_path(),
        &file.join("below"),
        Path::new("/proc/waybill"),
    ] {
        let refused = stage::launch().refused(data);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(
            refused.message.contains(&data.display().to_string()),
            "{refused:?}"
        );
        assert!(!refused.output.contains("ready"), "{refused:?}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "not a directory");
}

/// A directory with other files is not changed.
#[test]
fn a_directory_with_other_files_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    let refused = stage::launch().refused(folder.path());
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Unknown and invalid flags.
#[test]
fn an_invalid_flag_is_explained_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let cases: [&[&str]; 6] = [
        &["--monitor-interval-seconds", "0"],
        &["--monitor-interval-seconds", "soon"],
        &["--listen", "nowhere"],
        &["--allow-egress", "10.0.0.0/33"],
        &[
            "--template",
            "/no/such/template.yaml",
            "--listen",
            "127.0.0.1:0",
        ],
        &["--no-such-flag"],
    ];
    for arguments in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_waybill"))
            .args(arguments)
            .arg("--data")
            .arg(&data)
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(
            message.contains(arguments[0].trim_start_matches('-')),
            "{arguments:?}: {message}"
        );
        assert!(!data.exists(), "{arguments:?}");
    }
}

/// The demo shows deliveries that succeed, that succeed after retries and that fail, and one to
/// each other type of destination.
#[tokio::test]
async fn the_demo_delivers_to_every_type() {
    let stack = stage::launch().arguments(["--demo"]).start().await;
    let local = stack.local_json();
    let admin = stack
        .anonymous()
        .with_key(local["organization_key"].as_str().unwrap());
    let outcomes = stage::within(60, "the demo's deliveries are finished", async || {
        let deliveries = admin.list("/v1/deliveries").await;
        let is_finished = |delivery: &Value| !delivery["finished_at"].is_null();
        let finished = deliveries
            .iter()
            .filter(|delivery| is_finished(delivery))
            .count()
            == 10;
        finished.then(|| {
            deliveries
                .iter()
                .map(|delivery| {
                    format!(
                        "{} {}",
                        text(delivery, "destination_type"),
                        text(delivery, "status")
                    )
                })
                .collect()
        })
    });
    let mut outcomes: Vec<String> = outcomes.await;
    outcomes.sort_unstable();
    let others = [
        "azure_blob",
        "email",
        "gcs",
        "mysql",
        "postgres",
        "s3",
        "sftp",
    ]
    .map(|kind| format!("{kind} succeeded"));
    let webhooks = ["webhook failed", "webhook succeeded", "webhook succeeded"].map(str::to_owned);
    assert_eq!(outcomes, [&others[..], &webhooks].concat());
    let count = |folder: &str| fs::read_dir(stack.data().join(folder)).unwrap().count();
    for folder in [
        "mail",
        "s3/waybill-grantable-demo/demo.hello",
        "sftp/demo.hello",
        "google/demo/demo.hello",
        "azure/demo/demo.hello",
    ] {
        assert_eq!(count(folder), 1, "{folder}");
    }
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_default()
}
