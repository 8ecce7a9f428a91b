//! A real PostgreSQL server with TLS, whose users authenticate in the way that their names say.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::program::{self, Program};
use crate::tls::Authority;

/// How each user authenticates. `admin` is for the tests themselves.
const ACCESS: &str = "hostssl all admin all trust\n\
    hostssl all +by_certificate all cert\n\
    hostssl all +by_clear_text all password\n\
    hostssl all +by_md5 all md5\n\
    hostssl all all all scram-sha-256\n";

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Postgres {
    /// The port of the server on 127.0.0.1.
    pub port: u16,
    program: Option<Program>,
    folder: TempDir,
}

impl Postgres {
    /// Whether PostgreSQL is installed on this machine.
    #[must_use]
    pub fn is_installed() -> bool {
        program::find("initdb", folders()).is_some()
    }

    /// Starts a server whose certificate is valid for these names, and which trusts the authority's
    /// client certificates.
    pub fn start(authority: &Authority, names: &[&str]) -> Self {
        let initdb = program::binary("initdb", folders());
        let version = initdb
            .ancestors()
            .nth(2)
            .and_then(Path::file_name)
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let template = program::template(&format!("postgres-{version}"), |folder| {
            let command = format!(
                "{} -D {}/data -U admin -E UTF8 --locale=C.UTF-8 --no-sync --auth=trust",
                initdb.display(),
                folder.display()
            );
            as_server_user(&command);
        });
        let folder = tempfile::Builder::new()
            .prefix("waybill-postgres-")
            .tempdir()
            .expect("a temporary directory");
        program::open_to_all(folder.path());
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("the folder is ours");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            std::fs::set_permissions(&path, mode).expect("the file is ours");
        };
        let (certificate, key) = authority.certificate(names);
        for (name, text) in [
            ("server.crt", &*certificate),
            ("key", &*key),
            ("ca.crt", &*authority.certificate_pem()),
            ("hba", ACCESS),
        ] {
            write(name, text);
        }
        let path = folder.path().display();
        as_server_user(&format!(
            "cp -r {}/data {path}/data && chmod 700 {path}/data && cp {path}/key \
             {path}/server.key && chmod 600 {path}/server.key",
            template.display()
        ));
        let port = program::free_port();
        let mut server = Self {
            port,
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
        let path = self.folder.path().display().to_string();
        let command = format!(
            "exec {} -D {path}/data -p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c hba_file={path}/hba -c ssl=on \
             -c ssl_cert_file={path}/server.crt -c ssl_key_file={path}/server.key -c ssl_ca_file={path}/ca.crt -c fsync=off \
             -c max_connections=50 -c shared_buffers=32MB",
            program::binary("postgres", folders()).display(),
            self.port
        );
        let mut words = as_server_user_words();
        words.extend(["sh", "-c", &*command]);
        self.program = Some(Program::start(&words, "QUIT", &self.log()));
        program::wait_for("PostgreSQL", &self.log(), || {
            self.try_sql("postgres", "SELECT 1").is_ok()
        });
    }

    /// Runs statements as the administrator and returns the lines of the rows, with `|` between
    /// columns. Panics if one fails.
    pub fn sql(&self, database: &str, sql: &str) -> Vec<String> {
        self.try_sql(database, sql)
            .unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    fn try_sql(&self, database: &str, sql: &str) -> Result<Vec<String>, String> {
        program::lines(
            self.psql(database)
                .args(["-v", "ON_ERROR_STOP=1", "-qAtc", sql]),
        )
    }

    /// Returns the command-line client, as the administrator.
    pub fn psql(&self, database: &str) -> Command {
        let mut command = Command::new("psql");
        command.env("PGSSLMODE", "require").args([
            "-X",
            "-h",
            "127.0.0.1",
            "-p",
            &self.port.to_string(),
            "-U",
            "admin",
            "-d",
            database,
        ]);
        command
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

fn folders() -> impl Iterator<Item = PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|folders| {
            folders
                .flatten()
                .map(|folder| folder.path().join("bin"))
                .collect()
        })
        .unwrap_or_default();
    versions.sort();
    let elsewhere = ["/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    versions.into_iter().rev().chain(elsewhere)
}

/// Returns the start of a command that must not run as root.
pub(crate) fn as_server_user_words() -> Vec<&'static str> {
    if is_root() {
        vec![
            "setpriv",
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
        ]
    } else {
        vec![]
    }
}

/// PostgreSQL refuses to run as root.
fn as_server_user(command: &str) {
    let mut shell = if is_root() {
        let mut shell = Command::new("setpriv");
        shell.args([
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "sh",
        ]);
        shell
    } else {
        Command::new("sh")
    };
    program::run(shell.args(["-c", command]).current_dir("/"));
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(Path::new("/proc/self")).is_ok_and(|me| me.uid() == 0)
}
