//! A session: resolves, connects, uses TLS, logs in and sets a strict SQL mode.

use std::net::{IpAddr, Ipv4Addr};

use domain::check::StepName;
use domain::settings::database::TlsMode;
use egress::Host;
use mysql_async::prelude::{FromRow, Queryable as _};
use mysql_async::{ClientIdentity, Conn, Opts, OptsBuilder, Params, SslOpts};
use rustls::CertificateError;
use secrecy::ExposeSecret as _;
use tokio::time::Instant;

use super::relay::Relay;
use super::verdict;
use crate::connector::{Database, until_ended};
use crate::login::Login;
use worker::{ConnectorError, StepRecorder, Unavailable, login_deadline, within};

/// How many prepared statements the library caches.
const STATEMENTS_MAX: usize = 16;

/// The longest packet in either direction: a document with its statement. A larger limit of the
/// server is not used.
const PACKET_BYTES_MAX: usize = (64 << 20) + (64 << 10);

/// An open session. Dropping it closes the connection, and the server rolls back.
pub(super) struct Session {
    pub(super) conn: Conn,
    /// Whether the server is MariaDB instead of MySQL.
    pub(super) is_mariadb: bool,
    /// The longest statement that the server accepts, including its values.
    pub(super) packet_bytes_max: usize,
    /// Declared after the connection, so that it is dropped after the connection has been closed
    /// through it.
    relay: Relay,
}

impl Session {
    /// Opens a session. The library connects through a [`Relay`], uses TLS and logs in.
    pub(super) async fn open(
        database: &Database,
        login: &Login,
        deadline: Instant,
        steps: &mut StepRecorder,
    ) -> Result<Self, ConnectorError> {
        steps
            .resolve(&database.guard, &login.host, login.port, deadline)
            .await?;
        let connecting = async {
            let connected = within(
                login_deadline(deadline),
                "connecting took too long",
                connect(database, login, deadline),
            );
            connected
                .await
                .map_err(|error| error.or_at(StepName::Connect))
        };
        let session = steps
            .take(StepName::Tls, connecting, |_| login.secured())
            .await?;
        steps.passed(
            StepName::Authenticate,
            format!("{} is logged in", login.username),
        );
        Ok(session)
    }

    /// Ends the session and waits until the server has closed the connection.
    pub(super) async fn end(self, deadline: Instant) {
        let Self {
            conn, mut relay, ..
        } = self;
        let ended = async {
            drop(conn.disconnect().await);
            relay.closed().await;
        };
        until_ended(ended, deadline).await;
    }

    /// Runs a statement without a result.
    pub(super) async fn execute(&mut self, sql: &str) -> Result<(), ConnectorError> {
        self.conn.query_drop(sql).await.map_err(verdict::of)
    }

    /// Runs a query and returns its rows.
    pub(super) async fn query<R: FromRow + Send + 'static>(
        &mut self,
        sql: &str,
        parameters: impl Into<Params> + Send,
    ) -> Result<Vec<R>, ConnectorError> {
        self.conn
            .exec(sql, parameters.into())
            .await
            .map_err(verdict::of)
    }
}

async fn connect(
    database: &Database,
    login: &Login,
    deadline: Instant,
) -> Result<Session, ConnectorError> {
    let (conn, relay) = match log_in(database, login, deadline, None).await? {
        Ok(connected) => connected,
        Err(error) => {
            let Some(name) = name_of_certificate(login, &error) else {
                return Err(verdict::of_connecting(&login.host, error));
            };
            let connected = log_in(database, login, deadline, Some(name)).await?;
            connected.map_err(|error| verdict::of_connecting(&login.host, error))?
        }
    };
    let mut session = Session {
        conn,
        is_mariadb: false,
        packet_bytes_max: PACKET_BYTES_MAX,
        relay,
    };
    session.prepare(deadline).await?;
    Ok(session)
}

/// Connects through the egress guard and logs in. `name` is a name of the certificate if it differs
/// from the host's.
async fn log_in(
    database: &Database,
    login: &Login,
    deadline: Instant,
    name: Option<String>,
) -> Result<Result<(Conn, Relay), mysql_async::Error>, ConnectorError> {
    let connected = database
        .guard
        .connect(&login.host, login.port, login_deadline(deadline))
        .await;
    let server =
        connected.map_err(|failure| ConnectorError::from(failure).at(StepName::Connect))?;
    let relay = Relay::to(server).await.map_err(Unavailable::because)?;
    let conn = Conn::new(options(database, login, relay.port, name)?).await;
    Ok(conn.map(|conn| (conn, relay)))
}

/// Returns a name that the server's certificate is valid for, if the name is the only mismatch and
/// the TLS mode ignores names.
///
/// The library cannot ignore the name for `verify_ca`, because it does not recognise the error of
/// this TLS library's version. With this name, it verifies the whole certificate.
fn name_of_certificate(login: &Login, error: &mysql_async::Error) -> Option<String> {
    if login.tls != TlsMode::VerifyCa {
        return None;
    }
    let rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext {
        presented,
        ..
    }) = egress::tls_error(error)?
    else {
        return None;
    };
    // The format of the TLS library: `DnsName("db.example")`, `IpAddress(127.0.0.1)`.
    let name = presented
        .first()?
        .split(['"', '(', ')'])
        .map(str::trim)
        .rfind(|part| !part.is_empty())?;
    Some(name.replace('*', "waybill"))
}

fn options(
    database: &Database,
    login: &Login,
    port: u16,
    name: Option<String>,
) -> Result<Opts, ConnectorError> {
    let roots = database
        .trust
        .roots(login)?
        .into_iter()
        .map(|root| root.as_ref().to_vec().into())
        .collect();
    let identity = login.identity.as_ref().map(|identity| {
        let key = identity.private_key_pem.expose_secret().as_bytes().to_vec();
        ClientIdentity::new(
            identity.certificate_pem.as_bytes().to_vec().into(),
            key.into(),
        )
    });
    let ssl = SslOpts::default()
        // The library requires roots even if it verifies nothing.
        .with_disable_built_in_roots(login.tls != TlsMode::Require)
        .with_root_certs(roots)
        .with_danger_accept_invalid_certs(login.tls == TlsMode::Require)
        .with_danger_tls_hostname_override(name)
        .with_client_identity(identity);
    let host = match &login.host {
        Host::Name(name) => name.clone(),
        Host::Address(address) => address.to_string(),
    };
    let options = OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(port)
        .resolved_ips(Some(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]))
        // A server on the loopback must not be reached through a socket file.
        .prefer_socket(false)
        .user(Some(&login.username))
        .pass(
            login
                .password
                .as_ref()
                .map(|password| password.expose_secret()),
        )
        .db_name(Some(&login.database))
        // The password is only sent within TLS: the library starts TLS first and fails if the
        // server does not.
        .enable_cleartext_plugin(login.is_token)
        .stmt_cache_size(STATEMENTS_MAX)
        .max_allowed_packet(Some(PACKET_BYTES_MAX))
        .ssl_opts(ssl);
    Ok(options.into())
}

impl Session {
    /// Sets a strict SQL mode, all checks of keys, UTC, and time limits for waiting.
    async fn prepare(&mut self, deadline: Instant) -> Result<(), ConnectorError> {
        let left_s = deadline
            .saturating_duration_since(Instant::now())
            .as_secs()
            .max(1);
        let common = format!(
            "SET NAMES utf8mb4, SESSION sql_mode = \
             'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO', \
             SESSION time_zone = '+00:00', SESSION innodb_lock_wait_timeout = {left_s}, SESSION lock_wait_timeout = {left_s}, \
             SESSION unique_checks = 1, SESSION foreign_key_checks = 1"
        );
        self.execute(&common).await?;
        let found: Vec<(String, u64)> = self
            .query("SELECT VERSION(), @@max_allowed_packet", ())
            .await?;
        let (version, packet_bytes_max) = found.first().cloned().unwrap_or_default();
        self.is_mariadb = version.contains("MariaDB");
        self.packet_bytes_max = usize::try_from(packet_bytes_max)
            .unwrap_or(usize::MAX)
            .min(PACKET_BYTES_MAX);
        if self.is_mariadb {
            self.execute(&format!("SET SESSION max_statement_time = {left_s}"))
                .await?;
        }
        Ok(())
    }
}
