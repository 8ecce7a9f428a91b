//! A real PgBouncer in front of PostgreSQL, in transaction mode and with one connection, so that
//! each transaction sees what the last one left behind.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::postgres::Postgres;
use crate::program::{self, Program};
use crate::tls::Authority;

/// A running pool. Dropping it kills it.
#[derive(Debug)]
pub struct PgBouncer {
    /// The port of the pool on 127.0.0.1.
    pub port: u16,
    _program: Program,
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts a pool whose certificate is valid for these names, for this user of the server.
    pub fn start(
        authority: &Authority,
        names: &[&str],
        server: &Postgres,
        username: &str,
        password: &str,
    ) -> Self {
        let binary = program::binary(
            "pgbouncer",
            [
                "/usr/sbin",
                "/usr/bin",
                "/usr/local/bin",
                "/opt/homebrew/bin",
            ]
            .map(PathBuf::from),
        );
        let folder = tempfile::Builder::new()
            .prefix("waybill-pgbouncer-")
            .tempdir()
            .expect("a temporary directory");
        program::open_to_all(folder.path());
        let port = program::free_port();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let (certificate, key) = authority.certificate(names);
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = scram-sha-256\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 1\nmax_client_conn = 100\n\
             client_tls_sslmode = require\nclient_tls_cert_file = {}\nclient_tls_key_file = {}\nserver_tls_sslmode = require\n",
            server.port,
            at("users"),
            at("server.crt"),
            at("server.key"),
        );
        let users = format!("\"{username}\" \"{}\"\n", password.replace('"', "\"\""));
        for (name, text) in [
            ("server.crt", certificate),
            ("server.key", key),
            ("users", users),
            ("ini", settings),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("the folder is ours");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            std::fs::set_permissions(&path, mode).expect("the file is ours");
        }
        let (binary, ini) = (binary.display().to_string(), at("ini"));
        let mut words = crate::postgres::as_server_user_words();
        words.extend([&*binary, &*ini]);
        let log = folder.path().join("log");
        let program = Program::start(&words, "KILL", &log);
        program::wait_for("PgBouncer", &log, || {
            std::net::TcpListener::bind(("127.0.0.1", port)).is_err()
        });
        Self {
            port,
            _program: program,
            _folder: folder,
        }
    }

    /// Returns the command-line client of the pool.
    #[must_use]
    pub fn psql(&self, database: &str, username: &str, password: &str) -> Command {
        let mut command = Command::new("psql");
        command
            .env("PGSSLMODE", "require")
            .env("PGPASSWORD", password);
        command.args([
            "-X",
            "-h",
            "127.0.0.1",
            "-p",
            &self.port.to_string(),
            "-U",
            username,
            "-d",
            database,
        ]);
        command
    }
}
