//! The durable record of the queues, in SQLite.
//!
//! There are two tables, because a receive changes only the narrow one: `message` (its queue and
//! receive count) and `content` (what was sent, which never changes). How long a message in flight
//! is hidden is not stored: after a restart it is visible again. That it was in flight is stored,
//! so that a crash is attributed to messages that may have caused it.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::OpenError;
use super::lanes::{Entry, Lanes, State};
use super::receipt::MessageKey;
use super::send::Outgoing;
use super::spec::{Directory, QueueId};
use super::suspects::ALONE_CRASHES;

/// Raised when a table changes. A newer file is refused, so that it is not damaged.
const SCHEMA_VERSION: i64 = 2;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS queue (row INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE IF NOT EXISTS message (
        key INTEGER PRIMARY KEY,
        queue INTEGER NOT NULL REFERENCES queue (row),
        source INTEGER REFERENCES queue (row),
        group_id TEXT,
        sent_at_ms INTEGER NOT NULL,
        visible_at_ms INTEGER NOT NULL,
        receives INTEGER NOT NULL DEFAULT 0,
        first_received_at_ms INTEGER,
        place TEXT,
        in_flight_since_ms INTEGER,
        crashes INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE IF NOT EXISTS content (
        key INTEGER PRIMARY KEY,
        body TEXT NOT NULL,
        attributes TEXT,
        trace_header TEXT
    ) STRICT;";

/// The changes of version 2.
const FROM_VERSION_1: &str = "
    ALTER TABLE message ADD COLUMN place TEXT;
    ALTER TABLE message ADD COLUMN in_flight_since_ms INTEGER;
    ALTER TABLE message ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;";

/// The part of a message that a receive reads.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) body: String,
    /// The message attributes as JSON.
    pub(super) attributes: Option<String>,
    pub(super) trace_header: Option<String>,
    pub(super) first_received_at_ms: u64,
    /// The queue that the message was dead-lettered from.
    pub(super) source: Option<String>,
}

/// The open file, with its compiled statements.
#[derive(Debug)]
pub(super) struct Ledger {
    connection: Connection,
    /// The rows of the table `queue`, by [`QueueId`].
    rows: Vec<i64>,
}

impl Ledger {
    pub(super) fn open(path: &Path, directory: &Directory) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Sqlite {
            path: path.to_owned(),
            source,
        };
        let connection = Connection::open(path).map_err(failed)?;
        let found = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(failed)?;
        if found > SCHEMA_VERSION {
            return Err(OpenError::Newer {
                path: path.to_owned(),
                found,
                known: SCHEMA_VERSION,
            });
        }
        configure(&connection).map_err(failed)?;
        if found == 1 {
            connection
                .execute_batch(&format!(
                    "BEGIN; {FROM_VERSION_1} PRAGMA user_version = 2; COMMIT;"
                ))
                .map_err(failed)?;
        }
        let rows = create(&connection, directory).map_err(failed)?;
        Ok(Self { connection, rows })
    }

    /// Reads all messages by queue. Those that were in flight are visible again.
    pub(super) fn load(&self, now_ms: u64) -> rusqlite::Result<Vec<Lanes>> {
        let mut lanes: Vec<_> = self.rows.iter().map(|_| Lanes::default()).collect();
        let mut read = self.connection.prepare_cached(
            "SELECT queue, key, group_id, sent_at_ms, visible_at_ms, receives, \
                 place, crashes FROM message",
        )?;
        let mut rows = read.query([])?;
        while let Some(row) = rows.next()? {
            let queue: i64 = row.get(0)?;
            // A queue that is no longer declared keeps its messages until it is declared again.
            let Some(index) = self.rows.iter().position(|known| *known == queue) else {
                continue;
            };
            let group: Option<Arc<str>> = row.get(2)?;
            let state = State::until(row.get(4)?, now_ms);
            let within: Option<Arc<str>> = row.get(6)?;
            let entry = Entry {
                group: group.unwrap_or_default(),
                subgroup: within.unwrap_or_default(),
                sent_at_ms: row.get(3)?,
                receives: row.get(5)?,
                crashes: row.get(7)?,
                state,
            };
            lanes[index].put(MessageKey(row.get(1)?), entry);
        }
        Ok(lanes)
    }

    /// After a crash, records it for the messages that were in flight: for all of them, or only for
    /// the one that was processed alone because it had seen several crashes. A receive that ended
    /// in a crash caused by another message is not counted.
    pub(super) fn blame_crash(&self) -> rusqlite::Result<()> {
        let alone: Option<i64> = self
            .connection
            .query_row(
                "SELECT key FROM message WHERE in_flight_since_ms IS NOT NULL AND crashes >= ?1
                 ORDER BY crashes DESC, in_flight_since_ms DESC LIMIT 1",
                [ALONE_CRASHES],
                |row| row.get(0),
            )
            .optional()?;
        // Visible since the last receive: among suspects, those that were in flight longest come
        // first.
        self.connection.execute(
            "UPDATE message SET in_flight_since_ms = NULL, visible_at_ms = in_flight_since_ms,
                crashes = crashes + (?1 IS NULL OR key = ?1),
                receives = receives - (?1 IS NOT NULL AND key <> ?1)
             WHERE in_flight_since_ms IS NOT NULL",
            [alone],
        )?;
        Ok(())
    }

    /// Returns the bodies of all messages that were in flight when a process died.
    pub(super) fn interrupted(&self) -> rusqlite::Result<Vec<String>> {
        let mut read = self.connection.prepare_cached(
            "SELECT body FROM content JOIN message USING (key) WHERE crashes > 0",
        )?;
        read.query_map([], |row| row.get(0))?.collect()
    }

    /// Records that a receiver returned a message, so that it has not killed its process.
    pub(super) fn mark_returned(&self, key: MessageKey) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE message SET in_flight_since_ms = NULL, crashes = 0 WHERE key = ?1",
            )?
            .execute([key.0])
            .map(drop)
    }

    /// Returns the key of the newest message.
    pub(super) fn last_key(&self) -> rusqlite::Result<Option<MessageKey>> {
        let key: Option<i64> =
            self.connection
                .query_row("SELECT max(key) FROM message", [], |row| row.get(0))?;
        Ok(key.map(MessageKey))
    }

    pub(super) fn begin(&self) -> rusqlite::Result<()> {
        self.execute("BEGIN IMMEDIATE")
    }

    pub(super) fn commit(&self) -> rusqlite::Result<()> {
        self.execute("COMMIT")
    }

    pub(super) fn roll_back(&self) -> rusqlite::Result<()> {
        if self.connection.is_autocommit() {
            Ok(())
        } else {
            self.execute("ROLLBACK")
        }
    }

    fn execute(&self, statement: &'static str) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(statement)?
            .execute([])
            .map(drop)
    }

    pub(super) fn add(
        &self,
        key: MessageKey,
        queue: QueueId,
        message: &Outgoing,
        sent_at_ms: u64,
        visible_at_ms: u64,
    ) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO message (key, queue, group_id, sent_at_ms, \
                 visible_at_ms, place) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                key.0,
                self.row(queue),
                message.group.as_deref(),
                sent_at_ms,
                visible_at_ms,
                message.subgroup.as_deref()
            ])?;
        self.connection
            .prepare_cached(
                "INSERT INTO content (key, body, attributes, trace_header) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                key.0,
                message.body,
                message.attributes,
                message.trace_header
            ])?;
        Ok(())
    }

    /// Counts a receive and reads the message.
    pub(super) fn receive(&self, key: MessageKey, now_ms: u64) -> rusqlite::Result<Content> {
        self.connection
            .prepare_cached(
                "UPDATE message SET receives = receives + 1, first_received_at_ms = coalesce(first_received_at_ms, ?2),
                    in_flight_since_ms = ?2 WHERE key = ?1",
            )?
            .execute(params![key.0, now_ms])?;
        self.connection
            .prepare_cached(
                "SELECT body, attributes, trace_header, first_received_at_ms, (SELECT name FROM queue WHERE row = message.source)
                 FROM message JOIN content USING (key) WHERE key = ?1",
            )?
            .query_row([key.0], |row| {
                Ok(Content {
                    body: row.get(0)?,
                    attributes: row.get(1)?,
                    trace_header: row.get(2)?,
                    first_received_at_ms: row.get(3)?,
                    source: row.get(4)?,
                })
            })
    }

    pub(super) fn delete(&self, key: MessageKey) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("DELETE FROM message WHERE key = ?1")?
            .execute([key.0])?;
        self.connection
            .prepare_cached("DELETE FROM content WHERE key = ?1")?
            .execute([key.0])?;
        Ok(())
    }

    /// Moves a message to its dead-letter queue.
    pub(super) fn redrive(
        &self,
        key: MessageKey,
        from: QueueId,
        to: QueueId,
        visible_at_ms: u64,
    ) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE message SET queue = ?2, source = ?3, visible_at_ms = ?4, \
                 in_flight_since_ms = NULL, crashes = 0 WHERE key = ?1",
            )?
            .execute(params![key.0, self.row(to), self.row(from), visible_at_ms])
            .map(drop)
    }

    pub(super) fn purge(&self, queue: QueueId) -> rusqlite::Result<()> {
        let row = self.row(queue);
        self.connection
            .prepare_cached(
                "DELETE FROM content WHERE key IN (SELECT key FROM message WHERE queue = ?1)",
            )?
            .execute([row])?;
        self.connection
            .prepare_cached("DELETE FROM message WHERE queue = ?1")?
            .execute([row])
            .map(drop)
    }

    /// Writes everything to the file and closes it. Messages still in flight were interrupted and
    /// did not kill the process.
    pub(super) fn close(self) -> rusqlite::Result<()> {
        self.execute(
            "UPDATE message SET in_flight_since_ms = NULL WHERE in_flight_since_ms IS NOT NULL",
        )?;
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .optional()?;
        self.connection.close().map_err(|(_, error)| error)
    }

    fn row(&self, queue: QueueId) -> i64 {
        self.rows[queue.0]
    }
}

/// `synchronous = NORMAL` with a write-ahead log loses nothing when the process is killed.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")
}

fn create(connection: &Connection, directory: &Directory) -> rusqlite::Result<Vec<i64>> {
    connection.execute_batch(SCHEMA)?;
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    directory
        .iter()
        .map(|(_, queue)| {
            connection.execute(
                "INSERT INTO queue (name) VALUES (?1) ON CONFLICT DO NOTHING",
                [&queue.spec.name],
            )?;
            connection.query_row(
                "SELECT row FROM queue WHERE name = ?1",
                [&queue.spec.name],
                |row| row.get(0),
            )
        })
        .collect()
}
