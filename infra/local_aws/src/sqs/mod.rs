//! Amazon SQS, embedded: standard queues with fair queueing, durable in one SQLite file.
//!
//! The cast and their verbs:
//!
//! - [`Sqs`] **answers** calls in the service's own JSON: it reads a request (`wire`), checks it (`limits`, `attributes`), asks the engine, and says
//!   no in the service's words (`refusal`).
//! - The **host** runs the engine on a thread of its own and puts the calls that come in together into one transaction, or runs it inline.
//! - The **engine** sends, receives, hides, deletes and redrives messages. It **records** them in the `ledger` (SQLite) and **lines** them up in the
//!   `lanes` (memory): tenant by tenant, the one with the fewest messages at work first.
//! - A **long poll** sleeps until its queue's bell **rings** (a message came, or one will become visible earlier than known), its next message becomes
//!   visible, or its time is up.
//!
//! What a restart forgets, on purpose: messages in flight become visible again. Their receive counts stay. After a crash they are
//! **suspects**: one of them may have caused it.

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
    /// SQLite refused the file.
    #[error("cannot open the queue file {}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// A newer program wrote the file.
    #[error("the queue file {} has version {found}; this program knows {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The file's version.
        found: i64,
        /// The newest version this program reads.
        known: i64,
    },
    /// A redrive policy names a queue that is not declared.
    #[error("queue {name} sends dead letters to {dead_letter_queue}, which does not exist")]
    NoDeadLetterQueue {
        /// The queue with the policy.
        name: String,
        /// The queue it names.
        dead_letter_queue: String,
    },
    /// Two queues have one name.
    #[error("queue {name} is declared twice")]
    DuplicateQueue {
        /// The name.
        name: String,
    },
    /// The engine's thread did not start.
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
        f.debug_struct("Sqs").field("queues", &self.directory.by_name().map(|(name, _)| name).collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

impl Sqs {
    /// Opens the queues in a file, or in memory (`:memory:`). Messages that were in flight when the file was last used are visible.
    pub fn open(path: &Path, queues: &[QueueSpec], account: &str, region: &str, clock: NowMs, mode: Mode) -> Result<Self, OpenError> {
        let directory = Arc::new(Directory::new(queues, account, region, clock())?);
        let engine = Engine::open(path, Arc::clone(&directory), clock)?;
        let host = Arc::new(Host::new(mode, engine).map_err(OpenError::Thread)?);
        Ok(Self { directory, host })
    }

    /// Answers one call: an operation's name (`SendMessage`) and its request in AWS JSON 1.0.
    pub async fn call(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, ServiceError> {
        Ok(self.answer(operation, body).await?)
    }

    /// A queue's URL, as `GetQueueUrl` gives it.
    pub fn queue_url(&self, name: &str) -> Option<&str> {
        self.directory.named(name).map(|id| self.directory.get(id).url.as_str())
    }

    /// A queue's ARN.
    pub fn queue_arn(&self, name: &str) -> Option<&str> {
        self.directory.named(name).map(|id| self.directory.get(id).arn.as_str())
    }

    /// The age of a queue's oldest message (CloudWatch's `ApproximateAgeOfOldestMessage`); `None` when it is empty.
    pub async fn oldest_message_age_ms(&self, name: &str) -> Result<Option<u64>, ServiceError> {
        let queue = self.directory.named(name).ok_or(Refusal::QueueDoesNotExist)?;
        Ok(self.host.run(move |engine| engine.oldest_age_ms(queue)).await?)
    }

    /// Caps what one tenant of a queue, and one place within a tenant, may have at work at once. Until then there is no cap.
    pub async fn divide(&self, name: &str, share: Share) -> Result<(), ServiceError> {
        let queue = self.directory.named(name).ok_or(Refusal::QueueDoesNotExist)?;
        let divide = move |engine: &mut Engine| {
            engine.divide(queue, share);
            Ok(())
        };
        Ok(self.host.run(divide).await?)
    }

    /// The bodies of all messages that were in flight when a process died and that no receiver has survived since.
    pub async fn interrupted(&self) -> Result<Vec<String>, ServiceError> {
        Ok(self.host.run(|engine| engine.interrupted()).await?)
    }

    /// Finishes what was called before, writes everything into the file and closes it. Later calls are refused.
    pub async fn close(&self) -> Result<(), ServiceError> {
        let closed = self.host.close().await;
        for (_, queue) in self.directory.iter() {
            queue.bell.notify_waiters();
        }
        Ok(closed?)
    }
}
