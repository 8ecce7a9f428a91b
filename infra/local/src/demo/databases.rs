//! The databases of the demo: PostgreSQL and MariaDB, if they are installed. Their data is deleted
//! when the demo ends.

use serde_json::json;
use servers::mariadb::MariaDb;
use servers::postgres::Postgres;
use servers::tls::Authority;

use super::Destination;

/// The name of the database and of the account.
const NAME: &str = "demo";
const HOST: &str = "127.0.0.1";

/// The database servers of the demo, which stop when this is dropped.
#[derive(Debug)]
pub(super) struct Databases {
    postgres: Option<Postgres>,
    mariadb: Option<MariaDb>,
    password: String,
}

impl Databases {
    /// Starts the servers that are installed. This takes seconds and blocks the thread.
    pub(super) fn start(password: String) -> Self {
        let authority = Authority::new();
        let postgres = Postgres::is_installed().then(|| {
            let server = Postgres::start(&authority, &[HOST]);
            server.sql(
                "postgres",
                &format!("CREATE ROLE {NAME} LOGIN PASSWORD '{password}'"),
            );
            server.sql("postgres", &format!("CREATE DATABASE {NAME} OWNER {NAME}"));
            server
        });
        let mariadb = MariaDb::is_installed().then(|| {
            let server = MariaDb::start(&authority, &[HOST]);
            server.sql("mysql", &format!("CREATE DATABASE {NAME}"));
            server.sql(
                "mysql",
                &format!("CREATE USER {NAME} IDENTIFIED BY '{password}'"),
            );
            server.sql("mysql", &format!("GRANT ALL ON {NAME}.* TO {NAME}"));
            server
        });
        Self {
            postgres,
            mariadb,
            password,
        }
    }

    /// Returns the destinations of the servers.
    pub(super) fn destinations(&self) -> Vec<Destination> {
        let postgres = self
            .postgres
            .as_ref()
            .map(|server| self.destination("postgres", "PostgreSQL", server.port));
        let mariadb = self
            .mariadb
            .as_ref()
            .map(|server| self.destination("mysql", "MariaDB", server.port));
        for (name, started) in [("PostgreSQL", &postgres), ("MariaDB", &mariadb)] {
            if started.is_none() {
                tracing::info!(
                    "{name} is not installed on this machine; the demo does not include it"
                );
            }
        }
        [postgres, mariadb].into_iter().flatten().collect()
    }

    fn destination(&self, kind: &'static str, name: &str, port: u16) -> Destination {
        let settings = json!({"host": HOST, "port": port, "database": NAME, "tls": "require",
            "table": "messages", "create_table": true});
        let credentials = json!({"kind": "password", "username": NAME, "password": self.password});
        Destination::new(
            kind,
            format!("Demo: {name}"),
            json!({"type": kind, "settings": settings, "credentials": credentials}),
        )
    }
}
