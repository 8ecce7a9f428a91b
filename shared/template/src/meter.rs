//! Limits the work of a render.
//!
//! MiniJinja's fuel charges for instructions and for the bytes that they produce, but not for what
//! an instruction reads: comparing two large lists costs as much as comparing two numbers. The
//! [`Meter`] charges for that before it is done, and checks the render's [`Stop`] each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use minijinja::{Error, ErrorKind};

/// The cost of every call of the meter: about that of an operation without what it reads.
const CALL_COST: u64 = 1500;

/// Ends a render from outside. All clones are the same switch. A render that finds it set ends with
/// [`RenderError::Stopped`](crate::RenderError::Stopped) at its next operation.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the renders that hold a clone of this.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the switch was set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The work that one render may still do, roughly in nanoseconds of an unoptimised build.
#[derive(Debug)]
pub(crate) struct Meter {
    work_max: u64,
    work_left: AtomicU64,
    output_left: AtomicU64,
    made_left: AtomicU64,
    stop: Stop,
}

impl Meter {
    /// Creates a meter. `output_bytes_max` is the longest output; captured blocks and intermediate
    /// texts may be a few times as long.
    pub(crate) fn new(work_max: u64, output_bytes_max: usize, stop: Stop) -> Self {
        let output = output_bytes_max as u64;
        let (work_left, output_left) = (AtomicU64::new(work_max), AtomicU64::new(output * 4));
        Self {
            work_max,
            work_left,
            output_left,
            made_left: AtomicU64::new(output * 16),
            stop,
        }
    }

    /// Charges for an operation that reads `work`.
    pub(crate) fn pay(&self, work: u64) -> Result<(), Error> {
        if self.stop.is_set() {
            return Err(Error::new(ErrorKind::OutOfFuel, "the render was stopped"));
        }
        take(&self.work_left, work.saturating_add(CALL_COST))
    }

    /// Charges for bytes that are written to the output or to a captured block.
    pub(crate) fn write(&self, bytes: usize) -> Result<(), Error> {
        self.pay(bytes as u64)?;
        take(&self.output_left, bytes as u64)
    }

    /// Charges for a text that an operation has created.
    pub(crate) fn make(&self, bytes: usize) -> Result<(), Error> {
        take(&self.made_left, bytes as u64)
    }

    /// Whether the render has to end, for code that cannot return an error.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.is_set()
    }

    /// Whether more was charged than was left.
    pub(crate) fn is_exhausted(&self) -> bool {
        [&self.work_left, &self.output_left, &self.made_left]
            .iter()
            .any(|left| left.load(Ordering::Relaxed) == 0)
    }

    /// Whether the render did so much work that its template, and not the machine, took the time.
    pub(crate) fn exceeded_work_limit(&self) -> bool {
        self.work_max - self.work_left.load(Ordering::Relaxed) > self.work_max / 8
    }
}

fn take(left: &AtomicU64, amount: u64) -> Result<(), Error> {
    let before = left.load(Ordering::Relaxed);
    left.store(before.saturating_sub(amount), Ordering::Relaxed);
    if before < amount {
        Err(Error::new(
            ErrorKind::OutOfFuel,
            "the template does too much",
        ))
    } else {
        Ok(())
    }
}
