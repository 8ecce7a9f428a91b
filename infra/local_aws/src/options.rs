//! Where engines run, whose time they go by, and what outlives them.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The engines' clock: milliseconds since the Unix epoch.
pub type NowMs = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Where the SQLite engines run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// On threads of their own: SQLite's blocking calls never hold up the runtime's workers.
    Thread,
    /// On the calling task, for simulations under a paused clock, which would jump while another thread works.
    Inline,
}

/// What becomes of the data when the engines close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It stays in the data directory and survives a killed process.
    Disk,
    /// Tables and queues are gone with the engines; objects, keys and secrets still go to the data directory.
    Memory,
}

/// How to run the engines.
#[derive(Clone)]
pub struct Options {
    /// On threads or inline.
    pub mode: Mode,
    /// On disk or in memory.
    pub durability: Durability,
    /// The clock of queues, expiry and signatures.
    pub now: NowMs,
}

impl Options {
    /// What local mode uses: threads, files, the machine's clock.
    pub fn local() -> Self {
        Self { mode: Mode::Thread, durability: Durability::Disk, now: Arc::new(machine_clock) }
    }

    /// What a simulation uses: inline, in memory, its own clock.
    pub fn simulated(now: NowMs) -> Self {
        Self { mode: Mode::Inline, durability: Durability::Memory, now }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("mode", &self.mode).field("durability", &self.durability).finish_non_exhaustive()
    }
}

#[allow(clippy::disallowed_methods, reason = "the default that callers replace to govern time")]
fn machine_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
