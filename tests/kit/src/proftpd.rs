//! ProFTPD with `mod_sftp`, and the account of [`crate::sshd`] in a file of its own. It requires
//! root, or `sudo` without a password.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use servers::program::free_port;
use tempfile::TempDir;

use crate::sshd::{
    PASSWORD_HASH, START_MAX, UID, UNTIL_INPUT_ENDS, USERNAME, answers, generate_key, own_uid,
    write_private,
};

const MODULE: &str = "/usr/lib/proftpd/mod_sftp.so";

/// A running server with an empty directory. Dropping it ends it.
#[derive(Debug)]
pub struct Proftpd {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The server's Ed25519 key as an OpenSSH public key.
    pub host_key: String,
    folder: TempDir,
    process: Child,
}

impl Proftpd {
    /// Starts a server with additional configuration lines and waits until it responds.
    ///
    /// # Panics
    ///
    /// When the server is not installed or does not start, because a test that needs it has failed.
    pub async fn start(options: &str) -> Self {
        assert!(
            Path::new(MODULE).exists(),
            "{MODULE} does not exist: run ./test once, which installs it"
        );
        let folder = tempfile::Builder::new()
            .prefix("waybill-proftpd-")
            .tempdir()
            .expect("a temporary directory");
        let port = free_port();
        let host_key = prepare(folder.path(), port, options);
        let process = spawn(&folder.path().join("proftpd.conf"));
        let server = Self {
            port,
            host_key,
            folder,
            process,
        };
        let answered = tokio::time::timeout(START_MAX, async {
            while !answers(port).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(
            answered.await.is_ok(),
            "ProFTPD does not answer: {}",
            server.log()
        );
        server
    }

    /// Returns the account's directory.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Returns the log of the server.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

fn prepare(folder: &Path, port: u16, options: &str) -> String {
    let open = |path: &Path, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("our own folder")
    };
    open(folder, 0o755);
    let home = folder.join("home");
    fs::create_dir(&home).expect("our own folder");
    open(&home, 0o777);
    let key = folder.join("host_key");
    generate_key(&key, "ed25519", "");
    let uid = if own_uid() == 0 { UID } else { own_uid() };
    let account = format!(
        "{USERNAME}:{PASSWORD_HASH}:{uid}:{uid}::{}:/bin/false\n",
        home.display()
    );
    write_private(folder, "passwd", &account, 0o600);
    let config = format!(
        "ServerType standalone\nServerName waybill\nDefaultAddress 127.0.0.1\nPort {port}\nSocketBindTight on\n\
         UseIPv6 off\nUseReverseDNS off\nUser nobody\nGroup nogroup\nModulePath /usr/lib/proftpd\n\
         LoadModule mod_sftp.c\nPidFile {folder}/pid\nScoreboardFile {folder}/scoreboard\n\
         SystemLog {folder}/log\nRequireValidShell off\nAuthOrder mod_auth_file.c\nAuthUserFile {folder}/passwd\n\
         SFTPEngine on\nSFTPLog {folder}/sftp.log\nSFTPHostKey {key}\nSFTPAuthMethods password\nAllowOverwrite on\n\
         WtmpLog off\nUmask 022\n{options}\n",
        folder = folder.display(),
        key = key.display(),
    );
    write_private(folder, "proftpd.conf", &config, 0o644);
    let public = fs::read_to_string(key.with_extension("pub")).expect("ssh-keygen wrote it");
    public.trim().to_owned()
}

fn spawn(config: &Path) -> Child {
    let sudo: &[&str] = if own_uid() == 0 { &[] } else { &["sudo", "-n"] };
    let server = [
        "sh",
        "-c",
        UNTIL_INPUT_ENDS,
        "sh",
        "/usr/sbin/proftpd",
        "--nodaemon",
        "--config",
    ];
    let words: Vec<&str> = sudo.iter().chain(&server).copied().collect();
    Command::new(words[0])
        .args(&words[1..])
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh can be started")
}

impl Drop for Proftpd {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // Fails only if the process has already ended.
        drop(self.process.wait());
    }
}
