//! Amazon DynamoDB, embedded: `dynoxide` on an SQLite file.
//!
//! A **request** is decoded once into the engine's typed form, names its **targets** for the policy, and **runs** on the engine's own
//! thread: SQLite blocks, and on a worker of the runtime it would starve everything else there. Every request is run asking for
//! consumed capacity by index, which the observers get; the caller gets what it asked for.

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

/// What the engine answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) consumed: Vec<Consumed>,
}

impl Answer {
    fn closed() -> Self {
        Self::refusal(&DynoxideError::InternalServerError("the embedded DynamoDB has been closed".into()))
    }

    fn refusal(error: &DynoxideError) -> Self {
        Self { status: error.status_code(), body: error.to_json().into_bytes(), consumed: Vec::new() }
    }
}

/// Where the tables are kept.
pub(crate) enum Place<'a> {
    File(&'a Path),
    /// Gone with the process; expiry goes by the given clock.
    Memory(NowMs),
}

/// The tables.
pub(crate) struct DynamoDb {
    database: Database,
    thread: Option<EngineThread>,
    closed: AtomicBool,
}

impl DynamoDb {
    /// Opens the database and creates what `tables` names and it lacks.
    pub(crate) fn open(place: Place<'_>, tables: &[TableSpec], mode: Mode) -> Result<Self, DynoxideError> {
        let database = match place {
            Place::File(path) => {
                let database = Database::new(&path.to_string_lossy())?;
                // dynoxide opens with synchronous=FULL, an fsync for each write. In WAL mode NORMAL loses nothing when the process
                // dies, only the last moments when the machine does, and this pair of calls is its way to set it.
                database.enable_bulk_loading()?;
                database.disable_bulk_loading()?;
                database
            }
            Place::Memory(now) => Database::memory_with_clock(Arc::new(EngineClock(now)))?,
        };
        for table in tables {
            schema::ensure(&database, table)?;
        }
        let thread = match mode {
            Mode::Thread => Some(EngineThread::start(database.clone())),
            Mode::Inline => None,
        };
        Ok(Self { database, thread, closed: AtomicBool::new(false) })
    }

    /// Runs one request.
    pub(crate) async fn run(&self, request: Request) -> Answer {
        match &self.thread {
            _ if self.closed.load(Ordering::Acquire) => Answer::closed(),
            Some(thread) => thread.run(request).await,
            None => request.run(&self.database),
        }
    }

    /// Deletes what has expired, giving way to requests between pages. Returns how many items went.
    pub(crate) async fn sweep(&self) -> usize {
        let database = self.database.clone();
        let swept = if self.thread.is_some() {
            tokio::task::spawn_blocking(move || database.sweep_ttl()).await.unwrap_or(Ok(0))
        } else {
            database.sweep_ttl()
        };
        swept.unwrap_or_else(|error| {
            tracing::warn!(%error, "expired items could not be swept");
            0
        })
    }

    /// Runs what was given to the engine's thread, then writes the log back into the file.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.stop();
        }
        if let Err(error) = self.checkpoint() {
            tracing::warn!(%error, "the tables' log stays beside their file");
        }
    }

    fn checkpoint(&self) -> Result<(), DynoxideError> {
        if let Some(path) = self.database.db_path()? {
            rusqlite::Connection::open(path)?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        Ok(())
    }
}

struct EngineClock(NowMs);

impl dynoxide::storage_backend::Clock for EngineClock {
    fn now_unix_secs(&self) -> u64 {
        (self.0)() / 1000
    }

    #[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit a double's 53 bits")]
    fn now_unix_secs_f64(&self) -> f64 {
        (self.0)() as f64 / 1000.0
    }
}
