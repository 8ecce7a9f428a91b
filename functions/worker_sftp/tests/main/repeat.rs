//! Tests repeated deliveries, and other files at the same path.

use bytes::Bytes;
use domain::Reason;
use domain::settings::sftp::IfExists;
use futures_util::future::join_all;
use futures_util::stream;
use kit::sshd::{Launch, Sshd};
use serde_json::json;
use worker::Payload;

use crate::world::{PATH, World, delivered, noise, reason};

const ALL: [IfExists; 3] = [IfExists::Replace, IfExists::Fail, IfExists::Skip];

#[tokio::test]
async fn a_repeat_is_success_and_changes_nothing() {
    let sshd = Sshd::start().await;
    let bytes = noise(100_000);
    for if_exists in ALL {
        let world = World::on(&sshd).if_exists(if_exists);
        let first = world
            .deliver("dlv_1_00", Payload::in_memory(bytes.clone()))
            .await;
        let again = world
            .deliver("dlv_1_00", Payload::in_memory(bytes.clone()))
            .await;
        assert_eq!(delivered(&first), delivered(&again), "{if_exists:?}");
        assert!(std::fs::read(sshd.home().join(PATH)).unwrap() == bytes);
        assert_eq!(sshd.names("in/report.ready"), ["msg_1.csv"]);
    }
}

#[tokio::test]
async fn another_file_of_that_name_is_replaced_or_stays() {
    let sshd = Sshd::start().await;
    delivered(
        &World::on(&sshd)
            .deliver("dlv_1_00", Payload::in_memory("old"))
            .await,
    );
    // One text is as long as the old one, the other is longer.
    for text in ["new", "newer"] {
        let failed = World::on(&sshd)
            .if_exists(IfExists::Fail)
            .deliver("dlv_2_00", Payload::in_memory(text))
            .await;
        assert_eq!(reason(&failed), Reason::Rejected, "{}", failed.detail);
        let skipped = World::on(&sshd)
            .if_exists(IfExists::Skip)
            .deliver("dlv_2_00", Payload::in_memory(text))
            .await;
        let url = format!("sftp://127.0.0.1:{}/{PATH}", sshd.port);
        let tracking =
            json!({"kind": "sftp_file", "id": PATH, "url": url, "path": PATH, "skipped": true});
        assert_eq!(delivered(&skipped), tracking);
        assert_eq!(
            std::fs::read_to_string(sshd.home().join(PATH)).unwrap(),
            "old"
        );
    }
    delivered(
        &World::on(&sshd)
            .deliver("dlv_2_00", Payload::in_memory("new"))
            .await,
    );
    assert_eq!(
        std::fs::read_to_string(sshd.home().join(PATH)).unwrap(),
        "new"
    );
    assert_eq!(sshd.names("in/report.ready"), ["msg_1.csv"]);
}

#[tokio::test]
async fn a_file_that_the_account_may_not_read_is_kept() {
    let sshd = Sshd::start().await;
    delivered(
        &World::on(&sshd)
            .deliver("dlv_1_00", Payload::in_memory("the same"))
            .await,
    );
    let write_only = std::os::unix::fs::PermissionsExt::from_mode(0o200);
    std::fs::set_permissions(sshd.home().join(PATH), write_only).unwrap();
    let skipped = World::on(&sshd)
        .if_exists(IfExists::Skip)
        .deliver("dlv_1_00", Payload::in_memory("the same"))
        .await;
    assert_eq!(delivered(&skipped)["skipped"], json!(true));
    let failed = World::on(&sshd)
        .if_exists(IfExists::Fail)
        .deliver("dlv_1_00", Payload::in_memory("the same"))
        .await;
    assert_eq!(reason(&failed), Reason::Rejected, "{}", failed.detail);
    for attempted in [skipped, failed] {
        assert!(
            attempted.detail.contains("not known"),
            "{}",
            attempted.detail
        );
    }
    assert_eq!(sshd.names("in/report.ready"), ["msg_1.csv"]);
}

#[tokio::test]
async fn a_directory_in_the_way_is_never_removed() {
    let sshd = Sshd::start().await;
    std::fs::create_dir_all(sshd.home().join(PATH)).unwrap();
    for folder in ["in", "in/report.ready"] {
        let path = sshd.home().join(folder);
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .unwrap();
    }
    for if_exists in ALL {
        let attempted = World::on(&sshd)
            .if_exists(if_exists)
            .deliver("dlv_1_00", Payload::in_memory("x"))
            .await;
        if if_exists == IfExists::Skip {
            delivered(&attempted);
        } else {
            reason(&attempted);
        }
        assert_eq!(sshd.names("in/report.ready"), ["msg_1.csv"]);
    }
}

#[tokio::test]
async fn the_leftovers_of_a_crash_are_overwritten() {
    let sshd = Sshd::start().await;
    let world = World::on(&sshd);
    let bytes = noise(300_000);
    delivered(
        &world
            .deliver("dlv_0_00", Payload::in_memory("makes the directory"))
            .await,
    );
    let left = sshd.home().join("in/report.ready/.waybill-dlv_1_00.part");
    std::fs::write(&left, &bytes[..70_000]).unwrap();
    std::fs::set_permissions(&left, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    delivered(
        &world
            .deliver("dlv_1_00", Payload::in_memory(bytes.clone()))
            .await,
    );
    assert!(std::fs::read(sshd.home().join(PATH)).unwrap() == bytes);
    assert_eq!(sshd.names("in/report.ready"), ["msg_1.csv"]);
}

#[tokio::test]
async fn a_delivery_that_two_workers_send_concurrently_arrives_complete() {
    let sshd = Sshd::start().await;
    let bytes = noise(2 << 20);
    for if_exists in ALL {
        let world = World::on(&sshd).if_exists(if_exists);
        let both =
            join_all((0..3).map(|_| world.deliver("dlv_1_00", Payload::in_memory(bytes.clone()))))
                .await;
        assert!(
            both.iter().any(|attempted| matches!(
                attempted.outcome,
                domain::settle::Outcome::Delivered(_)
            )),
            "{both:?}"
        );
        assert!(
            std::fs::read(sshd.home().join(PATH)).unwrap() == bytes,
            "{if_exists:?}"
        );
        std::fs::remove_file(sshd.home().join(PATH)).unwrap();
    }
}

#[tokio::test]
async fn a_stream_without_a_known_hash_is_recognised_after_it_was_read() {
    let sshd = Sshd::start().await;
    let streamed = |text: &'static str| {
        Payload::streamed(
            text.len() as u64,
            stream::iter([Ok(Bytes::from_static(text.as_bytes()))]),
        )
    };
    for if_exists in [IfExists::Fail, IfExists::Skip] {
        let world = World::on(&sshd).if_exists(if_exists);
        let first = world.deliver("dlv_1_00", streamed("the same")).await;
        assert_eq!(
            delivered(&first),
            delivered(&world.deliver("dlv_1_00", streamed("the same")).await)
        );
        let other = world.deliver("dlv_2_00", streamed("not that")).await;
        match if_exists {
            IfExists::Skip => assert_eq!(delivered(&other)["skipped"], json!(true)),
            _ => assert_eq!(reason(&other), Reason::Rejected, "{}", other.detail),
        }
        assert_eq!(
            std::fs::read_to_string(sshd.home().join(PATH)).unwrap(),
            "the same"
        );
        assert_eq!(sshd.names("in/report.ready"), ["msg_1.csv"]);
    }
}

#[tokio::test]
async fn a_replaced_file_that_a_crash_left_aside_is_removed_by_the_next_attempt() {
    let sshd = Launch::default()
        .without_requests(&["posix-rename"])
        .start()
        .await;
    let world = World::on(&sshd).if_exists(IfExists::Replace);
    let directory = sshd.home().join("in/report.ready");
    delivered(&world.deliver("dlv_0_00", Payload::in_memory("old")).await);
    // The crash happened before the new file had its name, or before the old one was removed.
    for is_renamed in [false, true] {
        let aside = directory.join(".waybill-dlv_1_00.replaced");
        std::fs::rename(sshd.home().join(PATH), &aside).unwrap();
        if is_renamed {
            std::fs::copy(&aside, sshd.home().join(PATH)).unwrap();
        }
        delivered(&world.deliver("dlv_1_00", Payload::in_memory("new")).await);
        assert_eq!(
            std::fs::read_to_string(sshd.home().join(PATH)).unwrap(),
            "new"
        );
        assert_eq!(
            sshd.names("in/report.ready"),
            ["msg_1.csv"],
            "the new file was renamed before: {is_renamed}"
        );
    }
}
