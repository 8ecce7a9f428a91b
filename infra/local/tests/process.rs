//! The binary in situations in which it must not start.

use std::net::TcpListener;
use std::process::{Command, Output};

fn waybill(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_waybill"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn a_busy_port_is_named_and_nothing_is_touched() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let output = waybill(&["--listen", &address, "--data", data.to_str().unwrap()]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.contains(&address) && message.contains("--listen"),
        "{message}"
    );
    assert!(!data.exists());
}

#[test]
fn a_newer_data_directory_is_left_alone() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("format"), "999\n").unwrap();
    let output = waybill(&[
        "--listen",
        "127.0.0.1:0",
        "--data",
        data.path().to_str().unwrap(),
    ]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("has format 999"), "{message}");
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 1);
}

#[test]
fn a_wrong_template_is_refused_before_anything_is_touched() {
    let parent = tempfile::tempdir().unwrap();
    let (template, data) = (
        parent.path().join("template.yaml"),
        parent.path().join("data"),
    );
    std::fs::write(
        &template,
        "Transform: AWS::Serverless-2016-10-31\nRules: {}\n",
    )
    .unwrap();
    let output = waybill(&[
        "--listen",
        "127.0.0.1:0",
        "--data",
        data.to_str().unwrap(),
        "--template",
        template.to_str().unwrap(),
    ]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("template line 2: Rules"), "{message}");
    assert!(!data.exists());
}
