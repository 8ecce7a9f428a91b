//! The whole service as a process: the binary `waybill`, and an interface in the words of the
//! domain to call it over HTTP.
//!
//! - A [`Launch`] is a command line. It starts a [`Stack`], or is [`Refused`].
//! - A [`Stack`] is the running process with its data directory. It can be killed, stopped and
//!   started again; its callers follow it to its new address.
//! - A [`Caller`] sends requests with one key and receives [`Answer`]s.
//! - An [`Organization`] is a tenant with its admin key. It creates a [`Destination`], submits a
//!   [`Message`], and follows its [`Delivery`].

mod answer;
mod caller;
mod delivery;
mod destination;
mod launch;
mod message;
mod organization;
mod process;

pub use answer::Answer;
pub use caller::{Call, Caller};
pub use delivery::Delivery;
pub use destination::{Destination, NewDestination};
pub use launch::{Launch, Refused};
pub use message::Message;
pub use organization::{Key, Organization};

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, RwLock},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use caller::Address;
use process::Process;

/// How long a start may take on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);
/// How long a stop may take: the process drains for 20 s at most.
const STOP_MAX: Duration = Duration::from_secs(30);

fn new_folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("waybill-test-")
        .tempdir()
        .expect("a temporary directory")
}

/// A running Waybill with its own data directory. Dropping it kills the process; so does the end of
/// the test program.
pub struct Stack {
    // Dropped before the folder.
    process: Option<Process>,
    launch: Launch,
    folder: TempDir,
    address: Address,
}

impl Stack {
    async fn start(launch: Launch) -> Self {
        Self::start_in(launch, new_folder()).await
    }

    async fn start_on(launch: Launch, archive: &Path) -> Self {
        let folder = new_folder();
        servers::program::run(
            Command::new("tar")
                .arg("-xzf")
                .arg(archive)
                .arg("-C")
                .arg(folder.path()),
        );
        Self::start_in(launch, folder).await
    }

    async fn start_in(launch: Launch, folder: TempDir) -> Self {
        let mut stack = Self {
            launch,
            folder,
            address: Arc::new(RwLock::new(String::new())),
            process: None,
        };
        stack.restart().await;
        stack
    }

    /// Starts the process on the same data and waits for `ready`. Panics with its log if it does
    /// not become ready.
    pub async fn restart(&mut self) {
        assert!(
            self.process.is_none(),
            "it runs already: kill or stop it first"
        );
        let mut command = self.launch.command();
        command.arg("--data").arg(self.data());
        let process = Process::spawn(command, &self.log_path(), self.folder.path());
        if let Err(why) = process.ready(START_MAX).await {
            panic!("waybill does not start: {why}\n{}", self.log());
        }
        self.process = Some(process);
        let api_url = self.local_json()["api_url"]
            .as_str()
            .expect("api_url is text")
            .to_owned();
        *self
            .address
            .write()
            .expect("no one panics with the address") = api_url;
    }

    /// Kills the process as a power cut would (SIGKILL).
    pub fn kill(&mut self) {
        drop(self.process.take().expect("it runs"));
    }

    /// Whether the process has ended by itself since its last start.
    pub fn has_ended(&self) -> bool {
        self.process.as_ref().is_none_or(Process::has_ended)
    }

    /// Returns the id of the running process.
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Stops the process (SIGTERM). Returns its exit code and how long it took.
    pub async fn stop(&mut self) -> (Option<i32>, Duration) {
        let process = self.process.take().expect("it runs");
        let asked = tokio::time::Instant::now();
        (process.stop(STOP_MAX).await, asked.elapsed())
    }

    /// Returns the standard output since the last start.
    pub fn output(&self) -> String {
        self.process.as_ref().expect("it runs").output()
    }

    /// Returns the log of all starts.
    pub fn log(&self) -> String {
        std::fs::read(self.log_path())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Returns the data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Returns the content of `local.json`.
    pub fn local_json(&self) -> Value {
        let bytes = std::fs::read(self.data().join("local.json"))
            .expect("local.json is there once it is ready");
        serde_json::from_slice(&bytes).expect("local.json is JSON")
    }

    /// Returns a caller without a key.
    pub fn anonymous(&self) -> Caller {
        Caller::new(Arc::clone(&self.address))
    }

    /// Returns a caller with the operator's key.
    pub fn operator(&self) -> Caller {
        let local = self.local_json();
        self.anonymous().with_key(
            local["operator_key"]
                .as_str()
                .expect("operator_key is text"),
        )
    }

    /// Creates an organization with an admin key.
    pub async fn organization(&self, name: &str) -> Organization {
        Organization::create(&self.operator(), name).await
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Returns the folder of the data directory and the log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
