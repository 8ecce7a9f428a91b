//! Options of the engines: threads, clock and durability.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The engines' clock: milliseconds since the Unix epoch.
pub type NowMs = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Where the SQLite engines run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// On threads of their own, so that SQLite's blocking calls do not block the runtime.
    Thread,
    /// On the calling task, for simulations with a paused clock, which would advance while another
    /// thread works.
    Inline,
}

/// What happens to the data when the engines close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The data stays in the data directory and survives a killed process.
    Disk,
    /// Tables and queues are dropped with the engines; objects, keys and secrets are still stored
    /// in the data directory.
    Memory,
}

/// How to run the engines.
#[derive(Clone)]
pub struct Options {
    /// Whether the engines run on threads or inline.
    pub mode: Mode,
    /// Whether the data is on disk or in memory.
    pub durability: Durability,
    /// The clock for queues, expiry and signatures.
    pub now: NowMs,
}

impl Options {
    /// The options of local mode: threads, files and the machine's clock.
    pub fn local() -> Self {
        Self {
            mode: Mode::Thread,
            durability: Durability::Disk,
            now: Arc::new(machine_clock),
        }
    }

    /// The options of a simulation: inline, in memory, with its own clock.
    pub fn simulated(now: NowMs) -> Self {
        Self {
            mode: Mode::Inline,
            durability: Durability::Memory,
            now,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("mode", &self.mode)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the default that callers replace to govern time"
)]
fn machine_clock() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
