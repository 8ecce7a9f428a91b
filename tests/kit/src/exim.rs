//! Exim, a real mail server. It requires authentication, accepts two messages per connection, and
//! keeps every message in its queue.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use servers::program::free_port;
use tempfile::TempDir;

/// The path where Debian installs Exim.
const PROGRAM: &str = "/usr/sbin/exim4";
/// How long the server may take to listen.
const START_MAX: Duration = Duration::from_secs(30);

/// A running Exim. Dropping it ends it. It refuses a recipient named `nobody`, and messages above 1
/// MiB.
#[derive(Debug)]
pub struct Exim {
    /// The port of the server on 127.0.0.1.
    pub port: u16,
    folder: TempDir,
    process: Child,
}

impl Exim {
    /// Starts a server that accepts `username` and `password`.
    #[expect(
        clippy::disallowed_methods,
        reason = "asks its own server on the loopback whether it listens"
    )]
    pub async fn start(username: &str, password: &str) -> Self {
        assert!(
            Path::new(PROGRAM).exists(),
            "{PROGRAM} does not exist: run ./test once, which installs it"
        );
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path();
        // If root starts it, it runs under an account of its own.
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("the folder's rights");
        let port = free_port();
        let file = path.join("exim.conf");
        fs::write(&file, configuration(path, port, username, password)).expect("a temporary file");
        let log = fs::File::create(path.join("output")).expect("a temporary file");
        let mut process = Command::new(PROGRAM)
            .arg("-bdf")
            .arg("-C")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {PROGRAM}: {error}"));
        let started = tokio::time::Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = process.try_wait().ok().flatten();
            let output = || fs::read_to_string(path.join("output")).unwrap_or_default();
            assert!(
                ended.is_none() && started.elapsed() < START_MAX,
                "Exim does not listen: {}",
                output()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self {
            port,
            folder,
            process,
        }
    }

    /// Returns the messages in the queue: the headers with Exim's notes, and the body.
    pub fn messages(&self) -> Vec<(String, String)> {
        let input = self.folder.path().join("spool/input");
        let Ok(files) = fs::read_dir(&input) else {
            return Vec::new();
        };
        let names = files
            .flatten()
            .filter_map(|file| file.file_name().into_string().ok());
        let ids = names.filter_map(|name| name.strip_suffix("-H").map(str::to_owned));
        let read = |name: String| {
            String::from_utf8_lossy(&fs::read(input.join(name)).unwrap_or_default()).into_owned()
        };
        ids.map(|id| (read(format!("{id}-H")), read(format!("{id}-D"))))
            .collect()
    }
}

fn configuration(folder: &Path, port: u16, username: &str, password: &str) -> String {
    let folder = folder.display();
    format!(
        "spool_directory = {folder}/spool
log_file_path = {folder}/spool/%slog
pid_file_path =
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
primary_hostname = mail.test
tls_advertise_hosts =
queue_only = true
message_size_limit = 1M
smtp_accept_max_per_connection = 2
acl_smtp_rcpt = recipient
acl_smtp_data = accept
begin acl
recipient:
  deny !authenticated = *
  deny local_parts = nobody
       message = 5.1.1 no such mailbox
  accept
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${{if and{{{{eq{{$auth2}}{{{username}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = User Name : Password
  server_condition = ${{if and{{{{eq{{$auth1}}{{{username}}}}}{{eq{{$auth2}}{{{password}}}}}}}}}
  server_set_id = $auth1
"
    )
}

impl Drop for Exim {
    fn drop(&mut self) {
        // Both fail only if the process has already ended.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
