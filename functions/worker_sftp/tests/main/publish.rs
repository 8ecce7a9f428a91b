//! Tests that `if_exists: fail` and `skip` never overwrite another file, whatever the server's
//! rename does.

use bytes::Bytes;
use domain::Reason;
use domain::settings::sftp::IfExists;
use futures_util::stream;
use kit::odd_sftp::OddSftp;
use kit::sshd::{Launch, Sshd};
use serde_json::json;
use worker::{Attempted, Payload};

use crate::world::{PATH, World, delivered, reason};

const CAREFUL: [IfExists; 2] = [IfExists::Fail, IfExists::Skip];
/// Servers whose rename replaces files, with and without hard links.
const REPLACING: [&str; 4] = [
    "rename-replaces",
    "rename-replaces,hardlink",
    "rename-replaces,hardlink-unsupported",
    "rename-replaces,hardlink-refused",
];

fn world(server: &OddSftp) -> World {
    World::at(server.port, &server.host_key)
}

fn streamed(text: &'static str) -> Payload {
    let pieces = stream::iter([Ok(Bytes::from_static(text.as_bytes()))]);
    Payload::streamed(text.len() as u64, pieces)
}

/// Asserts that another file was kept.
fn kept(attempted: &Attempted, if_exists: IfExists, case: &str) {
    match if_exists {
        IfExists::Skip => assert_eq!(delivered(attempted)["skipped"], json!(true), "{case}"),
        _ => assert_eq!(
            reason(attempted),
            Reason::Rejected,
            "{case}: {}",
            attempted.detail
        ),
    }
}

#[tokio::test]
async fn another_file_of_the_same_size_is_kept_where_a_rename_replaces() {
    for oddities in REPLACING {
        for if_exists in CAREFUL {
            for payload in [streamed("ours!!"), Payload::in_memory("ours!!")] {
                let server = OddSftp::start(oddities);
                std::fs::create_dir_all(server.home().join("in/report.ready")).unwrap();
                std::fs::write(server.home().join(PATH), "theirs").unwrap();
                let attempted = world(&server)
                    .if_exists(if_exists)
                    .deliver("dlv_1_00", payload)
                    .await;
                kept(&attempted, if_exists, oddities);
                let there = std::fs::read_to_string(server.home().join(PATH)).unwrap();
                assert_eq!(there, "theirs", "{oddities} {if_exists:?}");
                assert_eq!(server.tree(), ["in", "in/report.ready", PATH], "{oddities}");
            }
        }
    }
}

#[tokio::test]
async fn a_file_that_appears_while_the_payload_is_sent_is_kept() {
    for oddities in REPLACING.iter().chain(&["", "hardlink"]) {
        for if_exists in CAREFUL {
            let server = OddSftp::start(oddities);
            let path = server.home().join(PATH);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let appearing = path.clone();
            let pieces = stream::once(async move {
                std::fs::write(appearing, "theirs").unwrap();
                Ok(Bytes::from_static(b"ours"))
            });
            let attempted = world(&server)
                .if_exists(if_exists)
                .deliver("dlv_1_00", Payload::streamed(4, Box::pin(pieces)))
                .await;
            kept(&attempted, if_exists, oddities);
            assert_eq!(
                std::fs::read_to_string(&path).unwrap(),
                "theirs",
                "{oddities}"
            );
            assert_eq!(server.tree(), ["in", "in/report.ready", PATH], "{oddities}");
        }
    }
}

#[tokio::test]
async fn a_file_that_appears_after_the_last_look_is_kept_where_a_rename_refuses() {
    for if_exists in CAREFUL {
        let server = OddSftp::start("appears-at-rename");
        let attempted = world(&server)
            .if_exists(if_exists)
            .deliver("dlv_1_00", Payload::in_memory("ours"))
            .await;
        kept(&attempted, if_exists, "appears-at-rename");
        assert_eq!(server.tree(), ["in", "in/report.ready", PATH]);
    }
}

#[tokio::test]
async fn an_earlier_success_is_recognized_and_its_temporary_name_removed() {
    for oddities in REPLACING {
        for if_exists in CAREFUL {
            for payload in [streamed, |text: &'static str| Payload::in_memory(text)] {
                let server = OddSftp::start(oddities);
                let world = world(&server).if_exists(if_exists);
                delivered(&world.deliver("dlv_1_00", payload("ours")).await);
                // The attempt crashed after the link, or its answer was lost.
                let left = server.home().join("in/report.ready/.waybill-dlv_1_00.part");
                std::fs::hard_link(server.home().join(PATH), left).unwrap();
                let again = world.deliver("dlv_1_00", payload("ours")).await;
                delivered(&again);
                assert!(
                    again.detail.contains("same bytes"),
                    "{oddities}: {}",
                    again.detail
                );
                assert_eq!(server.tree(), ["in", "in/report.ready", PATH], "{oddities}");
            }
        }
    }
}

#[tokio::test]
async fn a_temporary_name_that_cannot_be_removed_does_not_fail_the_delivery() {
    let server = OddSftp::start("hardlink,remove-refused");
    let world = world(&server).if_exists(IfExists::Fail);
    let first = world.deliver("dlv_1_00", Payload::in_memory("ours")).await;
    let again = world.deliver("dlv_1_00", Payload::in_memory("ours")).await;
    assert_eq!(delivered(&first), delivered(&again));
}

#[tokio::test]
async fn openssh_publishes_by_a_link_and_needs_no_rename() {
    let requests = ["rename", "posix-rename"];
    let sshd: Sshd = Launch::default().without_requests(&requests).start().await;
    for if_exists in CAREFUL {
        let world = World::on(&sshd).if_exists(if_exists);
        let report = world.check().await;
        assert!(
            report.ok && !format!("{report:?}").contains("warning"),
            "{report:?}"
        );
        delivered(&world.deliver("dlv_1_00", Payload::in_memory("ours")).await);
        let other = world.deliver("dlv_2_00", Payload::in_memory("else")).await;
        kept(&other, if_exists, "OpenSSH");
        assert_eq!(sshd.names("in/report.ready"), ["msg_1.csv"]);
    }
}

#[tokio::test]
async fn the_check_warns_where_a_rename_replaces_and_no_hard_link_is_available() {
    for (oddities, warns) in [
        ("", false),
        ("hardlink", false),
        ("hardlink-refused", false),
        ("rename-replaces", true),
        ("rename-replaces,hardlink", false),
        ("rename-replaces,hardlink-unsupported", true),
        ("rename-replaces,hardlink-refused", true),
    ] {
        for if_exists in [IfExists::Replace, IfExists::Fail, IfExists::Skip] {
            let server = OddSftp::start(oddities);
            let report = world(&server).if_exists(if_exists).check().await;
            let warned = format!("{report:?}").contains("can be overwritten");
            let expected = warns && if_exists != IfExists::Replace;
            assert!(
                report.ok && warned == expected,
                "{oddities} {if_exists:?}: {report:?}"
            );
            assert_eq!(
                server.tree(),
                [""; 0],
                "{oddities}: the check leaves nothing"
            );
        }
    }
}
