//! Runs the connector contract against PostgreSQL and MariaDB.

use connector_contract::{Arrival, Login, Mistake, ServerAddress, Subject, TestServices};
use domain::Reason;
use domain::credentials::CredentialKind;
use domain::delivery::Delivery;
use domain::settings::DestinationType;
use serde_json::{Value, json};
use store::Store;
use worker_database::{Database, Databases, Trust};

use crate::bench::{Bench, PASSWORD};

mod postgres {
    connector_contract::hold!(super::PostgreSql);
}

mod mysql {
    connector_contract::hold!(super::MySql);
}

/// A server, and the connector as its function creates it.
struct Server {
    bench: Bench,
    connector: Databases,
}

struct PostgreSql(Server);

struct MySql(Server);

impl Server {
    fn of(bench: Bench, services: &TestServices, time: &str, payload: &str) -> Self {
        let aws = services.aws();
        let store = Store::new(&aws, "none".to_owned(), None);
        let database = Database::new(services.guard(), Trust::with_roots(Vec::new()));
        let connector = Databases::new(database, services.vault(), store, aws, services.clock());
        bench.sql(&format!(
            "CREATE TABLE events (delivery_id varchar(64) PRIMARY KEY, message_id varchar(64) NOT NULL, \
             event_type varchar(255) NOT NULL, created_at {time} NOT NULL, content_type varchar(255) NOT NULL, payload {payload})"
        ));
        Self { bench, connector }
    }

    fn settings(&self, ServerAddress { host, port }: &ServerAddress) -> Value {
        json!({"host": host, "port": port, "database": self.bench.name, "table": "events",
            "tls": "require"})
    }

    fn login(&self, password: &str) -> Login {
        let open = vec![("username", self.bench.name.clone())];
        let secrets = vec![("password", password.to_owned())];
        Login {
            kind: CredentialKind::Password,
            open,
            secrets,
        }
    }

    fn mistakes(&self) -> Vec<Mistake> {
        let mistake = |name, settings, reason| Mistake {
            name,
            settings,
            login: self.login(PASSWORD),
            reason,
        };
        let wrong = self.login("wrong");
        vec![
            Mistake {
                name: "a wrong password",
                settings: json!({}),
                login: wrong,
                reason: Reason::Authentication,
            },
            mistake(
                "a table that does not exist",
                json!({"table": "missing"}),
                Reason::Misconfigured,
            ),
        ]
    }

    fn arrived(&self, delivery: &Delivery, hash: &str) -> Vec<Arrival> {
        let id = delivery.id.to_string();
        let found = self.bench.sql(&format!(
            "SELECT {hash} FROM events WHERE delivery_id = '{id}'"
        ));
        found
            .into_iter()
            .map(|sha256| Arrival {
                identity: id.clone(),
                sha256: sha256.to_lowercase(),
            })
            .collect()
    }
}

impl Subject for PostgreSql {
    type Connector = Databases;
    const NAME: &'static str = "PostgreSQL";
    const DESTINATION: DestinationType = DestinationType::Postgres;
    const IS_IDEMPOTENT: bool = true;

    async fn start(services: &TestServices) -> Self {
        Self(Server::of(
            Bench::postgres(),
            services,
            "timestamptz",
            "bytea",
        ))
    }

    fn connector(&self) -> &Databases {
        &self.0.connector
    }

    fn port(&self) -> u16 {
        self.0.bench.port()
    }

    fn settings(&self, address: &ServerAddress) -> Value {
        self.0.settings(address)
    }

    fn login(&self) -> Login {
        self.0.login(PASSWORD)
    }

    fn mistakes(&self) -> Vec<Mistake> {
        self.0.mistakes()
    }

    async fn arrived(&self, delivery: &Delivery) -> Vec<Arrival> {
        self.0.arrived(delivery, "encode(sha256(payload), 'hex')")
    }
}

impl Subject for MySql {
    type Connector = Databases;
    const NAME: &'static str = "MySQL (MariaDB)";
    const DESTINATION: DestinationType = DestinationType::Mysql;
    // The server accepts packets of 16 MiB.
    const LARGE_BYTES: usize = 12 << 20;
    const IS_IDEMPOTENT: bool = true;

    async fn start(services: &TestServices) -> Self {
        Self(Server::of(
            Bench::mysql(),
            services,
            "datetime(3)",
            "longblob",
        ))
    }

    fn connector(&self) -> &Databases {
        &self.0.connector
    }

    fn port(&self) -> u16 {
        self.0.bench.port()
    }

    fn settings(&self, address: &ServerAddress) -> Value {
        self.0.settings(address)
    }

    fn login(&self) -> Login {
        self.0.login(PASSWORD)
    }

    fn mistakes(&self) -> Vec<Mistake> {
        self.0.mistakes()
    }

    async fn arrived(&self, delivery: &Delivery) -> Vec<Arrival> {
        self.0.arrived(delivery, "SHA2(payload, 256)")
    }
}
