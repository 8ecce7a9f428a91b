//! Tests that a server accepts each kind of credentials, and refuses wrong ones.

use domain::Reason;
use domain::check::StepName;
use kit::sshd::{Launch, Sshd, stranger_key};
use worker::Payload;

use crate::world::{World, delivered, failed_step, password, private_key, reason};

#[tokio::test]
async fn the_password_is_accepted_and_a_wrong_one_refused() {
    for launch in [
        Launch::default().option("PubkeyAuthentication no"),
        Launch::default().asking_for_the_password(),
    ] {
        let sshd = launch.start().await;
        let mut world = World::on(&sshd);
        delivered(&world.deliver("dlv_1_00", Payload::in_memory("x")).await);
        world.credentials = password("wrong");
        refused(&world).await;
    }
    let sshd = Sshd::start().await;
    let mut world = World::on(&sshd);
    world.settings.username = "nobody-of-that-name".to_owned();
    refused(&world).await;
}

#[tokio::test]
async fn one_attempt_is_enough_for_the_password() {
    for launch in [
        Launch::default(),
        Launch::default().asking_for_the_password(),
    ] {
        let sshd = launch.option("MaxAuthTries 1").start().await;
        let world = World::on(&sshd);
        delivered(&world.deliver("dlv_1_00", Payload::in_memory("x")).await);
        assert!(world.check().await.ok);
    }
}

#[tokio::test]
async fn keys_of_every_type_are_accepted_and_a_stranger_s_refused() {
    let sshd = Launch::default()
        .option("PasswordAuthentication no")
        .start()
        .await;
    let mut world = World::on(&sshd);
    for kind in ["ed25519", "ecdsa", "rsa"] {
        world.credentials = private_key(&sshd.authorize_key(kind, ""), None);
        delivered(&world.deliver("dlv_1_00", Payload::in_memory("x")).await);
        let report = world.check().await;
        let warned = report
            .steps
            .iter()
            .any(|step| step.detail.contains("RUSTSEC-2023-0071"));
        assert_eq!(
            (report.ok, warned),
            (true, kind == "rsa"),
            "{kind}: {report:?}"
        );
    }
    world.credentials = private_key(&stranger_key("ed25519", "").0, None);
    refused(&world).await;
    world.credentials = password(kit::sshd::PASSWORD);
    refused(&world).await;
}

#[tokio::test]
async fn an_encrypted_key_opens_with_its_passphrase_alone() {
    let sshd = Sshd::start().await;
    let mut world = World::on(&sshd);
    let key = sshd.authorize_key("ed25519", "open sesame");
    world.credentials = private_key(&key, Some("open sesame"));
    delivered(&world.deliver("dlv_1_00", Payload::in_memory("x")).await);
    for (key, passphrase) in [
        (&*key, Some("open barley")),
        (&*key, None),
        ("no key at all", None),
        (&key[..key.len() / 2], Some("open sesame")),
    ] {
        world.credentials = private_key(key, passphrase);
        refused(&world).await;
    }
}

#[tokio::test]
async fn a_server_that_requires_two_methods_is_reported() {
    let sshd = Launch::default()
        .option("AuthenticationMethods publickey,password")
        .start()
        .await;
    let mut world = World::on(&sshd);
    world.credentials = private_key(&sshd.authorize_key("ed25519", ""), None);
    refused(&world).await;
    assert!(
        world
            .deliver("dlv_1_00", Payload::in_memory("x"))
            .await
            .detail
            .contains("second way")
    );
}

/// Checks that a delivery and the check are both refused without showing the secret.
async fn refused(world: &World) {
    let attempted = world.deliver("dlv_1_00", Payload::in_memory("x")).await;
    assert_eq!(
        reason(&attempted),
        Reason::Authentication,
        "{}",
        attempted.detail
    );
    let report = world.check().await;
    assert_eq!(
        failed_step(&report),
        Some(StepName::Authenticate),
        "{report:?}"
    );
    let printed = format!("{attempted:?} {report:?}");
    for secret in [
        "wrong",
        "horse",
        "sesame",
        "barley",
        "PRIVATE KEY",
        "no key at all",
    ] {
        assert!(
            !printed.contains(secret)
                || secret == "wrong" && printed.contains("passphrase is wrong"),
            "{printed}"
        );
    }
}
