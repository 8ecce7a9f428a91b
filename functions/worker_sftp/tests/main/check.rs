//! Tests that the check names the step that fails.

use domain::check::StepName;
use domain::settings::sftp::{HostKey, HostKeys};
use egress::{Guard, Policy};
use kit::sshd::{Launch, Sshd};

use crate::world::{World, failed_step, password};

const STEPS: [StepName; 5] = [
    StepName::Resolve,
    StepName::Connect,
    StepName::HostKey,
    StepName::Authenticate,
    StepName::Write,
];

#[tokio::test]
async fn a_good_destination_passes_every_step_and_keeps_nothing() {
    let sshd = Sshd::start().await;
    let report = World::on(&sshd).check().await;
    assert!(report.ok, "{report:?}");
    assert_eq!(
        report
            .steps
            .iter()
            .map(|step| step.name)
            .collect::<Vec<_>>(),
        STEPS
    );
    assert!(report.steps.iter().all(|step| step.ok == Some(true)));
    assert!(
        sshd.names("").is_empty(),
        "neither a file nor a directory stays"
    );
}

#[tokio::test]
async fn each_mistake_fails_its_step() {
    let sshd = Sshd::start().await;
    let read_only = Launch::default().read_only().start().await;
    let no_sftp = Launch::default()
        .option("ForceCommand /bin/false")
        .start()
        .await;
    let rows: Vec<(StepName, World)> = vec![
        (
            StepName::Resolve,
            change(&sshd, |world| {
                world.settings.host = "no-such-host.invalid".to_owned()
            }),
        ),
        (
            StepName::Resolve,
            change(&sshd, |world| world.guard = Guard::new(Policy::default())),
        ),
        (
            StepName::Connect,
            change(&sshd, |world| world.settings.port = 1),
        ),
        (
            StepName::HostKey,
            change(&sshd, |world| {
                world.settings.host_keys =
                    HostKeys::one(HostKey::parse(&read_only.host_key("ed25519")).unwrap())
            }),
        ),
        (
            StepName::HostKey,
            change(&sshd, |world| {
                world.settings.host_keys =
                    HostKeys::one(HostKey::parse(&read_only.fingerprint("rsa")).unwrap())
            }),
        ),
        (
            StepName::Authenticate,
            change(&sshd, |world| world.credentials = password("wrong")),
        ),
        (StepName::Write, World::on(&read_only)),
        (StepName::Write, World::on(&no_sftp)),
        (
            StepName::Write,
            change(&sshd, |world| {
                world.settings.directory_template = "/etc".to_owned()
            }),
        ),
        (
            StepName::Write,
            change(&sshd, |world| {
                world.settings.filename_template = "{{ tenant }}".to_owned()
            }),
        ),
    ];
    for (number, (step, mut world)) in rows.into_iter().enumerate() {
        world.timeout = std::time::Duration::from_secs(20);
        let report = world.check().await;
        assert_eq!(failed_step(&report), Some(step), "row {number}: {report:?}");
        let position = STEPS.iter().position(|name| *name == step).unwrap();
        assert!(
            report.steps[..position]
                .iter()
                .all(|step| step.ok == Some(true)),
            "row {number}: {report:?}"
        );
        assert!(
            report.steps[position + 1..]
                .iter()
                .all(|step| step.ok.is_none()),
            "row {number}: {report:?}"
        );
        assert_eq!(report.steps.len(), STEPS.len());
    }
    assert!(sshd.names("").is_empty());
}

fn change(sshd: &Sshd, change: impl FnOnce(&mut World)) -> World {
    let mut world = World::on(sshd);
    change(&mut world);
    world
}
