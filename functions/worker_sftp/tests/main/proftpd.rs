//! Tests the same guarantees on ProFTPD's `mod_sftp`.

use domain::Reason;
use domain::check::StepName;
use domain::settings::sftp::IfExists;
use kit::odd_sftp::tree;
use kit::proftpd::Proftpd;
use worker::Payload;

use crate::world::{PATH, World, delivered, failed_step, noise, password, reason};

fn world(server: &Proftpd) -> World {
    World::at(server.port, &server.host_key)
}

#[tokio::test]
async fn files_arrive_complete_when_repeated_and_when_replacing_another() {
    let server = Proftpd::start("").await;
    let bytes = noise(3 << 20);
    for if_exists in [IfExists::Replace, IfExists::Fail, IfExists::Skip] {
        let world = world(&server).if_exists(if_exists);
        let report = world.check().await;
        assert!(
            report.ok && !format!("{report:?}").contains("warning"),
            "{report:?}"
        );
        let first = world
            .deliver("dlv_1_00", Payload::in_memory(bytes.clone()))
            .await;
        let again = world
            .deliver("dlv_1_00", Payload::in_memory(bytes.clone()))
            .await;
        assert_eq!(delivered(&first), delivered(&again), "{if_exists:?}");
        assert!(std::fs::read(server.home().join(PATH)).unwrap() == bytes);
        assert_eq!(tree(&server.home()), ["in", "in/report.ready", PATH]);
    }
    let careful = world(&server).if_exists(IfExists::Fail);
    let refused = careful.deliver("dlv_2_00", Payload::in_memory("new")).await;
    assert_eq!(reason(&refused), Reason::Rejected);
    delivered(
        &world(&server)
            .deliver("dlv_2_00", Payload::in_memory("new"))
            .await,
    );
    assert_eq!(
        std::fs::read_to_string(server.home().join(PATH)).unwrap(),
        "new"
    );
    assert_eq!(tree(&server.home()), ["in", "in/report.ready", PATH]);
}

#[tokio::test]
async fn empty_files_arrive() {
    let server = Proftpd::start("").await;
    delivered(
        &world(&server)
            .deliver("dlv_1_00", Payload::in_memory(""))
            .await,
    );
    assert_eq!(std::fs::read(server.home().join(PATH)).unwrap().len(), 0);
}

#[tokio::test]
async fn refusals_are_named() {
    let server = Proftpd::start("<Limit RNFR RNTO>\nDenyAll\n</Limit>").await;
    let report = world(&server).check().await;
    assert_eq!(failed_step(&report), Some(StepName::Write), "{report:?}");
    reason(
        &world(&server)
            .deliver("dlv_1_00", Payload::in_memory("x"))
            .await,
    );
    let mut stranger = world(&server);
    stranger.credentials = password("wrong");
    assert_eq!(
        failed_step(&stranger.check().await),
        Some(StepName::Authenticate)
    );
}

#[tokio::test]
async fn without_the_right_to_delete_files_arrive_and_the_check_warns() {
    let server = Proftpd::start("<Limit DELE RMD XRMD>\nDenyAll\n</Limit>").await;
    let report = world(&server).check().await;
    assert!(
        report.ok && format!("{report:?}").contains("warning"),
        "{report:?}"
    );
    delivered(
        &world(&server)
            .deliver("dlv_1_00", Payload::in_memory("x"))
            .await,
    );
}
