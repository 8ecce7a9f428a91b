//! Options for starting Waybill.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Stack;

/// The variable with the file that AWS calls are recorded in.
const RECORDED_CALLS: &str = "WAYBILL_RECORDED_CALLS";

/// A command line for the binary. The API listens on a free port, and due retries are sent every
/// second.
#[derive(Debug, Clone)]
pub struct Launch {
    binary: PathBuf,
    listen: String,
    monitor_interval_seconds: u32,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// A start that failed.
#[derive(Debug)]
pub struct Refused {
    /// The exit code of the process.
    pub code: Option<i32>,
    /// The standard output of the process.
    pub output: String,
    /// The standard error of the process.
    pub message: String,
}

impl Launch {
    /// Uses this binary: `env!("CARGO_BIN_EXE_waybill")`.
    pub fn of(binary: impl AsRef<Path>) -> Self {
        let binary = binary.as_ref().to_owned();
        Self {
            binary,
            listen: "127.0.0.1:0".to_owned(),
            monitor_interval_seconds: 1,
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Listens on this address instead of a free port.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// Sets the time between two runs of the monitor.
    #[must_use]
    pub fn monitor_interval_seconds(mut self, seconds: u32) -> Self {
        self.monitor_interval_seconds = seconds;
        self
    }

    /// Adds arguments to the command line.
    #[must_use]
    pub fn arguments<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(str::to_owned));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the process in a new data directory.
    pub async fn start(self) -> Stack {
        Stack::start(self).await
    }

    /// Starts the process on a copy of the data directory in this archive, which is named `data`
    /// there.
    pub async fn start_on(self, archive: &Path) -> Stack {
        Stack::start_on(self, archive).await
    }

    /// Sets the clock to a time, in seconds since 1970, from which it continues.
    ///
    /// libfaketime changes only the time of day: waits and time limits take as long as usual.
    #[must_use]
    pub fn at_time(self, unix_seconds: u64) -> Self {
        self.environment("LD_PRELOAD", &faketime_library())
            .environment("TZ", "UTC")
            .environment("FAKETIME", &format!("@{unix_seconds}"))
            .environment("FAKETIME_FMT", "%s")
            .environment("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }

    /// Shifts the clock by the seconds in this file, such as `-3600` for an hour ago. The file is
    /// read again whenever the time is read, so that writing to it makes hours pass.
    ///
    /// libfaketime changes only the time of day: waits and time limits take as long as usual.
    #[must_use]
    pub fn at_offset_in(self, file: &Path) -> Self {
        self.environment("LD_PRELOAD", &faketime_library())
            .environment("TZ", "UTC")
            .environment(
                "FAKETIME_TIMESTAMP_FILE",
                file.to_str().expect("its path is text"),
            )
            .environment("FAKETIME_NO_CACHE", "1")
            .environment("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }

    /// Runs the process in this data directory, where it must end by itself at once.
    pub fn refused(&self, data: &Path) -> Refused {
        let output = self
            .command()
            .arg("--data")
            .arg(data)
            .stdin(Stdio::null())
            .output()
            .expect("the binary can be run");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Refused {
            code: output.status.code(),
            output: text(&output.stdout),
            message: text(&output.stderr),
        }
    }

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.args([
            "--listen",
            &self.listen,
            "--monitor-interval-seconds",
            &self.monitor_interval_seconds.to_string(),
        ]);
        if let Some(file) = std::env::var_os(RECORDED_CALLS) {
            command.arg("--record-calls").arg(file);
        }
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Returns the library of the Debian package `libfaketime` for programs with threads.
fn faketime_library() -> String {
    let libraries = std::fs::read_dir("/usr/lib")
        .expect("/usr/lib is a directory")
        .flatten();
    let mut found = libraries
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .filter(|path| path.exists());
    let library = found
        .next()
        .expect("the package libfaketime is installed (./test installs it)");
    library.to_str().expect("its path is text").to_owned()
}
