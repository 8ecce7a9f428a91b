//! Amazon DynamoDB, embedded: `dynoxide` on an SQLite file.
//!
//! A request is decoded once into the engine's type, names its targets for the policy, and runs on
//! the engine's own thread, because SQLite blocks and would starve other tasks on the runtime's
//! threads. Every request is run with consumed capacity by index for the observers; the caller
//! receives what it requested.

mod capacity;
mod partiql;
mod request;
mod schema;
mod thread;

pub(crate) use request::Request;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dynoxide::{Database, DynoxideError};

use crate::call::Consumed;
use crate::resources::TableSpec;
use crate::{Mode, NowMs};
use thread::EngineThread;

/// The response of the engine.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) consumed: Vec<Consumed>,
}

impl Answer {
    fn closed() -> Self {
        Self::refusal(&DynoxideError::InternalServerError(
            "the embedded DynamoDB has been closed".into(),
        ))
    }

    fn refusal(error: &DynoxideError) -> Self {
        Self {
            status: error.status_code(),
            body: error.to_json().into_bytes(),
            consumed: Vec::new(),
        }
    }
}

/// Where the tables are stored.
pub(crate) enum TableStorage<'a> {
    File(&'a Path),
    /// In memory, with items expiring by the given clock.
    Memory(NowMs),
}

/// The embedded DynamoDB, with all tables.
pub(crate) struct DynamoDb {
    database: Database,
    thread: Option<EngineThread>,
    closed: AtomicBool,
}

impl DynamoDb {
    /// Opens the database and creates the tables that it lacks.
    pub(crate) fn open(
        storage: TableStorage<'_>,
        tables: &[TableSpec],
        mode: Mode,
    ) -> Result<Self, DynoxideError> {
        let database = match storage {
            TableStorage::File(path) => {
                let database = Database::new(&path.to_string_lossy())?;
                // dynoxide opens with synchronous=FULL, an fsync for each write. In WAL mode,
                // NORMAL loses nothing if the process dies, and only the last moments if the
                // machine does. This pair of calls is dynoxide's way to set it.
                database.enable_bulk_loading()?;
                database.disable_bulk_loading()?;
                database
            }
            TableStorage::Memory(now) => Database::memory_with_clock(Arc::new(EngineClock(now)))?,
        };
        for table in tables {
            schema::ensure(&database, table)?;
        }
        let thread = match mode {
            Mode::Thread => Some(EngineThread::start(database.clone())),
            Mode::Inline => None,
        };
        Ok(Self {
            database,
            thread,
            closed: AtomicBool::new(false),
        })
    }

    /// Executes one request and returns its response.
    pub(crate) async fn run(&self, request: Request) -> Answer {
        match &self.thread {
            _ if self.closed.load(Ordering::Acquire) => Answer::closed(),
            Some(thread) => thread.run(request).await,
            None => request.run(&self.database),
        }
    }

    /// Deletes expired items, letting other requests run between pages. Returns how many were
    /// deleted.
    pub(crate) async fn sweep(&self) -> usize {
        let database = self.database.clone();
        let swept = if self.thread.is_some() {
            tokio::task::spawn_blocking(move || database.sweep_ttl())
                .await
                .unwrap_or(Ok(0))
        } else {
            database.sweep_ttl()
        };
        swept.unwrap_or_else(|error| {
            tracing::warn!(%error, "failed to delete expired items");
            0
        })
    }

    /// Finishes the requests of the engine's thread, then writes the log to the file.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.stop();
        }
        if let Err(error) = self.checkpoint() {
            tracing::warn!(%error, "failed to write the tables' log into their file");
        }
    }

    fn checkpoint(&self) -> Result<(), DynoxideError> {
        if let Some(path) = self.database.db_path()? {
            rusqlite::Connection::open(path)?.query_row(
                "PRAGMA wal_checkpoint(TRUNCATE)",
                [],
                |_| Ok(()),
            )?;
        }
        Ok(())
    }
}

struct EngineClock(NowMs);

impl dynoxide::storage_backend::Clock for EngineClock {
    fn now_unix_secs(&self) -> u64 {
        (self.0)() / 1000
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 fit a double's 53 bits"
    )]
    fn now_unix_secs_f64(&self) -> f64 {
        (self.0)() as f64 / 1000.0
    }
}
