//! Tasks and the queues that carry them.
//!
//! **Dispatch** sends a [`Task`] for each delivery through [`Queues`], and a worker receives
//! batches of them as [`Received`]. The worker **holds** a task until its time, **sends it again**,
//! or **buries** a body that cannot be parsed. A task names a delivery and the generation for which
//! it was sent. The delivery's record is authoritative, and a task of an older generation is
//! ignored.

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
