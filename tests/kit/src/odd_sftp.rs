//! A scripted SFTP server (on asyncssh's transport) that responds as unusual servers do: with short
//! STATUS packets, codes of later drafts, files without a size, or refused renames.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::moto::python;
use crate::sshd::{PASSWORD, USERNAME};

/// The server's program, which lists the oddities.
const SERVER: &str = include_str!("odd_sftp.py");

/// A running server with an empty directory and the account of [`crate::sshd`]. Dropping it ends
/// it.
#[derive(Debug)]
pub struct OddSftp {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The server's Ed25519 key as an OpenSSH public key.
    pub host_key: String,
    folder: TempDir,
    process: Child,
}

impl OddSftp {
    /// Starts a server with these oddities, separated by commas.
    ///
    /// # Panics
    ///
    /// When the server does not start, because a test that needs it has failed.
    #[must_use]
    pub fn start(oddities: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let python = python();
        assert!(
            python.exists(),
            "{} does not exist: run ./test once, which installs the test tools",
            python.display()
        );
        let mut process = Command::new(&python)
            .args(["-c", SERVER])
            .arg(folder.path())
            .args([USERNAME, PASSWORD, oddities])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", python.display()));
        let mut line = String::new();
        let output = process.stdout.take().expect("standard output is piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the server says where it listens");
        let (port, host_key) = line.trim().split_once(' ').expect(
            "the server says where it listens: is asyncssh in .test-tools/venv? run \
                 ./test, which installs it",
        );
        let port = port.parse().expect("a port");
        Self {
            port,
            host_key: host_key.to_owned(),
            folder,
            process,
        }
    }

    /// Returns the account's directory.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.folder.path()
    }

    /// Returns all files and directories below the account's directory, sorted.
    #[must_use]
    pub fn tree(&self) -> Vec<String> {
        tree(self.home())
    }
}

/// Returns all files and directories below a directory, sorted and relative to it.
#[must_use]
pub fn tree(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else {
            continue;
        };
        for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
            found.push(
                path.strip_prefix(root)
                    .unwrap_or(&path)
                    .display()
                    .to_string(),
            );
            if path.is_dir() {
                left.push(path);
            }
        }
    }
    found.sort();
    found
}

impl Drop for OddSftp {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // Fails only if the process has already ended.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
