//! Tests that whole files arrive at the paths of the templates.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::Reason;
use domain::settings::sftp::IfExists;
use futures_util::stream;
use kit::sshd::{Launch, Sshd};
use serde_json::json;
use worker::{Payload, Unavailable};
use worker_sftp::Meta;

use crate::world::{PATH, World, delivered, meta, noise, reason};

#[tokio::test]
async fn a_file_of_any_size_arrives_as_it_was_sent() {
    let sshd = Sshd::start().await;
    for length in [0, 1, 1024, 32 * 1024, 8 << 20] {
        let bytes = noise(length);
        let attempted = World::on(&sshd)
            .deliver("dlv_1_00", Payload::in_memory(bytes.clone()))
            .await;
        let tracking = delivered(&attempted);
        assert_eq!(
            (
                &tracking["kind"],
                &tracking["path"],
                &tracking["size_bytes"]
            ),
            (&json!("sftp_file"), &json!(PATH), &json!(length))
        );
        let request = attempted.request.as_ref().unwrap();
        assert_eq!(
            (request.method.as_str(), request.size_bytes),
            ("PUT", length as u64)
        );
        assert_eq!(tracking["sha256"], request.body_sha256);
        assert!(
            std::fs::read(sshd.home().join(PATH)).unwrap() == bytes,
            "{length} bytes"
        );
        assert_eq!(
            sshd.names("in/report.ready"),
            ["msg_1.csv"],
            "no temporary file stays"
        );
    }
}

#[tokio::test]
async fn a_stream_arrives_regardless_of_the_sizes_of_its_pieces() {
    let sshd = Sshd::start().await;
    let bytes = noise(3 << 20);
    let pieces: Vec<Result<Bytes, Unavailable>> = bytes
        .chunks(70_001)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    let payload = Payload::streamed(bytes.len() as u64, stream::iter(pieces));
    delivered(&World::on(&sshd).deliver("dlv_1_00", payload).await);
    assert!(std::fs::read(sshd.home().join(PATH)).unwrap() == bytes);
}

#[tokio::test]
async fn templates_say_where() {
    let sshd = Sshd::start().await;
    let metadata = BTreeMap::from([("region".to_owned(), "EU West".to_owned())]);
    let mut world = World::on(&sshd);
    world.settings.directory_template = format!(
        "{}/a//./b/{{{{ metadata.region | slug }}}}/",
        sshd.home().display()
    );
    world.settings.filename_template =
        "{{ payload.name }}-{{ created_at | date('%Y%m%d') }}-{{ attempt }}{{ filename | ext }}"
            .to_owned();
    let meta = Meta {
        filename: Some("x.JSON"),
        content_type: "application/json",
        attempt: 3,
        ..meta("dlv_1_00", &metadata)
    };
    let attempted = world
        .deliver_as(&meta, Payload::in_memory(r#"{"name": "ü"}"#))
        .await;
    assert_eq!(
        delivered(&attempted)["path"],
        json!(format!(
            "{}/a/b/eu-west/ü-20261123-3.JSON",
            sshd.home().display()
        ))
    );
    assert_eq!(sshd.names("a/b/eu-west"), ["ü-20261123-3.JSON"]);
    world.settings.directory_template = String::new();
    delivered(
        &world
            .deliver_as(&meta, Payload::in_memory(r#"{"name": "top"}"#))
            .await,
    );
    assert!(sshd.names("").contains(&"top-20261123-3.JSON".to_owned()));
}

#[tokio::test]
async fn templates_that_cannot_be_rendered_are_misconfigured() {
    let sshd = Sshd::start().await;
    let rows = [
        ("in", "{{ metadata.absent }}"),
        ("in", "{{ reference }}"),
        ("in", "a/{{ message_id }}"),
        ("in/{{ '.' ~ '.' }}/x", "a"),
        ("in", "{{ message_id"),
        ("in", "{{ 'a' ~ 'b\nc' }}"),
    ];
    for (directory, name) in rows {
        let mut world = World::on(&sshd);
        (
            world.settings.directory_template,
            world.settings.filename_template,
        ) = (directory.to_owned(), name.to_owned());
        let attempted = world.deliver("dlv_1_00", Payload::in_memory("x")).await;
        assert_eq!(
            reason(&attempted),
            Reason::Misconfigured,
            "{directory} {name}: {}",
            attempted.detail
        );
        assert!(attempted.request.is_none());
    }
    assert!(sshd.names("").is_empty());
}

#[tokio::test]
async fn a_server_without_openssh_s_extensions_is_supported() {
    let sshd = Launch::default()
        .without_requests(&["posix-rename", "fsync", "limits", "hardlink"])
        .start()
        .await;
    for (text, if_exists) in [
        ("one", IfExists::Replace),
        ("two", IfExists::Replace),
        ("two", IfExists::Fail),
    ] {
        delivered(
            &World::on(&sshd)
                .if_exists(if_exists)
                .deliver("dlv_1_00", Payload::in_memory(text))
                .await,
        );
        assert_eq!(
            std::fs::read_to_string(sshd.home().join(PATH)).unwrap(),
            text
        );
    }
    assert_eq!(sshd.names("in/report.ready"), ["msg_1.csv"]);
}
