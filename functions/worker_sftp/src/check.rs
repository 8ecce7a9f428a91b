//! The connection check: runs the steps of a delivery one after another (resolve, connect, host
//! key, authenticate, write).

use domain::check::StepName;
use domain::settings::sftp::{IfExists, SftpSettings};
use egress::{Guard, Host};
use tokio::time::Instant;
use worker::{ConnectorError, Payload, StepRecorder};

use crate::credentials::Credentials;
use crate::location::{Location, constant_directory};
use crate::remote::{OpenError, Remote};
use crate::ssh;
use crate::verdict::within;

/// The steps in their order.
const STEPS: [StepName; 5] = [
    StepName::Resolve,
    StepName::Connect,
    StepName::HostKey,
    StepName::Authenticate,
    StepName::Write,
];
/// A warning that does not fail the check, because deliveries with an RSA key work.
const RSA_WARNING: &str = "; warning: the timing of RSA signatures can reveal the key (RUSTSEC-2023-0071), \
                           so use an Ed25519 or ECDSA key instead";
/// A warning for destinations that must not replace files. It does not fail the check, because only
/// writers that are active at the same moment are affected.
const REPLACES_WARNING: &str = "the server replaces an existing file when another one is renamed \
    to its name, and it offers no hard links, so a file that another client creates at the moment \
    of a delivery can be overwritten";
/// The content of the file that the check writes and removes.
const CHECK_TEXT: &str = "Waybill checks that it can write here.\n";

/// Runs the steps and stops at the first that fails. `check_id` names the file that is written and
/// removed.
pub async fn check(
    guard: &Guard,
    settings: &SftpSettings,
    credentials: &Credentials,
    check_id: &str,
    deadline: Instant,
    steps: &mut StepRecorder,
) -> Result<(), ConnectorError> {
    steps.expect(&STEPS);
    let host = Host::parse(&settings.host).map_err(|refusal| {
        ConnectorError::misconfigured(format!("the host cannot be used: {refusal}"))
            .at(StepName::Resolve)
    })?;
    steps.resolve(guard, &host, settings.port, deadline).await?;

    let connecting = async {
        guard
            .connect(&host, settings.port, deadline)
            .await
            .map_err(ConnectorError::from)
    };
    let stream = steps
        .take(StepName::Connect, connecting, |_| "connected".to_owned())
        .await?;

    let pinned = |_: &_| format!("the host key is pinned: {}", settings.host_keys.identity());
    let greeting = ssh::greet(stream, guard, &host, settings, deadline);
    let mut connection = steps.take(StepName::HostKey, greeting, pinned).await?;

    let signing_in = ssh::authenticate(&mut connection, &settings.username, credentials);
    let signed_in = |signed_in: &ssh::SignedIn| {
        let warning = if signed_in.with_rsa { RSA_WARNING } else { "" };
        format!("signed in as {}{warning}", settings.username)
    };
    steps
        .take(
            StepName::Authenticate,
            within(deadline, StepName::Authenticate, signing_in),
            signed_in,
        )
        .await?;

    let writing = within(deadline, StepName::Write, async {
        render::line::file_templates(settings)?;
        let remote = Remote::open(connection).await?;
        remote
            .while_connected(write(&remote, settings, check_id))
            .await
    });
    steps
        .take(StepName::Write, writing, String::clone)
        .await
        .map(drop)
}

/// Does in the destination's directory what a delivery does: creates missing directories, writes a
/// file under a temporary name and gives it its final name, replacing another file if deliveries
/// may do so.
/// Removes everything that it created. If the server refuses something that only some deliveries
/// need, the result is a warning.
async fn write(
    remote: &Remote,
    settings: &SftpSettings,
    check_id: &str,
) -> Result<String, ConnectorError> {
    let (location, varies) = constant_directory(settings);
    let mut warnings = Warnings::default();
    let (temporary, path) = (
        location.temporary_path(check_id),
        location.child(&format!(".waybill-{check_id}")),
    );
    let (handle, mut made) = match remote.open_for_writing(&temporary).await {
        Ok(handle) => (handle, Vec::new()),
        Err(OpenError::Broken(failure)) => return Err(failure),
        Err(_) => {
            let made = remote.make_directories(&location.directories()).await?;
            match remote.open_for_writing(&temporary).await {
                Ok(handle) => (handle, made),
                Err(error) => {
                    remove_directories(remote, &made, &mut warnings).await;
                    return Err(error.into_failure(&location.directory));
                }
            }
        }
    };
    let renamed = rename(
        remote,
        settings,
        &handle,
        [&temporary, &path],
        check_id,
        &location,
        &mut warnings,
    );
    let renamed = renamed.await;
    if varies {
        let directory = location.child(&format!(".waybill-{check_id}.d"));
        match remote.make_directory(&directory).await {
            Ok(()) => made.push(directory),
            Err(failure) => warnings.add(format!(
                "deliveries can only use directories that exist, because {}",
                failure.detail()
            )),
        }
    }
    for path in [&temporary, &path] {
        if renamed.is_ok() != (path == &temporary) {
            remove_file(remote, path, &mut warnings).await;
        }
    }
    remove_directories(remote, &made, &mut warnings).await;
    renamed?;
    let directory = match &*location.directory {
        "" => "the user's directory",
        directory => directory,
    };
    Ok(format!(
        "a file was written to {directory}, renamed and removed{}",
        warnings.0
    ))
}

/// Writes the file and gives it its final name. Then tries the same over the existing file, and
/// warns if deliveries cannot replace files, or could replace them although they must not.
async fn rename(
    remote: &Remote,
    settings: &SftpSettings,
    handle: &str,
    [temporary, path]: [&str; 2],
    check_id: &str,
    location: &Location,
    warnings: &mut Warnings,
) -> Result<(), ConnectorError> {
    remote
        .write(handle, temporary, Payload::in_memory(CHECK_TEXT))
        .await?;
    let is_replacing = settings.if_exists == IfExists::Replace;
    if !is_replacing && remote.link(temporary, path).await? {
        remove_file(remote, temporary, warnings).await;
        return Ok(());
    }
    remote.rename(temporary, path).await?;
    let replaced = async {
        let opened = remote.open_for_writing(temporary).await;
        let handle = opened.map_err(|error| error.into_failure(&location.directory))?;
        remote
            .write(&handle, temporary, Payload::in_memory(CHECK_TEXT))
            .await?;
        if is_replacing {
            let aside = location.replaced_path(check_id);
            remote.rename_over(temporary, path, &aside).await
        } else {
            remote.rename(temporary, path).await
        }
    };
    match replaced.await {
        Ok(()) if is_replacing => {}
        Ok(()) => warnings.add(REPLACES_WARNING.to_owned()),
        Err(failure) => {
            if is_replacing {
                warnings.add(format!(
                    "existing files cannot be replaced, because {}",
                    failure.detail()
                ));
            }
            remove_file(remote, temporary, warnings).await;
        }
    }
    Ok(())
}

async fn remove_file(remote: &Remote, path: &str, warnings: &mut Warnings) {
    if let Err(failure) = remote.remove(path).await {
        warnings.add(format!("{path} stays, because {}", failure.detail()));
    }
}

async fn remove_directories(remote: &Remote, made: &[String], warnings: &mut Warnings) {
    for directory in made.iter().rev() {
        if let Err(failure) = remote.remove_directory(directory).await {
            warnings.add(format!(
                "the directory {directory} stays, because {}",
                failure.detail()
            ));
        }
    }
}

/// Warnings that are appended to the detail of a passed step.
#[derive(Default)]
struct Warnings(String);

impl Warnings {
    fn add(&mut self, warning: String) {
        self.0.push_str("; warning: ");
        self.0.push_str(&warning);
    }
}
