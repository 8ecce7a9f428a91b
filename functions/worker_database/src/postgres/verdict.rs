//! Maps errors of PostgreSQL to outcomes by SQLSTATE (PostgreSQL's documentation, appendix A).

use std::error::Error as _;
use std::time::Duration;

use domain::Reason;
use domain::settings::database::TableName;
use domain::settle::Outcome;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use worker::ConnectorError;

/// Maps an error of the library.
pub(super) fn of(error: Error) -> ConnectorError {
    if let Some(theirs) = error.as_db_error() {
        return ConnectorError::new(outcome(theirs.code()), describe(theirs));
    }
    if let Some(tls) = egress::tls_error(&error) {
        return if egress::refuses_identity(tls) {
            ConnectorError::new(
                Outcome::ClientError(Reason::Authentication),
                "the server does not accept the client certificate, or requires one",
            )
        } else {
            ConnectorError::new(
                Outcome::Retry(Reason::Tls),
                format!("the TLS connection failed: {tls}"),
            )
        };
    }
    ConnectorError::new(
        Outcome::Retry(Reason::Protocol),
        "the server closed the connection, or does not speak PostgreSQL's protocol",
    )
}

/// Whether the content of one or several rows caused the error.
pub(super) fn is_of_row(error: &Error) -> bool {
    error
        .as_db_error()
        .is_some_and(|theirs| outcome(theirs.code()) == Outcome::ClientError(Reason::Rejected))
}

/// Whether another user of a pooled connection has prepared a statement with this name.
pub(super) fn is_name_taken(error: &Error) -> bool {
    error.code() == Some(&SqlState::DUPLICATE_PSTATEMENT)
}

/// Whether a row with this key exists.
pub(super) fn is_duplicate(error: &Error) -> bool {
    error.code() == Some(&SqlState::UNIQUE_VIOLATION)
}

/// Maps an error of a statement that wrote one row. `column` returns the column of a parameter.
pub(super) fn of_row<'c>(
    error: Error,
    number: u64,
    column: impl Fn(usize) -> Option<&'c str>,
) -> ConnectorError {
    if !is_of_row(&error) {
        return of(error);
    }
    let Some(theirs) = error.as_db_error() else {
        return of(error);
    };
    // The context of a value that cannot be parsed, in any language: `unnamed portal parameter $3 =
    // '…'`.
    let parameter = theirs.where_().and_then(|context| {
        let digits = context.split_once('$')?.1;
        digits[..digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len())]
            .parse()
            .ok()
    });
    let column = theirs.column().or_else(|| column(parameter?));
    row_failure(theirs, number, column)
}

fn row_failure(theirs: &DbError, number: u64, column: Option<&str>) -> ConnectorError {
    let column = column
        .map(|column| format!(", column {column}"))
        .unwrap_or_default();
    let detail = format!(
        "row {number}{column}: {} (SQLSTATE {}); nothing was written",
        theirs.message(),
        theirs.code().code()
    );
    ConnectorError::new(outcome(theirs.code()), detail)
}

/// The error when the table did not keep all rows that were sent.
pub(super) fn dropped(rows: u64, of: u64) -> ConnectorError {
    let detail = format!(
        "{rows} of {of} rows were dropped by a trigger or rule of the table; nothing was written"
    );
    ConnectorError::new(Outcome::ClientError(Reason::Rejected), detail)
}

/// The error when the table did not keep a row that was sent.
pub(super) fn dropped_row(number: u64, may_be_of_key: bool) -> ConnectorError {
    let by = if may_be_of_key {
        "its key differs from an existing one only in case, or a trigger or rule of the table \
         drops it"
    } else {
        "a trigger or rule of the table drops it"
    };
    ConnectorError::new(
        Outcome::ClientError(Reason::Rejected),
        format!("row {number}: {by}; nothing was written"),
    )
}

/// Maps an error while logging in.
pub(super) fn of_login(error: Error) -> ConnectorError {
    let is_broken = error.is_closed()
        || error
            .source()
            .is_none_or(|source| source.is::<std::io::Error>());
    if error.as_db_error().is_some() || is_broken {
        return of(error);
    }
    let detail =
        "the server requires an authentication method that these credentials do not support";
    ConnectorError::new(Outcome::ClientError(Reason::Authentication), detail)
}

/// Returns the outcome of a SQLSTATE.
fn outcome(code: &SqlState) -> Outcome {
    let code = code.code();
    match code {
        "28P01" | "28000" => Outcome::ClientError(Reason::Authentication),
        "42501" => Outcome::ClientError(Reason::Authorization),
        "53300" => Outcome::Throttled(Reason::RateLimited, Duration::ZERO),
        // The time limit cancelled the statement, or a lock was not granted in time.
        "57014" | "55P03" | "25P03" => Outcome::Retry(Reason::Timeout),
        "54000" | "54001" | "54011" | "54023" => Outcome::Reject(Reason::PayloadTooLarge),
        // A pooled connection has other prepared statements. Another connection may not.
        "42P05" | "26000" => Outcome::Retry(Reason::ServerError),
        // The database, schema, table or column does not exist, or there is no immediate unique
        // index on the key.
        "55000" | "3D000" | "3F000" | "42P01" | "42703" | "42P10" | "42804" | "42809" | "428C9"
        | "42P07" => Outcome::Reject(Reason::Misconfigured),
        _ => match code.get(..2).unwrap_or_default() {
            // Invalid values, constraints, checks of views, and exceptions of triggers.
            "22" | "23" | "27" | "44" | "P0" | "21" => Outcome::ClientError(Reason::Rejected),
            "42" | "0A" => Outcome::Reject(Reason::Misconfigured),
            "08" => Outcome::Retry(Reason::Protocol),
            // Deadlocks, resources, shutdowns, a read-only server, and unknown errors.
            _ => Outcome::Retry(Reason::ServerError),
        },
    }
}

/// Describes an error by the server's message, which names the problem. Its `detail` is left out,
/// because it contains whole rows.
fn describe(error: &DbError) -> String {
    let column = error
        .column()
        .map(|column| format!(" (column {column})"))
        .unwrap_or_default();
    format!(
        "{}{column}: SQLSTATE {}",
        error.message(),
        error.code().code()
    )
}

/// Maps an error of a COPY, with its row and column. PostgreSQL reports them only in the error's
/// context (`COPY table, line 3, column n: "x"`), in the server's language, so only names and
/// numbers are parsed.
pub(super) fn of_copy(
    error: Error,
    table: &str,
    columns: &[String],
    rows_before: u64,
) -> ConnectorError {
    let Some(theirs) = error.as_db_error() else {
        return of(error);
    };
    let context = theirs.where_().and_then(|context| {
        context
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("COPY ")?.strip_prefix(table))
    });
    let Some(context) = context else {
        return of(error);
    };
    let digits: String = context
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    let Ok(line) = digits.parse::<u64>() else {
        return of(error);
    };
    let after = context.split_once(&digits).map_or("", |(_, after)| after);
    let named = columns.iter().find(|column| {
        after
            .split(':')
            .next()
            .is_some_and(|part| part.ends_with(&format!(" {column}")))
    });
    let column = theirs.column().or_else(|| named.map(String::as_str));
    row_failure(theirs, rows_before + line, column)
}

/// The error when a table does not exist or this user cannot see it.
pub(super) fn no_table(table: &TableName) -> ConnectorError {
    ConnectorError::misconfigured(format!("there is no table {table} that this user can see"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sqlstate_decides() {
        let table: &[(&[&str], Outcome)] = &[
            (
                &["28P01", "28000"],
                Outcome::ClientError(Reason::Authentication),
            ),
            (&["42501"], Outcome::ClientError(Reason::Authorization)),
            (
                &["3D000", "42P01", "42703", "42P10", "42601"],
                Outcome::Reject(Reason::Misconfigured),
            ),
            (
                &[
                    "22P02", "22003", "23502", "23505", "23514", "P0001", "44000",
                ],
                Outcome::ClientError(Reason::Rejected),
            ),
            (
                &["53300"],
                Outcome::Throttled(Reason::RateLimited, Duration::ZERO),
            ),
            (&["57014", "55P03"], Outcome::Retry(Reason::Timeout)),
            (
                &[
                    "40P01", "40001", "53100", "57P01", "57P03", "25006", "XX000",
                ],
                Outcome::Retry(Reason::ServerError),
            ),
            (&["08006"], Outcome::Retry(Reason::Protocol)),
        ];
        for (codes, expected) in table {
            for code in *codes {
                assert_eq!(outcome(&SqlState::from_code(code)), *expected, "{code}");
            }
        }
    }
}
