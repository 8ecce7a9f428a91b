//! The connection check: the way of a delivery, one step after the other (destinations.md: resolve, connect, host key, authenticate, write).

use domain::Reason;
use domain::check::{CheckReport, CheckStep, StepName};
use domain::settings::sftp::SftpSettings;
use domain::settle::Outcome;
use egress::{Guard, Host};
use tokio::time::Instant;
use worker::Payload;

use crate::credentials::Credentials;
use crate::failure::{Failure, millis, within};
use crate::place::{constant_directories, misconfigured};
use crate::remote::Remote;
use crate::ssh;

/// The steps in their order.
const STEPS: [StepName; 5] = [StepName::Resolve, StepName::Connect, StepName::HostKey, StepName::Authenticate, StepName::Write];
/// Deliveries work all the same.
const RSA_WARNING: &str = "; warning: the time that RSA signatures take can reveal the key to whoever measures it (RUSTSEC-2023-0071), \
                           so use an Ed25519 or ECDSA key instead";
/// What the file that is made and removed holds.
const CHECK_TEXT: &str = "Waybill checks that it can write here.\n";

/// Takes the steps and stops at the first that fails. `check_id` names the file that is made and removed.
pub async fn check(guard: &Guard, settings: &SftpSettings, credentials: &Credentials, check_id: &str, deadline: Instant) -> CheckReport {
    let mut walk = Walk { steps: Vec::new(), since: Instant::now() };
    // Its step is recorded; the report says all there is to say.
    let failed = take_steps(&mut walk, guard, settings, credentials, check_id, deadline).await.err();
    if let Some(failure) = failed {
        walk.failed(&failure);
    }
    let reached = walk.steps.len();
    walk.steps.extend(STEPS[reached..].iter().map(|name| CheckStep {
        name: *name,
        ok: None,
        detail: "not tried".to_owned(),
        duration_ms: 0,
    }));
    CheckReport::of(walk.steps)
}

struct Walk {
    steps: Vec<CheckStep>,
    since: Instant,
}

impl Walk {
    fn passed(&mut self, detail: impl Into<String>) {
        let name = STEPS[self.steps.len()];
        self.push(name, true, detail.into());
    }

    /// A failure may belong to a step before the one that met it: a second look-up that refuses, say. It is told where the walk stands.
    fn failed(&mut self, failure: &Failure) {
        let name = STEPS[self.steps.len().min(STEPS.len() - 1)];
        self.push(name, false, failure.detail.clone());
    }

    fn push(&mut self, name: StepName, ok: bool, detail: String) {
        let now = Instant::now();
        self.steps.push(CheckStep { name, ok: Some(ok), detail, duration_ms: millis(now - self.since) });
        self.since = now;
    }
}

async fn take_steps(
    walk: &mut Walk,
    guard: &Guard,
    settings: &SftpSettings,
    credentials: &Credentials,
    check_id: &str,
    deadline: Instant,
) -> Result<(), Failure> {
    let host = Host::parse(&settings.host).map_err(|refusal| {
        Failure::new(StepName::Resolve, Outcome::Reject(Reason::Misconfigured), format!("the host cannot be used: {refusal}"))
    })?;
    let addresses = guard.resolve(&host, settings.port, deadline).await.map_err(|failure| Failure::egress(&failure))?;
    let count = addresses.len();
    walk.passed(if count == 1 { "1 address".to_owned() } else { format!("{count} addresses") });

    let stream = guard.connect(&host, settings.port, deadline).await.map_err(|failure| Failure::egress(&failure))?;
    walk.passed("connected");

    let mut connection = ssh::greet(stream, guard, &host, settings, deadline).await?;
    walk.passed(format!("the host key is {}", settings.host_key.fingerprint()));

    let signing_in = ssh::authenticate(&mut connection, &settings.username, credentials);
    let signed_in = within(deadline, StepName::Authenticate, signing_in).await?;
    let warning = if signed_in.with_rsa { RSA_WARNING } else { "" };
    walk.passed(format!("signed in as {}{warning}", settings.username));

    let directory = within(deadline, StepName::Write, async {
        render::line::file_templates(settings).map_err(|fault| misconfigured(&fault))?;
        let remote = Remote::open(connection).await?;
        write(&remote, settings, check_id).await
    })
    .await?;
    let directory = if directory.is_empty() { "the user's directory".to_owned() } else { directory };
    walk.passed(format!("a file was made in {directory} and removed"));
    Ok(())
}

/// Makes a file where deliveries will go, or in the innermost directory on the way there that exists: the rest is made when it is needed.
async fn write(remote: &Remote, settings: &SftpSettings, check_id: &str) -> Result<String, Failure> {
    for place in constant_directories(settings) {
        let path = place.temporary_path(check_id);
        if let Some(handle) = remote.open_for_writing(&path).await? {
            let written = remote.write(&handle, Payload::whole(CHECK_TEXT)).await;
            let removed = remote.remove(&path).await;
            written?;
            removed?;
            return Ok(place.directory);
        }
    }
    let detail = format!("the directory {} does not exist, and none above it", settings.directory_template);
    Err(Failure::new(StepName::Write, Outcome::ClientError(Reason::Rejected), detail))
}
