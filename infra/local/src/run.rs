//! Runs `waybill`, from the command line to its exit.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use local_aws::{BucketSpec, Engines, Options};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::args::Args;
use crate::calls;
use crate::data_directory::{DataDirectory, DataError};
use crate::demo;
use crate::first_start;
use crate::instance::{Instance, InstanceError};
use crate::local_json::{Keys, LocalJson};
use crate::parameters;
use crate::processes::Host;
use crate::rotate_keys;
use crate::template::{self, Physical, Stack, Template, TemplateError, physical_name};

/// How long requests and invocations in progress may take once the process is asked to stop. The
/// next start continues unfinished work.
const DRAIN_MAX: Duration = Duration::from_secs(20);

/// How often expired items are deleted. DynamoDB takes up to days, so readers filter them anyway.
const EXPIRY_PERIOD: Duration = Duration::from_secs(60);

/// How often telemetry is exported, if a collector is configured.
const TELEMETRY_PERIOD: Duration = Duration::from_secs(1);

/// Why the process did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is in use or not available on this machine.
    #[error("cannot listen on {address}: {source} (choose another --listen)")]
    Listen {
        /// The address to listen on.
        address: std::net::SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The template file cannot be read.
    #[error("the template {path} cannot be read: {source}")]
    TemplateFile {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The template cannot be run locally.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An engine did not open.
    #[error("the embedded engines cannot be opened: {0}")]
    Engines(#[from] local_aws::OpenError),
    /// The signing keys of an earlier release could not be adopted.
    #[error("the signing keys of an earlier release cannot be adopted: {0}")]
    SigningKeys(#[from] vault::RotateError),
    /// A function could not be built.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The first keys could not be created.
    #[error(transparent)]
    FirstStart(#[from] first_start::FirstStartError),
    /// A file or signal operation failed.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Runs until SIGINT or SIGTERM.
pub async fn run(args: Args) -> Result<(), StartError> {
    let mut signals = Signals::listen()?;
    // Listens first, so that nothing is changed if the port is in use.
    let listener = listen(args.listen).await?;
    let address = listener.local_addr().map_err(|source| StartError::Listen {
        address: args.listen,
        source,
    })?;
    let api_url = parameters::url_of(address);
    let mut template = read_template(&args, &api_url)?;
    let mut resources = template.stack()?.resources;
    if args.demo {
        resources.buckets.push(BucketSpec {
            name: demo::BUCKET.to_owned(),
            versioned: false,
        });
    }
    let directory = DataDirectory::open(&args.data)?;
    let engines = Engines::open(directory.path(), &resources, Options::local())?;
    rotate_keys::adopt(&engines, runtime::platform::system_clock().now()).await?;
    assign(&mut template, &engines);
    if let Some(path) = &args.record_calls {
        calls::record(&engines, path).map_err(|source| StartError::System {
            doing: "calls cannot be recorded",
            source,
        })?;
    }
    // Links to objects lead to a listener of their own, as they lead to S3 on AWS.
    let objects = listen(std::net::SocketAddr::new(args.listen.ip(), 0)).await?;
    let objects = engines
        .serve_objects(objects)
        .map_err(|source| StartError::System {
            doing: "objects cannot be offered",
            source,
        })?;

    let stop = CancellationToken::new();
    let host = match args.processes {
        true => Some(host(&engines, objects.address()).await?),
        false => None,
    };
    let mut stack = template.stack()?;
    show_mail(&mut stack, directory.path());
    if let Some(event_type) = &args.inject_crash {
        inject_crash(&mut stack, event_type);
    }
    let instance = Instance::build(stack, &engines, host.as_ref(), &stop)?;
    instance.limit_shares(&engines).await;
    recover(&instance, &engines).await;
    let keys = first_start::keys(&directory, &instance).await?;
    let sweep_period = args
        .monitor_interval_seconds
        .map(|seconds| Duration::from_secs(seconds.get().into()));
    let serving = tokio::spawn(instance.gateway.clone().serve(listener, stop.clone()));
    announce(&directory, &api_url, keys.clone(), args.open).map_err(|source| {
        StartError::System {
            doing: "local.json cannot be written",
            source,
        }
    })?;
    // Triggers start last, because unfinished work that killed the process may do so again.
    let mut tasks = instance.trigger(sweep_period, &stop);
    tasks.spawn(async move {
        if let Ok(Err(error)) = serving.await {
            tracing::error!(%error, "the listener failed");
        }
    });
    tasks.spawn(expire(engines.clone(), stop.clone()));
    tasks.spawn(export_telemetry(stop.clone()));
    if args.demo {
        tasks.spawn(demo::run(
            instance.gateway.clone(),
            keys,
            args.data.clone(),
            stop.clone(),
        ));
    }
    signals.next().await;
    drain(tasks, &instance.background, &stop, &mut signals).await;
    telemetry::flush().await;
    engines.functions().clear();
    engines.close().await;
    Ok(())
}

/// Starts the host for functions in processes of their own. Their binaries are in the directory of
/// this one.
async fn host(engines: &Engines, objects: std::net::SocketAddr) -> Result<Host, StartError> {
    let failed = |source| StartError::System {
        doing: "functions cannot be run in processes of their own",
        source,
    };
    let own = std::env::current_exe().map_err(failed)?;
    let folder = own
        .parent()
        .map(std::path::Path::to_path_buf)
        .unwrap_or_default();
    Host::start(folder, engines, objects).await.map_err(failed)
}

async fn listen(address: std::net::SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })
}

fn read_template(args: &Args, api_url: &str) -> Result<Template, StartError> {
    let parameters = parameters::of(args, api_url);
    let text = match &args.template {
        None => return Ok(Template::read(template::COMPILED_IN, &parameters)?),
        Some(path) => std::fs::read_to_string(path).map_err(|source| StartError::TemplateFile {
            path: path.clone(),
            source,
        })?,
    };
    Ok(Template::read(&text, &parameters)?)
}

/// Replaces the names that were assigned before the engines opened by the identifiers that they
/// issue.
pub fn assign(template: &mut Template, engines: &Engines) {
    for logical_id in template.logical_ids() {
        let name = physical_name(&logical_id);
        if let (Some(id), Some(arn)) = (engines.key_id(&name), engines.key_arn(&name)) {
            template.assign(
                &logical_id,
                Physical::new(id)
                    .with("Arn", arn)
                    .with("KeyId", id.to_owned()),
            );
        }
        if let Some(arn) = engines.secret_arn(&name) {
            template.assign(&logical_id, Physical::new(arn).with("Id", arn.to_owned()));
        }
    }
}

/// Makes the workers abort the process at deliveries of this event type.
fn inject_crash(stack: &mut Stack, event_type: &str) {
    tracing::warn!(
        event_type,
        "fault injection is on: a delivery of this event type aborts the process"
    );
    for function in stack
        .functions
        .iter_mut()
        .filter(|function| function.binary.starts_with("worker_"))
    {
        function
            .environment
            .insert("FAULT_CRASH_EVENT_TYPE".to_owned(), event_type.to_owned());
    }
}

/// Makes the console show the e-mails that the embedded mail service stores.
fn show_mail(stack: &mut Stack, data: &Path) {
    for function in stack
        .functions
        .iter_mut()
        .filter(|function| function.binary == "console")
    {
        function.environment.insert(
            "MAIL_FOLDER".to_owned(),
            data.join("mail").display().to_string(),
        );
    }
}

/// Queues accepted work again that no queue holds. The hourly reconcile does this too, so a failure
/// here is not fatal.
///
/// Tasks that were being processed when the process died stay in their queues, which count how
/// often that happened to each.
async fn recover(instance: &Instance, engines: &Engines) {
    let interrupted = engines.sqs().interrupted().await.unwrap_or_else(|error| {
        tracing::error!(
            ?error,
            "failed to read which tasks were interrupted; new ones are queued for their deliveries"
        );
        Vec::new()
    });
    if let Some(monitor) = instance.function("monitor")
        && let Err(error) = monitor
            .invoke(json!({"reconcile": "start", "interrupted": interrupted}))
            .await
    {
        tracing::error!(
            error = %domain::chain(&error),
            "failed to find lost deliveries; the hourly reconcile tries again"
        );
    }
}

/// Deletes expired items, as DynamoDB does in the background.
async fn expire(engines: Engines, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(EXPIRY_PERIOD))
        .await
        .is_some()
    {
        engines.sweep().await;
    }
}

/// Exports telemetry every second. A function exports it at the end of each invocation instead.
async fn export_telemetry(stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(TELEMETRY_PERIOD))
        .await
        .is_some()
    {
        telemetry::flush().await;
    }
}

/// Writes `local.json`, prints the same text to standard output, then `ready` on its own line.
fn announce(directory: &DataDirectory, url: &str, keys: Keys, open: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let local_json = LocalJson {
        api_url: url.to_owned(),
        console_url: url.to_owned(),
        keys,
    };
    writeln!(out, "{}", local_json.write(directory)?)?;
    writeln!(out, "ready")?;
    if open {
        open_in_browser(url);
    }
    out.flush()
}

/// Opens a page in the desktop's browser. The address is on standard output in any case.
fn open_in_browser(url: &str) {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let spawned = Command::new(opener)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = spawned {
        tracing::warn!(%error, opener, "failed to open a browser");
    }
}

/// Stops taking work and waits for what is in progress. A second signal ends the wait.
async fn drain(
    mut tasks: JoinSet<()>,
    background: &TaskTracker,
    stop: &CancellationToken,
    signals: &mut Signals,
) {
    stop.cancel();
    let finished = async {
        while tasks.join_next().await.is_some() {}
        background.close();
        background.wait().await;
    };
    tokio::select! {
        () = finished => {}
        () = tokio::time::sleep(DRAIN_MAX) => tracing::warn!("stopping with unfinished work; the \
             next start continues it"),
        () = signals.next() => tracing::warn!("stopping immediately; the next start continues the \
             unfinished work"),
    }
    tasks.shutdown().await;
}

/// The signals that stop the process: SIGINT and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, StartError> {
        let signal = |kind| {
            signal(kind).map_err(|source| StartError::System {
                doing: "cannot listen to signals",
                source,
            })
        };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_orderly_stop_waits_for_work_that_continues_after_its_invocation() {
        let (background, stop) = (TaskTracker::new(), CancellationToken::new());
        let last = background.spawn(tokio::time::sleep(Duration::from_millis(200)));
        let mut signals = Signals::listen().expect("the process can listen to signals");
        drain(JoinSet::new(), &background, &stop, &mut signals).await;
        assert!(last.is_finished());
    }
}
