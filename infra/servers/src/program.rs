//! Servers that are separate programs: where they are found, and how they end with the test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Runs a server until standard input closes, so that it never outlives a test run.
const UNTIL_INPUT_ENDS: &str = r#""$@" & cat; kill "-$0" $!; wait"#;

const START_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Program(Child);

impl Program {
    /// Starts a server with this command line; `signal` ends it immediately.
    pub fn start(command: &[&str], signal: &str, log: &Path) -> Self {
        let log = std::fs::File::create(log).expect("the log can be written");
        let child = Command::new("sh")
            .args(["-c", UNTIL_INPUT_ENDS, signal])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("sh can be started");
        Self(child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Fails only if the process has already ended.
        drop(self.0.wait());
    }
}

/// Returns the path of a program, in the first of these folders that contains it. Panics if none
/// does.
pub(crate) fn binary(name: &str, folders: impl IntoIterator<Item = PathBuf>) -> PathBuf {
    find(name, folders)
        .unwrap_or_else(|| panic!("{name} is not installed: run ./test once, which installs it"))
}

/// Returns the path of a program that may be missing.
pub(crate) fn find(name: &str, folders: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| path.exists())
}

/// Runs a program to its end and returns its output. Panics if it fails.
pub fn run(command: &mut Command) -> String {
    printed(command).unwrap_or_else(|problem| panic!("{command:?} failed: {problem}"))
}

/// Runs a client to its end and returns the lines of its output, or its error output.
pub(crate) fn lines(command: &mut Command) -> Result<Vec<String>, String> {
    Ok(printed(command)?.lines().map(str::to_owned).collect())
}

fn printed(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("it does not run: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// Waits until a server is ready. Panics with its log if it does not become ready.
pub fn wait_for(name: &str, log: &Path, is_ready: impl Fn() -> bool) {
    let tries = START_MAX.as_millis() / POLL.as_millis();
    for _ in 0..tries {
        if is_ready() {
            return;
        }
        std::thread::sleep(POLL);
    }
    let log = std::fs::read_to_string(log).unwrap_or_default();
    panic!("{name} does not start:\n{log}");
}

/// Returns a free port of the loopback for a server that is about to start. The port is outside
/// the range that the system gives to outgoing connections (from 32768 on Linux); otherwise a
/// connection of another test could take it first.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    // Programs of tests that run at the same time begin at different ports.
    let offset = std::process::id().wrapping_mul(97);
    let tried = (0..COUNT).map(|_| offset.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)));
    let ports = tried.filter_map(|number| u16::try_from(FIRST + number % COUNT).ok());
    let mut free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("the loopback has a free port")
}

/// Returns a data directory that `make` creates once for all tests on this machine. `make` receives
/// the folder to create.
pub(crate) fn template(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("waybill-kit-{name}"));
    if !folder.exists() {
        let draft = tempfile::Builder::new()
            .prefix("waybill-kit-")
            .tempdir()
            .expect("a temporary directory")
            .keep();
        open_to_all(&draft);
        make(&draft);
        if std::fs::rename(&draft, &folder).is_err() {
            // Another test created it first.
            drop(std::fs::remove_dir_all(&draft));
        }
    }
    folder
}

/// Makes a folder accessible to a server that runs as another user.
pub(crate) fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777))
        .expect("the folder is ours");
}
