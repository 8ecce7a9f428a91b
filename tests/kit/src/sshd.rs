//! OpenSSH's server with an account that exists nowhere else. It runs in a mount namespace of its
//! own, in which `/etc/passwd` and `/etc/shadow` have an additional line. Nothing on the machine is
//! changed. It requires root, or `sudo` without a password.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use servers::program::free_port;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// The name of the account.
pub const USERNAME: &str = "waybill";
/// The password of the account.
pub const PASSWORD: &str = "correct horse battery staple";

/// The hash of [`PASSWORD`] by `crypt(3)`.
pub(crate) const PASSWORD_HASH: &str = "$6$waybill$ct9PGLLzfnjuvUQSGv3sl0sEHGc5Ffi6AmvIj2fcHEioyOIBAsJJ6v19stJ2faKRPKbE3/TNM0Opgl.huTGGR/";
/// The user id of the account if root runs the tests. No other account has it.
pub(crate) const UID: u32 = 61022;
pub(crate) const START_MAX: Duration = Duration::from_secs(20);

/// The beginnings of the log lines that mark the end of a session.
const SESSION_ENDS: [&str; 4] = [
    "Close session:",
    "Disconnected from",
    "Connection closed by",
    "Connection reset by",
];

/// Runs a program until standard input closes, so that it never outlives a test run.
pub(crate) const UNTIL_INPUT_ENDS: &str = r#""$@" & cat; kill -9 $!; wait"#;
/// In the namespaces, the account appears and the server becomes the first process, with which
/// everything in them ends.
const SERVER: &str = r#"mkdir -p /run/sshd && mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/shadow" /etc/shadow \
    && exec /usr/sbin/sshd -D -E "$1/log" -f "$1/sshd_config""#;

/// The options of a server.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    host_keys: Option<Vec<&'static str>>,
    options: String,
    sftp: String,
}

/// A running server with an empty directory. Dropping it ends it and every connection to it.
#[derive(Debug)]
pub struct Sshd {
    /// The port of the server on 127.0.0.1.
    pub port: u16,
    folder: TempDir,
    process: Child,
}

impl Launch {
    /// Uses host keys of these types (`ed25519`, `ecdsa`, `rsa`) instead of all three.
    #[must_use]
    pub fn host_keys(mut self, types: &[&'static str]) -> Self {
        self.host_keys = Some(types.to_vec());
        self
    }

    /// Adds a line to `sshd_config`. The first line that sets an option applies.
    #[must_use]
    pub fn option(mut self, line: &str) -> Self {
        self.options.push_str(line);
        self.options.push('\n');
        self
    }

    /// Accepts the password only as the answer to a prompt.
    #[must_use]
    pub fn asking_for_the_password(self) -> Self {
        self.option("PasswordAuthentication no")
            .option("KbdInteractiveAuthentication yes")
            .option("UsePAM yes")
    }

    /// Disables these SFTP requests (`sftp-server -Q requests`).
    #[must_use]
    pub fn without_requests(mut self, requests: &[&str]) -> Self {
        self.sftp.push_str(&format!(" -P {}", requests.join(",")));
        self
    }

    /// Makes all files and directories read-only.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.sftp.push_str(" -R");
        self
    }

    /// Starts the server and waits until it responds. Panics if it does not, because a test that
    /// needs it must fail.
    pub async fn start(self) -> Sshd {
        assert!(
            Path::new("/usr/sbin/sshd").exists(),
            "/usr/sbin/sshd does not exist: run ./test once, which installs what the tests need"
        );
        let folder = tempfile::Builder::new()
            .prefix("waybill-sshd-")
            .tempdir()
            .expect("a temporary directory");
        let port = free_port();
        self.prepare(folder.path(), port);
        let sshd = Sshd {
            port,
            process: spawn(folder.path()),
            folder,
        };
        let answered = tokio::time::timeout(START_MAX, async {
            while !answers(port).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(
            answered.await.is_ok(),
            "sshd does not answer after {START_MAX:?}; it says: {} (it needs root)",
            sshd.log()
        );
        sshd
    }

    fn prepare(&self, folder: &Path, port: u16) {
        let open = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("our own folder")
        };
        open(folder, 0o755);
        let home = folder.join("home");
        fs::create_dir(&home).expect("our own folder");
        open(&home, 0o777);
        let mut host_keys = String::new();
        for kind in self
            .host_keys
            .as_deref()
            .unwrap_or(&["ed25519", "ecdsa", "rsa"])
        {
            let path = folder.join(format!("host_{kind}"));
            generate_key(&path, kind, "");
            host_keys.push_str(&format!("HostKey {}\n", path.display()));
        }
        fs::write(folder.join("authorized_keys"), "").expect("our own folder");
        let uid = match own_uid() {
            0 => UID,
            uid => uid,
        };
        let account = format!(
            "{USERNAME}:x:{uid}:{uid}::{}:/usr/sbin/nologin\n",
            home.display()
        );
        let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
        write_private(folder, "passwd", &format!("{passwd}{account}"), 0o644);
        write_private(
            folder,
            "shadow",
            &format!("{USERNAME}:{PASSWORD_HASH}:20000:0:99999:7:::\n"),
            0o600,
        );
        let config = format!(
            "{options}Port {port}\nListenAddress 127.0.0.1\n{host_keys}AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\n\
             PasswordAuthentication yes\nKbdInteractiveAuthentication no\nUsePAM no\nUseDNS no\nPidFile none\nMaxStartups 200\n\
             LogLevel VERBOSE\n\
             Subsystem sftp internal-sftp\nForceCommand internal-sftp -d {home}{sftp}\n",
            options = self.options,
            folder = folder.display(),
            home = home.display(),
            sftp = self.sftp,
        );
        write_private(folder, "sshd_config", &config, 0o644);
    }
}

impl Sshd {
    /// Starts a server that accepts password and keys, and has all three types of host keys.
    pub async fn start() -> Self {
        Launch::default().start().await
    }

    /// Returns the account's directory, as a path on this machine.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Returns the names in a directory below [`Self::home`], sorted, including hidden ones.
    pub fn names(&self, directory: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.home().join(directory)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect("our own folder")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }

    /// Returns the host key of a type as an OpenSSH public key.
    pub fn host_key(&self, kind: &str) -> String {
        let text = fs::read_to_string(self.folder.path().join(format!("host_{kind}.pub")))
            .expect("the server has such a key");
        text.split(' ')
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
            .trim()
            .to_owned()
    }

    /// Returns the fingerprint of the host key of a type, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self, kind: &str) -> String {
        let path = self.folder.path().join(format!("host_{kind}.pub"));
        let output = Command::new("ssh-keygen")
            .arg("-lf")
            .arg(path)
            .output()
            .expect("ssh-keygen is installed: run ./test once");
        String::from_utf8_lossy(&output.stdout)
            .split(' ')
            .nth(1)
            .expect("ssh-keygen shows a fingerprint")
            .to_owned()
    }

    /// Returns a new private key that the account accepts, encrypted if the passphrase is not
    /// empty.
    pub fn authorize_key(&self, kind: &str, passphrase: &str) -> String {
        let key = stranger_key(kind, passphrase);
        let authorized = self.folder.path().join("authorized_keys");
        let all = fs::read_to_string(&authorized).expect("our own folder") + &key.1;
        fs::write(authorized, all).expect("our own folder");
        key.0
    }

    /// Returns how many sessions the server has opened, and how many were open at the same time at
    /// most, according to its log.
    pub fn sessions(&self) -> (usize, usize) {
        let (mut open, mut all, mut most) = (BTreeSet::new(), 0, 0);
        for line in self.log().lines() {
            let mut words = line.split_whitespace().skip_while(|word| *word != "port");
            let Some(port) = words.nth(1) else { continue };
            if line.starts_with("Starting session:") {
                open.insert(port.to_owned());
                (all, most) = (all + 1, most.max(open.len()));
            } else if SESSION_ENDS.iter().any(|end| line.starts_with(end)) {
                open.remove(port);
            }
        }
        (all, most)
    }

    /// Returns the log of the server.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // Fails only if the process has already ended.
        drop(self.process.wait());
    }
}

/// Returns a new private key and its public key, which no server accepts.
pub fn stranger_key(kind: &str, passphrase: &str) -> (String, String) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("key");
    generate_key(&path, kind, passphrase);
    let read = |path: &Path| fs::read_to_string(path).expect("ssh-keygen wrote it");
    (read(&path), read(&path.with_extension("pub")))
}

pub(crate) fn generate_key(path: &Path, kind: &str, passphrase: &str) {
    // One round of key stretching, because a debug build takes seconds for the usual number.
    let mut command = Command::new("ssh-keygen");
    command
        .args([
            "-q", "-a", "1", "-C", "", "-t", kind, "-N", passphrase, "-f",
        ])
        .arg(path);
    if kind == "rsa" {
        command.args(["-b", "2048"]);
    }
    let status = command
        .status()
        .expect("ssh-keygen is installed: run ./test once");
    assert!(
        status.success(),
        "ssh-keygen makes a key of the type {kind}"
    );
}

fn spawn(folder: &Path) -> Child {
    let unshare = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-c",
        SERVER,
        "sh",
    ];
    let wrapped = ["sh", "-c", UNTIL_INPUT_ENDS, "sh"];
    let sudo: &[&str] = if own_uid() == 0 { &[] } else { &["sudo", "-n"] };
    let words: Vec<&str> = sudo
        .iter()
        .chain(&wrapped)
        .chain(&unshare)
        .copied()
        .collect();
    Command::new(words[0])
        .args(&words[1..])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh can be started")
}

pub(crate) fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").expect("Linux has /proc").uid()
}

pub(crate) fn write_private(folder: &Path, name: &str, text: &str, mode: u32) {
    let path = folder.join(name);
    fs::write(&path, text).expect("our own folder");
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("our own folder");
}

#[expect(
    clippy::disallowed_methods,
    reason = "asks its own server on the loopback whether it is there"
)]
pub(crate) async fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        return false;
    };
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).await.is_ok() && &greeting == b"SSH-"
}
