//! A real MariaDB server with TLS.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::program::{self, Program};
use crate::tls::Authority;

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct MariaDb {
    /// The port of the server on 127.0.0.1.
    pub port: u16,
    program: Option<Program>,
    folder: TempDir,
}

impl MariaDb {
    /// Whether MariaDB is installed on this machine.
    #[must_use]
    pub fn is_installed() -> bool {
        program::find("mariadb-install-db", folders()).is_some()
    }

    /// Starts a server whose certificate is valid for these names, and which trusts the authority's
    /// client certificates.
    pub fn start(authority: &Authority, names: &[&str]) -> Self {
        let template = program::template("mariadb", |folder| {
            let install = program::binary("mariadb-install-db", folders());
            let data = format!("--datadir={}/data", folder.display());
            let mut command = Command::new(install);
            command.args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--user=root",
                &data,
            ]);
            program::run(&mut command);
        });
        let folder = tempfile::Builder::new()
            .prefix("waybill-mariadb-")
            .tempdir()
            .expect("a temporary directory");
        program::run(
            Command::new("cp")
                .arg("-r")
                .arg(template.join("data"))
                .arg(folder.path().join("data")),
        );
        let (certificate, key) = authority.certificate(names);
        for (name, text) in [
            ("server.crt", certificate),
            ("server.key", key),
            ("ca.crt", authority.certificate_pem()),
        ] {
            std::fs::write(folder.path().join(name), text).expect("the folder is ours");
        }
        let mut server = Self {
            port: program::free_port(),
            program: None,
            folder,
        };
        server.restart();
        server
    }

    /// Kills the server as a power cut would, without restarting it.
    pub fn kill(&mut self) {
        drop(self.program.take());
    }

    /// Starts the server again on the same port and data.
    pub fn restart(&mut self) {
        self.kill();
        let binary = program::binary("mariadbd", folders()).display().to_string();
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let words = [
            binary,
            "--no-defaults".into(),
            "--user=root".into(),
            format!("--datadir={}", at("data")),
            format!("--port={}", self.port),
            "--bind-address=127.0.0.1".into(),
            format!("--socket={}", at("socket")),
            format!("--pid-file={}", at("pid")),
            format!("--ssl-cert={}", at("server.crt")),
            format!("--ssl-key={}", at("server.key")),
            format!("--ssl-ca={}", at("ca.crt")),
            "--innodb-flush-log-at-trx-commit=0".into(),
            "--innodb-buffer-pool-size=64M".into(),
        ];
        self.program = Some(Program::start(
            &words.each_ref().map(|word| &**word),
            "KILL",
            &self.log(),
        ));
        program::wait_for("MariaDB", &self.log(), || {
            self.try_sql("mysql", "SELECT 1").is_ok()
        });
    }

    /// Runs statements as the administrator and returns the lines of the rows, with tabs between
    /// columns. Panics if one fails.
    pub fn sql(&self, database: &str, sql: &str) -> Vec<String> {
        self.try_sql(database, sql)
            .unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    fn try_sql(&self, database: &str, sql: &str) -> Result<Vec<String>, String> {
        program::lines(self.mariadb(database).args(["-N", "-B", "-e", sql]))
    }

    /// Returns the command-line client, as the administrator.
    pub fn mariadb(&self, database: &str) -> Command {
        let mut command = Command::new("mariadb");
        let socket = format!("--socket={}", self.folder.path().join("socket").display());
        command.args([
            "--no-defaults",
            "--default-character-set=utf8mb4",
            "-uroot",
            &socket,
            database,
        ]);
        command
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

fn folders() -> [PathBuf; 5] {
    [
        "/usr/bin",
        "/usr/sbin",
        "/usr/local/bin",
        "/usr/local/sbin",
        "/opt/homebrew/bin",
    ]
    .map(PathBuf::from)
}
