//! Tests servers that deviate from SFTP version 3, as many do.

use std::time::Duration;

use bytes::Bytes;
use domain::Reason;
use domain::check::StepName;
use domain::settings::sftp::IfExists;
use futures_util::stream;
use kit::odd_sftp::OddSftp;
use serde_json::json;
use tokio::time::Instant;
use worker::Payload;

use crate::world::{PATH, World, delivered, failed_step, noise, reason};

fn world(server: &OddSftp) -> World {
    World::at(server.port, &server.host_key)
}

#[tokio::test]
async fn the_file_arrives_despite_unusual_answers() {
    let bytes = noise(300_000);
    for oddities in [
        "",
        "no-message",
        "no-tag",
        "later-codes",
        "later-codes,no-message",
        "fstat-unsupported",
        "fstat-missing",
        "fstat-failure",
        "fstat-zero",
        "fstat-unsupported,stat-unsupported",
        "size-missing",
        "read-refused",
        "failure-for-missing",
        "failure-for-missing,no-message",
        "posix-rename-unsupported",
    ] {
        for if_exists in [IfExists::Replace, IfExists::Fail, IfExists::Skip] {
            // If files cannot be looked at, the delivery cannot know whether one exists.
            if oddities.contains(",stat-unsupported") && if_exists != IfExists::Replace {
                continue;
            }
            let server = OddSftp::start(oddities);
            let world = world(&server).if_exists(if_exists);
            let report = world.check().await;
            assert!(report.ok, "{oddities} {if_exists:?}: {report:?}");
            let warned = format!("{report:?}").contains("warning");
            assert_eq!(
                warned,
                oddities.contains(",stat-unsupported"),
                "{oddities}: {report:?}"
            );
            assert_eq!(
                server.tree(),
                [""; 0],
                "{oddities} {if_exists:?}: the check leaves nothing"
            );
            delivered(
                &world
                    .deliver("dlv_1_00", Payload::in_memory(bytes.clone()))
                    .await,
            );
            assert!(
                std::fs::read(server.home().join(PATH)).unwrap() == bytes,
                "{oddities}"
            );
            assert_eq!(
                server.tree(),
                ["in", "in/report.ready", PATH],
                "{oddities} {if_exists:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_file_is_replaced_where_the_server_cannot_do_it_in_one_step_and_never_lost() {
    for oddities in [
        "",
        "posix-rename-unsupported",
        "later-codes",
        "failure-for-missing",
    ] {
        let server = OddSftp::start(oddities);
        delivered(
            &world(&server)
                .deliver("dlv_1_00", Payload::in_memory("old"))
                .await,
        );
        delivered(
            &world(&server)
                .deliver("dlv_2_00", Payload::in_memory("new"))
                .await,
        );
        assert_eq!(
            std::fs::read_to_string(server.home().join(PATH)).unwrap(),
            "new",
            "{oddities}"
        );
        assert_eq!(server.tree(), ["in", "in/report.ready", PATH], "{oddities}");
    }
    for oddities in ["part-rename-refused", "rename-refused"] {
        let server = OddSftp::start(oddities);
        std::fs::create_dir_all(server.home().join("in/report.ready")).unwrap();
        std::fs::write(server.home().join(PATH), "old").unwrap();
        let failed = world(&server)
            .deliver("dlv_2_00", Payload::in_memory("new"))
            .await;
        assert_eq!(
            reason(&failed),
            Reason::Authorization,
            "{oddities}: {}",
            failed.detail
        );
        assert_eq!(
            std::fs::read_to_string(server.home().join(PATH)).unwrap(),
            "old",
            "{oddities}"
        );
        assert_eq!(server.tree(), ["in", "in/report.ready", PATH], "{oddities}");
    }
}

#[tokio::test]
async fn a_file_without_a_reported_size_is_this_deliverys_only_if_its_bytes_are_the_same() {
    let (theirs, longer) = ("theirs", "some text and more");
    for if_exists in [IfExists::Fail, IfExists::Skip] {
        for (there, payload) in [
            (theirs, ""),
            (theirs, "other"),
            (longer, "some text"),
            ("", "some text"),
            ("", ""),
        ] {
            let server = OddSftp::start("size-missing");
            std::fs::create_dir_all(server.home().join("in/report.ready")).unwrap();
            std::fs::write(server.home().join(PATH), there).unwrap();
            let attempted = world(&server)
                .if_exists(if_exists)
                .deliver("dlv_1_00", Payload::in_memory(payload))
                .await;
            let case = format!(
                "{if_exists:?}, {there:?} exists, {payload:?} is sent: {}",
                attempted.detail
            );
            match if_exists {
                _ if there == payload => assert!(attempted.detail.contains("same bytes"), "{case}"),
                IfExists::Skip => {
                    assert_eq!(delivered(&attempted)["skipped"], json!(true), "{case}")
                }
                _ => assert_eq!(reason(&attempted), Reason::Rejected, "{case}"),
            }
            assert_eq!(
                std::fs::read_to_string(server.home().join(PATH)).unwrap(),
                there,
                "{case}"
            );
            assert_eq!(server.tree(), ["in", "in/report.ready", PATH], "{case}");
        }
    }
}

#[tokio::test]
async fn a_refused_replacement_leaves_no_temporary_file_whatever_the_existing_file_holds() {
    for oddities in ["part-rename-refused", "rename-refused"] {
        for there in ["the same", "not that"] {
            let server = OddSftp::start(oddities);
            std::fs::create_dir_all(server.home().join("in/report.ready")).unwrap();
            std::fs::write(server.home().join(PATH), there).unwrap();
            let attempted = world(&server)
                .deliver("dlv_1_00", Payload::in_memory("the same"))
                .await;
            assert_eq!(
                attempted.outcome.reason().is_none(),
                there == "the same",
                "{oddities} {there}: {}",
                attempted.detail
            );
            assert_eq!(
                std::fs::read_to_string(server.home().join(PATH)).unwrap(),
                there,
                "{oddities}"
            );
            assert_eq!(
                server.tree(),
                ["in", "in/report.ready", PATH],
                "{oddities} {there}"
            );
        }
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_kept_and_the_detail_says_what_is_not_known() {
    for oddities in ["read-refused", "read-unsupported"] {
        for (if_exists, is_streamed) in [
            (IfExists::Skip, false),
            (IfExists::Fail, false),
            (IfExists::Skip, true),
            (IfExists::Fail, true),
        ] {
            let server = OddSftp::start(oddities);
            delivered(
                &world(&server)
                    .deliver("dlv_1_00", Payload::in_memory("the same"))
                    .await,
            );
            let payload = || {
                let pieces = stream::iter([Ok(Bytes::from_static(b"the same"))]);
                if is_streamed {
                    Payload::streamed(8, pieces)
                } else {
                    Payload::in_memory("the same")
                }
            };
            let attempted = world(&server)
                .if_exists(if_exists)
                .deliver("dlv_2_00", payload())
                .await;
            match if_exists {
                IfExists::Skip => {
                    assert_eq!(delivered(&attempted)["skipped"], json!(true), "{oddities}")
                }
                _ => assert_eq!(
                    reason(&attempted),
                    Reason::Rejected,
                    "{oddities}: {}",
                    attempted.detail
                ),
            }
            assert!(
                attempted.detail.contains("not known"),
                "{oddities} {if_exists:?}: {}",
                attempted.detail
            );
            assert_eq!(
                server.tree(),
                ["in", "in/report.ready", PATH],
                "{oddities} {if_exists:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_servers_error_message_is_passed_on() {
    let rows = [
        ("no-space", "No space left on device"),
        ("quota,no-message", "quota exceeded"),
        ("unknown-code", "status code 4711: the moon is full"),
    ];
    for (oddities, said) in rows {
        let server = OddSftp::start(oddities);
        let failed = world(&server)
            .deliver("dlv_1_00", Payload::in_memory(noise(1 << 20)))
            .await;
        assert_eq!(reason(&failed), Reason::ServerError, "{}", failed.detail);
        assert!(failed.detail.contains(said), "{}", failed.detail);
        assert_eq!(server.tree(), ["in", "in/report.ready"], "{oddities}");
        let report = world(&server).check().await;
        assert_eq!(failed_step(&report), Some(StepName::Write), "{report:?}");
        assert!(format!("{report:?}").contains(said), "{report:?}");
    }
}

#[tokio::test]
async fn lost_bytes_are_noticed_however_the_size_is_read() {
    for oddities in [
        "loses-a-byte",
        "loses-a-byte,fstat-unsupported",
        "loses-a-byte,fstat-zero",
    ] {
        let server = OddSftp::start(oddities);
        let failed = world(&server)
            .deliver("dlv_1_00", Payload::in_memory(noise(100_000)))
            .await;
        assert_eq!(
            reason(&failed),
            Reason::ServerError,
            "{oddities}: {}",
            failed.detail
        );
        assert_eq!(server.tree(), ["in", "in/report.ready"], "{oddities}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_ends_the_attempt_at_once() {
    let server = OddSftp::start("broken-status");
    let mut world = world(&server);
    world.timeout = Duration::from_secs(60);
    let began = Instant::now();
    let failed = world
        .deliver("dlv_1_00", Payload::in_memory(noise(8 << 20)))
        .await;
    assert_eq!(reason(&failed), Reason::Protocol, "{}", failed.detail);
    assert!(
        failed.detail.contains("closed the connection"),
        "{}",
        failed.detail
    );
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn the_check_refuses_what_no_delivery_could_do() {
    for (oddities, why) in [
        ("rename-refused", Reason::Authorization),
        ("part-rename-refused", Reason::Authorization),
        ("loses-a-byte", Reason::ServerError),
        ("no-space", Reason::ServerError),
    ] {
        let server = OddSftp::start(oddities);
        let report = world(&server).check().await;
        assert_eq!(
            failed_step(&report),
            Some(StepName::Write),
            "{oddities}: {report:?}"
        );
        let failed = world(&server)
            .deliver("dlv_1_00", Payload::in_memory("some text"))
            .await;
        assert_eq!(reason(&failed), why, "{oddities}: {}", failed.detail);
        assert!(
            server.tree().iter().all(|path| !path.contains(".waybill")),
            "{:?}",
            server.tree()
        );
    }
    // The directory does not exist and cannot be created.
    let server = OddSftp::start("mkdir-refused");
    assert_eq!(
        failed_step(&world(&server).check().await),
        Some(StepName::Write)
    );
    let failed = world(&server)
        .deliver("dlv_1_00", Payload::in_memory("x"))
        .await;
    assert_eq!(reason(&failed), Reason::Authorization, "{}", failed.detail);
}

#[tokio::test]
async fn the_check_warns_where_deliveries_work_without() {
    // New files can be delivered without the right to delete.
    let server = OddSftp::start("remove-refused");
    let report = world(&server).check().await;
    assert!(report.ok, "{report:?}");
    let detail = &report.steps.last().unwrap().detail;
    assert!(
        detail.contains("warning") && detail.contains("stays"),
        "{detail}"
    );
    delivered(
        &world(&server)
            .deliver("dlv_1_00", Payload::in_memory("x"))
            .await,
    );
    // Without the right to create directories, files can be delivered to existing ones.
    let server = OddSftp::start("mkdir-refused");
    std::fs::create_dir_all(server.home().join("in/report.ready")).unwrap();
    let report = world(&server).check().await;
    assert!(report.ok, "{report:?}");
    assert!(
        report
            .steps
            .last()
            .unwrap()
            .detail
            .contains("directories that exist"),
        "{report:?}"
    );
    delivered(
        &world(&server)
            .deliver("dlv_1_00", Payload::in_memory("x"))
            .await,
    );
    assert_eq!(server.tree(), ["in", "in/report.ready", PATH]);
}
