//! Tests broken servers and connections, and cancelled attempts.

use std::time::Duration;

use domain::Reason;
use domain::settle::Outcome;
use egress::{Guard, Policy};
use kit::line::{Line, LineBehaviour};
use kit::sshd::{Launch, Sshd};
use tokio::time::Instant;
use worker::Payload;

use crate::world::{PATH, World, delivered, noise, reason};

#[tokio::test]
async fn a_blocked_address_is_not_connected_to() {
    let sshd = Sshd::start().await;
    let line = Line::to(sshd.port, LineBehaviour::Delayed(Duration::ZERO)).await;
    let mut world = World::on(&sshd);
    world.guard = Guard::new(Policy::default());
    world.settings.port = line.port;
    for host in [
        "127.0.0.1",
        "localhost",
        "0x7f.1",
        "::ffff:127.0.0.1",
        "169.254.169.254",
    ] {
        world.settings.host = host.to_owned();
        let attempted = world.deliver("dlv_1_00", Payload::in_memory("x")).await;
        assert_eq!(
            attempted.outcome,
            Outcome::Reject(Reason::BlockedAddress),
            "{host}: {}",
            attempted.detail
        );
    }
    assert_eq!(line.open_connections(), 0);
}

#[tokio::test]
async fn silence_at_any_point_is_a_timeout_within_the_budget() {
    let sshd = Sshd::start().await;
    for bytes in [0, 1_500, 3_000, 200_000, 4_000_000] {
        let line = Line::to(sshd.port, LineBehaviour::Silent(bytes)).await;
        let mut world = World::on(&sshd);
        world.settings.port = line.port;
        world.timeout = Duration::from_secs(3);
        let began = Instant::now();
        let attempted = world
            .deliver("dlv_1_00", Payload::in_memory(noise(8 << 20)))
            .await;
        assert_eq!(
            reason(&attempted),
            Reason::Timeout,
            "after {bytes} bytes: {}",
            attempted.detail
        );
        assert!(
            began.elapsed() < Duration::from_secs(6),
            "{:?}",
            began.elapsed()
        );
        assert!(!sshd.home().join(PATH).exists());
    }
}

#[tokio::test]
async fn a_line_that_breaks_is_protocol_and_the_next_attempt_delivers() {
    let sshd = Sshd::start().await;
    let bytes = noise(8 << 20);
    for after in [100, 2_500, 1_000_000, 6_000_000] {
        let line = Line::to(sshd.port, LineBehaviour::Broken(after)).await;
        let mut world = World::on(&sshd);
        world.settings.port = line.port;
        let attempted = world
            .deliver("dlv_1_00", Payload::in_memory(bytes.clone()))
            .await;
        assert!(
            matches!(
                reason(&attempted),
                Reason::Protocol | Reason::Authentication
            ),
            "after {after} bytes: {attempted:?}"
        );
        assert!(!sshd.home().join(PATH).exists(), "after {after} bytes");
    }
    delivered(
        &World::on(&sshd)
            .deliver("dlv_1_00", Payload::in_memory(bytes))
            .await,
    );
    assert_eq!(
        sshd.names("in/report.ready"),
        ["msg_1.csv"],
        "the next attempt takes the temporary file over"
    );
}

#[tokio::test]
async fn an_attempt_cancelled_at_any_moment_leaves_no_partial_file_visible() {
    let sshd = Sshd::start().await;
    let line = Line::to(sshd.port, LineBehaviour::Delayed(Duration::ZERO)).await;
    let mut world = World::on(&sshd);
    world.settings.port = line.port;
    let bytes = noise(2 << 20);
    let began = Instant::now();
    delivered(
        &world
            .deliver("dlv_0_00", Payload::in_memory(bytes.clone()))
            .await,
    );
    let whole = began.elapsed();
    for moment in 1..=20 {
        drop(std::fs::remove_file(sshd.home().join(PATH)));
        let attempt = world.deliver("dlv_1_00", Payload::in_memory(bytes.clone()));
        let let_go = tokio::time::timeout(whole * moment / 18, attempt).await;
        drop(let_go);
        if let Ok(found) = std::fs::read(sshd.home().join(PATH)) {
            assert!(
                found == bytes,
                "moment {moment}: {} bytes are visible",
                found.len()
            );
        }
    }
    let gone = async {
        while line.open_connections() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(5), gone)
            .await
            .is_ok(),
        "a connection outlives its attempt"
    );
    delivered(&world.deliver("dlv_1_00", Payload::in_memory(bytes)).await);
    assert_eq!(sshd.names("in/report.ready"), ["msg_1.csv"]);
}

#[tokio::test]
async fn missing_write_permission_is_an_authorization_failure() {
    let read_only = Launch::default().read_only().start().await;
    let attempted = World::on(&read_only)
        .deliver("dlv_1_00", Payload::in_memory("x"))
        .await;
    assert_eq!(
        reason(&attempted),
        Reason::Authorization,
        "{}",
        attempted.detail
    );
    let sshd = Sshd::start().await;
    let mut world = World::on(&sshd);
    for directory in ["/etc", "/etc/waybill/below"] {
        world.settings.directory_template = directory.to_owned();
        let attempted = world.deliver("dlv_1_00", Payload::in_memory("x")).await;
        assert_eq!(
            reason(&attempted),
            Reason::Authorization,
            "{directory}: {}",
            attempted.detail
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_an_ssh_server_is_a_protocol_failure() {
    let sink = kit::sink::Sink::start().await;
    let sshd = Sshd::start().await;
    let mut world = World::on(&sshd);
    world.settings.port = sink.address().port();
    world.timeout = Duration::from_secs(5);
    let attempted = world.deliver("dlv_1_00", Payload::in_memory("x")).await;
    assert!(
        matches!(reason(&attempted), Reason::Protocol | Reason::Timeout),
        "{}",
        attempted.detail
    );
}
