//! Maps errors of MySQL and MariaDB to outcomes, by their numbers and, for the rest, by SQLSTATE.

use std::io;
use std::time::Duration;

use domain::Reason;
use domain::check::StepName;
use domain::settings::database::TableName;
use domain::settle::Outcome;
use egress::Host;
use mysql_async::{DriverError, Error, IoError, ServerError};

use crate::trust;
use worker::ConnectorError;

/// The error number for a duplicate key.
pub(super) const DUPLICATE: u16 = 1062;
/// The error number for a duplicate column in a definition.
pub(super) const DUPLICATE_COLUMN: u16 = 1060;
/// The error number for a division by zero.
pub(super) const DIVISION_BY_ZERO: u16 = 1365;

/// Maps an error of the library.
pub(super) fn of(error: Error) -> ConnectorError {
    match error {
        Error::Server(error) => of_server(&error),
        Error::Driver(DriverError::PacketTooLarge) => ConnectorError::new(
            Outcome::Reject(Reason::PayloadTooLarge),
            "a row is longer than the server's max_allowed_packet",
        ),
        _ => ConnectorError::new(
            Outcome::Retry(Reason::Protocol),
            "the server closed the connection, or does not speak MySQL's protocol",
        ),
    }
}

/// Maps an error of the server.
pub(super) fn of_server(error: &ServerError) -> ConnectorError {
    ConnectorError::new(outcome(error), describe(error))
}

/// Returns the index in which a key is duplicate, which the message names last in every language:
/// `… for key 'PRIMARY'`, since MySQL 8.0.19 `'events.PRIMARY'`.
pub(super) fn index_of(error: &ServerError) -> Option<&str> {
    let name = error.message.strip_suffix('\'')?.rsplit_once('\'')?.1;
    Some(name.rsplit_once('.').map_or(name, |(_, index)| index))
}

/// Describes a server's error with its number and SQLSTATE.
pub(super) fn describe(error: &ServerError) -> String {
    format!(
        "{} (error {}, SQLSTATE {})",
        error.message, error.code, error.state
    )
}

/// Maps an error while connecting, with the step at which it occurred.
pub(super) fn of_connecting(host: &Host, error: Error) -> ConnectorError {
    let tls = |error: &rustls::Error| {
        if egress::refuses_identity(error) {
            let detail = "the server does not accept the client certificate, or requires one";
            return ConnectorError::new(Outcome::ClientError(Reason::Authentication), detail)
                .at(StepName::Authenticate);
        }
        ConnectorError::new(Outcome::Retry(Reason::Tls), trust::describe(host, error))
            .at(StepName::Tls)
    };
    match &error {
        Error::Server(error) => {
            let step = match outcome(error) {
                Outcome::ClientError(Reason::Authorization) | Outcome::Reject(_) => {
                    StepName::Authorize
                }
                Outcome::ClientError(_) => StepName::Authenticate,
                _ => StepName::Connect,
            };
            of_server(error).at(step)
        }
        Error::Io(IoError::Tls(mysql_async::TlsError::Tls(error))) => tls(error),
        Error::Io(IoError::Tls(_)) => ConnectorError::new(
            Outcome::Retry(Reason::Tls),
            format!("TLS with {host} failed"),
        )
        .at(StepName::Tls),
        Error::Io(IoError::Io(error)) => {
            egress::tls_error(error).map_or_else(|| of_io(host, error), tls)
        }
        Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            let detail = format!("{host} does not offer TLS, and every connection is encrypted");
            ConnectorError::new(Outcome::Retry(Reason::Tls), detail).at(StepName::Tls)
        }
        Error::Driver(
            DriverError::UnknownAuthPlugin { .. }
            | DriverError::MysqlOldPasswordDisabled
            | DriverError::CleartextPluginDisabled,
        ) => {
            let detail = "the server requires an authentication method that these credentials do \
                 not support";
            ConnectorError::new(Outcome::ClientError(Reason::Authentication), detail)
                .at(StepName::Authenticate)
        }
        _ => of(error).at(StepName::Connect),
    }
}

fn of_io(host: &Host, error: &io::Error) -> ConnectorError {
    let detail = match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused the connection",
        io::ErrorKind::TimedOut => "did not accept a connection in time",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "is unreachable",
        _ => "closed the connection before the login was complete",
    };
    ConnectorError::network(error, format!("{host} {detail}")).at(StepName::Connect)
}

/// Returns the outcome of an error of the server.
pub(super) fn outcome(error: &ServerError) -> Outcome {
    match error.code {
        // Access denied, including to a locked account or one with an expired password.
        1045 | 1698 | 1820 | 1862 | 3118 | 3955 | 4151 => {
            Outcome::ClientError(Reason::Authentication)
        }
        1044 | 1142 | 1143 | 1227 | 1370 => Outcome::ClientError(Reason::Authorization),
        // The database, table or column does not exist.
        1049 | 1051 | 1054 | 1072 | 1109 | 1136 | 1146 | 1347 | 1471 | 1286 => {
            Outcome::Reject(Reason::Misconfigured)
        }
        1040 | 1203 | 1226 => Outcome::Throttled(Reason::RateLimited, Duration::ZERO),
        // A lock was not granted in time, or a time limit cancelled the statement.
        1205 | 1317 | 1969 | 3024 | 1907 => Outcome::Retry(Reason::Timeout),
        1153 | 1301 => Outcome::Reject(Reason::PayloadTooLarge),
        // Invalid values and violated constraints whose SQLSTATE is general.
        1264 | 1265 | 1364 | 1365 | 1366 | 1406 | 1411 | 1525 | 3140 | 3819 | 4025 | 1644 => {
            Outcome::ClientError(Reason::Rejected)
        }
        // No partition accepts the row, or a computed column was given a value (MariaDB, MySQL).
        1526 | 1748 | 1906 | 3105 => Outcome::ClientError(Reason::Rejected),
        _ => match error.state.get(..2).unwrap_or_default() {
            "22" | "23" | "44" | "45" | "21" => Outcome::ClientError(Reason::Rejected),
            "28" => Outcome::ClientError(Reason::Authentication),
            "42" => Outcome::Reject(Reason::Misconfigured),
            "08" => Outcome::Retry(Reason::Protocol),
            // Deadlocks, a full disk, a read-only server, a shutdown, and unknown errors.
            _ => Outcome::Retry(Reason::ServerError),
        },
    }
}

/// Whether the content of a row caused the error.
pub(super) fn is_of_row(error: &ServerError) -> bool {
    outcome(error) == Outcome::ClientError(Reason::Rejected)
}

/// The error when a table does not exist or this user cannot see it.
pub(super) fn no_table(table: &TableName) -> ConnectorError {
    ConnectorError::misconfigured(format!("there is no table {table} that this user can see"))
}

/// The error when a row is longer than the server accepts.
pub(super) fn too_long(row: u64, max: usize) -> ConnectorError {
    let detail = format!(
        "row {row} is longer than the {max} bytes of the server's max_allowed_packet; nothing was \
         written"
    );
    ConnectorError::new(Outcome::Reject(Reason::PayloadTooLarge), detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_decides_and_then_the_sqlstate() {
        let of = |code, state: &str| {
            outcome(&ServerError {
                code,
                message: String::new(),
                state: state.to_owned(),
            })
        };
        assert_eq!(
            of(1045, "28000"),
            Outcome::ClientError(Reason::Authentication)
        );
        assert_eq!(
            of(1142, "42000"),
            Outcome::ClientError(Reason::Authorization)
        );
        assert_eq!(of(1146, "42S02"), Outcome::Reject(Reason::Misconfigured));
        assert_eq!(of(1366, "HY000"), Outcome::ClientError(Reason::Rejected));
        assert_eq!(of(1062, "23000"), Outcome::ClientError(Reason::Rejected));
        assert_eq!(
            of(1040, "08004"),
            Outcome::Throttled(Reason::RateLimited, Duration::ZERO)
        );
        assert_eq!(of(1205, "HY000"), Outcome::Retry(Reason::Timeout));
        assert_eq!(of(1213, "40001"), Outcome::Retry(Reason::ServerError));
        assert_eq!(of(1290, "HY000"), Outcome::Retry(Reason::ServerError));
    }
}
