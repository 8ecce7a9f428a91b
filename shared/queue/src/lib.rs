//! Tasks and the queues they travel in.
//!
//! **Dispatch** sends a [`Task`] for each delivery through [`Queues`]; a queue hands batches of them to its worker as [`Received`]; the worker
//! **holds** a task until its time, **sends it anew**, or **buries** what nobody can read. A task names a delivery and the generation it was
//! sent for; the delivery's record is the truth, and a task of an older generation means nothing any more.

mod error;
mod inbox;
mod jobs;
mod outbox;
mod task;

pub use error::QueueError;
pub use inbox::{Inbox, Received};
pub use jobs::{JobQueue, JobTask};
pub use outbox::{LONGEST_DELAY_SECONDS, Outgoing, Queues};
pub use task::{Task, UnreadableTask};
