//! A session: resolves, connects, uses TLS, logs in and runs transactions with time limits.

use std::future::{Ready, ready};
use std::io;

use domain::Reason;
use domain::check::StepName;
use domain::settle::Outcome;
use egress::Host;
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret as _;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_postgres::config::{ChannelBinding as Binding, SslMode, SslNegotiation};
use tokio_postgres::tls::TlsConnect;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Row, SimpleQueryMessage};
use tokio_rustls::TlsConnector;
use vault::Confidential;

use super::secured::Secured;
use super::verdict;
use crate::connector::{Database, until_ended};
use crate::login::Login;
use crate::trust;
use worker::{ConnectorError, StepRecorder, within};

/// The protocol's `SSLRequest`, which asks a server for TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// The answer of a server that supports TLS.
const SSL_YES: u8 = b'S';

/// An open session. Dropping it closes the connection immediately, and the server rolls back.
pub(super) struct Session {
    pub(super) client: Client,
    connection: Connection,
}

/// The task that drives a connection.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Session {
    /// Opens a session step by step.
    pub(super) async fn open(
        database: &Database,
        login: &Login,
        deadline: Instant,
        steps: &mut StepRecorder,
    ) -> Result<Self, ConnectorError> {
        let deadline = worker::login_deadline(deadline);
        steps
            .resolve(&database.guard, &login.host, login.port, deadline)
            .await?;
        let connecting = async {
            database
                .guard
                .connect(&login.host, login.port, deadline)
                .await
                .map_err(ConnectorError::from)
        };
        let tcp = steps
            .take(StepName::Connect, connecting, |_| {
                "the connection was accepted".to_owned()
            })
            .await?;
        let secured = |_: &_| login.secured();
        let securing = async {
            within(
                deadline,
                "the TLS handshake took too long",
                secure(database, login, tcp),
            )
            .await
        };
        let tls = steps.take(StepName::Tls, securing, secured).await?;
        let logged_in = |_: &_| format!("{} is logged in", login.username);
        let logging_in =
            async { within(deadline, "logging in took too long", log_in(login, tls)).await };
        steps
            .take(StepName::Authenticate, logging_in, logged_in)
            .await
    }

    /// Ends the session and waits until the server has closed the connection.
    pub(super) async fn end(self, deadline: Instant) {
        let Self {
            client,
            mut connection,
        } = self;
        // Without its client, the connection ends as soon as the server has closed it.
        drop(client);
        until_ended(async { drop((&mut connection.0).await) }, deadline).await;
    }

    /// Begins a transaction whose statements end by `deadline`, and in which every server parses
    /// values in the same way.
    pub(super) async fn begin(&self, deadline: Instant) -> Result<(), ConnectorError> {
        let left_ms = deadline
            .saturating_duration_since(Instant::now())
            .as_millis()
            .max(1);
        let begin = format!(
            "BEGIN; SET LOCAL statement_timeout = {left_ms}; SET LOCAL lock_timeout = {left_ms}; \
             SET LOCAL idle_in_transaction_session_timeout = {left_ms}; SET LOCAL client_min_messages = error; \
             SET LOCAL TimeZone = 'UTC'; SET LOCAL timezone_abbreviations = 'Default'; SET LOCAL DateStyle = 'ISO, YMD'; \
             SET LOCAL IntervalStyle = 'postgres'; SET LOCAL array_nulls = on"
        );
        self.execute(&begin).await
    }

    /// Runs statements without parameters.
    pub(super) async fn execute(&self, sql: &str) -> Result<(), ConnectorError> {
        self.client.batch_execute(sql).await.map_err(verdict::of)
    }

    /// Runs an unnamed statement without parameters, and returns how many rows it wrote.
    pub(super) async fn simple(&self, sql: &str) -> Result<u64, tokio_postgres::Error> {
        let messages = self.client.simple_query(sql).await?;
        let written = messages.iter().map(|message| match message {
            SimpleQueryMessage::CommandComplete(rows) => *rows,
            _ => 0,
        });
        Ok(written.sum())
    }

    /// Checks deferred constraints and commits the transaction.
    pub(super) async fn commit(&self) -> Result<(), ConnectorError> {
        self.execute("SET CONSTRAINTS ALL IMMEDIATE; COMMIT").await
    }

    /// Runs a query with parameters of the given types.
    pub(super) async fn query(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, ConnectorError> {
        self.client
            .query_typed(sql, parameters)
            .await
            .map_err(verdict::of)
    }
}

async fn secure(
    database: &Database,
    login: &Login,
    mut tcp: TcpStream,
) -> Result<Secured, ConnectorError> {
    let config = database.trust.config(login)?;
    let mut answer = [0];
    let exchange = async {
        tcp.write_all(&SSL_REQUEST).await?;
        tcp.read_exact(&mut answer).await
    };
    let host = &login.host;
    let closed = |_: io::Error| {
        ConnectorError::new(
            Outcome::Retry(Reason::Tls),
            format!("{host} closed the connection when asked for TLS"),
        )
    };
    exchange.await.map_err(closed)?;
    if answer != [SSL_YES] {
        return Err(ConnectorError::new(
            Outcome::Retry(Reason::Tls),
            format!("{host} does not offer TLS, and every connection is encrypted"),
        ));
    }
    let invalid_name = |_| {
        ConnectorError::new(
            Outcome::Retry(Reason::Tls),
            format!("no certificate can be valid for {host}"),
        )
    };
    let name = match host {
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(invalid_name)?,
        Host::Address(address) => ServerName::from(*address),
    };
    let handshake = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await;
    handshake.map(Secured::new).map_err(|error| {
        let detail = match egress::tls_error(&error) {
            Some(error) => trust::describe(host, error),
            None => format!("{host} closed the connection during the TLS handshake"),
        };
        ConnectorError::new(Outcome::Retry(Reason::Tls), detail)
    })
}

async fn log_in(login: &Login, tls: Secured) -> Result<Session, ConnectorError> {
    let mut config = Config::new();
    // `Direct` keeps the library from requesting TLS, which the stream already uses.
    config
        .user(&login.username)
        .dbname(&login.database)
        .application_name("waybill");
    config
        .ssl_mode(SslMode::Require)
        .ssl_negotiation(SslNegotiation::Direct);
    if login.requires_channel_binding {
        config.channel_binding(Binding::Require);
    }
    if let Some(password) = &login.password {
        config.password(password.expose_secret());
    }
    let (client, connection) = config
        .connect_raw(tls, EstablishedTls)
        .await
        .map_err(|error| match verdict::of_login(error) {
            // After authentication, a refusal means that the database does not exist or that
            // this user may not use it.
            failure
                if matches!(
                    failure.outcome(),
                    Some(Outcome::Reject(_) | Outcome::ClientError(Reason::Authorization))
                ) =>
            {
                failure.at(StepName::Authorize)
            }
            failure => failure,
        })?;
    let opened = Confidential::current();
    let connection = tokio::spawn(async move {
        let ended = async {
            if let Err(error) = connection.await {
                let error = worker::redacted(&error.to_string());
                tracing::debug!(error, "a database connection ended");
            }
        };
        opened.during(ended).await;
    });
    Ok(Session {
        client,
        connection: Connection(connection),
    })
}

/// Passes on a stream that already uses TLS.
struct EstablishedTls;

impl TlsConnect<Secured> for EstablishedTls {
    type Stream = Secured;
    type Error = io::Error;
    type Future = Ready<io::Result<Secured>>;

    fn connect(self, stream: Secured) -> Self::Future {
        ready(Ok(stream))
    }
}
