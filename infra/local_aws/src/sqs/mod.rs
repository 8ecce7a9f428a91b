//! Amazon SQS, embedded: standard queues with fair queueing, durable in one SQLite file.
//!
//! - [`Sqs`] handles calls in the service's JSON: it parses a request (`wire`), checks it
//!   (`limits`, `attributes`), calls the engine, and refuses in the service's words (`refusal`).
//! - The host runs the engine on its own thread and combines concurrent calls into one transaction,
//!   or runs it inline.
//! - The engine sends, receives, hides, deletes and redrives messages. It stores them in the
//!   `ledger` (SQLite) and orders them in the `lanes` (memory): by tenant, the one with the fewest
//!   messages in flight first.
//! - A long poll sleeps until its queue notifies it (a message came, or one becomes visible earlier
//!   than expected), its next message becomes visible, or its time is up.
//!
//! After a restart, messages that were in flight are visible again, with their receive counts.
//! After a crash they are suspects: one of them may have caused it.

mod answer;
mod attributes;
mod engine;
mod host;
mod lanes;
mod ledger;
mod limits;
mod receipt;
mod refusal;
mod send;
mod spec;
mod suspects;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Mode, NowMs, ServiceError};
use engine::Engine;
use host::Host;
use refusal::Refusal;
use spec::{Directory, QueueId};

pub use lanes::Share;
pub use refusal::query_error;
pub use spec::{QueueSpec, Redrive};

/// Why the queues cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite could not open the file.
    #[error("cannot open the queue file {}", path.display())]
    Sqlite {
        /// The path of the file.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// A newer version wrote the file.
    #[error("the queue file {} has version {found}; this program knows {known}", path.display())]
    Newer {
        /// The path of the file.
        path: PathBuf,
        /// The version of the file.
        found: i64,
        /// The newest version that this program reads.
        known: i64,
    },
    /// A redrive policy names a queue that is not declared.
    #[error("queue {name} sends dead letters to {dead_letter_queue}, which does not exist")]
    NoDeadLetterQueue {
        /// The queue with the policy.
        name: String,
        /// The queue that the policy names.
        dead_letter_queue: String,
    },
    /// Two queues have the same name.
    #[error("queue {name} is declared twice")]
    DuplicateQueue {
        /// The name of both queues.
        name: String,
    },
    /// The thread of the engine did not start.
    #[error("cannot start the queue engine's thread")]
    Thread(#[source] std::io::Error),
}

/// The queues of one account and region. Clones share the engine.
#[derive(Clone)]
pub struct Sqs {
    directory: Arc<Directory>,
    host: Arc<Host>,
}

impl std::fmt::Debug for Sqs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sqs")
            .field(
                "queues",
                &self
                    .directory
                    .by_name()
                    .map(|(name, _)| name)
                    .collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

impl Sqs {
    /// Opens the queues in a file, or in memory (`:memory:`). Messages that were in flight when the
    /// file was last used are visible.
    pub fn open(
        path: &Path,
        queues: &[QueueSpec],
        account: &str,
        region: &str,
        clock: NowMs,
        mode: Mode,
    ) -> Result<Self, OpenError> {
        let directory = Arc::new(Directory::new(queues, account, region, clock())?);
        let engine = Engine::open(path, Arc::clone(&directory), clock)?;
        let host = Arc::new(Host::new(mode, engine).map_err(OpenError::Thread)?);
        Ok(Self { directory, host })
    }

    /// Handles a call: the name of an operation (`SendMessage`) and its request in AWS JSON 1.0.
    pub async fn call(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, ServiceError> {
        Ok(self.answer(operation, body).await?)
    }

    /// Returns the URL of a queue, as `GetQueueUrl` does.
    pub fn queue_url(&self, name: &str) -> Option<&str> {
        self.directory
            .named(name)
            .map(|id| self.directory.get(id).url.as_str())
    }

    /// Returns the ARN of a queue.
    pub fn queue_arn(&self, name: &str) -> Option<&str> {
        self.directory
            .named(name)
            .map(|id| self.directory.get(id).arn.as_str())
    }

    /// Returns the age of the oldest message of a queue (CloudWatch's
    /// `ApproximateAgeOfOldestMessage`); `None` if it is empty.
    pub async fn oldest_message_age_ms(&self, name: &str) -> Result<Option<u64>, ServiceError> {
        let queue = self
            .directory
            .named(name)
            .ok_or(Refusal::QueueDoesNotExist)?;
        Ok(self
            .host
            .run(move |engine| engine.oldest_age_ms(queue))
            .await?)
    }

    /// Limits how many messages of one tenant of a queue, and of one subgroup within a tenant, may
    /// be processed at once. By default there is no limit.
    pub async fn limit_shares(&self, name: &str, share: Share) -> Result<(), ServiceError> {
        let queue = self
            .directory
            .named(name)
            .ok_or(Refusal::QueueDoesNotExist)?;
        let limit_shares = move |engine: &mut Engine| {
            engine.limit_shares(queue, share);
            Ok(())
        };
        Ok(self.host.run(limit_shares).await?)
    }

    /// Returns the bodies of all messages that were in flight when a process died and that no
    /// receiver has returned since.
    pub async fn interrupted(&self) -> Result<Vec<String>, ServiceError> {
        Ok(self.host.run(|engine| engine.interrupted()).await?)
    }

    /// Finishes the calls before this one, writes everything to the file and closes it. Later calls
    /// are refused.
    pub async fn close(&self) -> Result<(), ServiceError> {
        let closed = self.host.close().await;
        for (_, queue) in self.directory.iter() {
            queue.bell.notify_waiters();
        }
        Ok(closed?)
    }
}
