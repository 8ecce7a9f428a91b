//! What a render may still cost.
//!
//! MiniJinja's fuel pays for instructions and for the bytes they make. It does not pay for what an instruction reads: a
//! comparison of two large lists costs as much as one of two numbers. The [`Meter`] pays for that, before it is done, and
//! looks at the render's [`Stop`] each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use minijinja::{Error, ErrorKind};

/// Any call into the meter: about what an operation costs besides what it reads.
const CALL_COST: u64 = 1500;

/// Ends a render from outside. Every clone is the same switch; a render that sees it set ends with
/// [`RenderError::Stopped`](crate::RenderError::Stopped) at its next operation.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the renders that hold a clone of this.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The work that one render may still do, in nanoseconds of an unoptimised build, roughly.
#[derive(Debug)]
pub(crate) struct Meter {
    work_max: u64,
    work_left: AtomicU64,
    output_left: AtomicU64,
    made_left: AtomicU64,
    stop: Stop,
}

impl Meter {
    /// `output_bytes_max`: the longest output. Captured blocks and texts on the way to it may be a few times as long.
    pub(crate) fn new(work_max: u64, output_bytes_max: usize, stop: Stop) -> Self {
        let output = output_bytes_max as u64;
        let (work_left, output_left) = (AtomicU64::new(work_max), AtomicU64::new(output * 4));
        Self { work_max, work_left, output_left, made_left: AtomicU64::new(output * 16), stop }
    }

    /// Pays for an operation that reads as much as `work` says.
    pub(crate) fn pay(&self, work: u64) -> Result<(), Error> {
        if self.stop.is_set() {
            return Err(Error::new(ErrorKind::OutOfFuel, "the time is over"));
        }
        take(&self.work_left, work.saturating_add(CALL_COST))
    }

    /// Pays for bytes that are written, whether into the output or into a captured block.
    pub(crate) fn write(&self, bytes: usize) -> Result<(), Error> {
        self.pay(bytes as u64)?;
        take(&self.output_left, bytes as u64)
    }

    /// Pays for a text of so many bytes that an operation has made.
    pub(crate) fn make(&self, bytes: usize) -> Result<(), Error> {
        take(&self.made_left, bytes as u64)
    }

    /// Whether the render has to end, for code that cannot return an error.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.is_set()
    }

    /// Whether more was asked for than there was.
    pub(crate) fn is_exhausted(&self) -> bool {
        [&self.work_left, &self.output_left, &self.made_left].iter().any(|left| left.load(Ordering::Relaxed) == 0)
    }

    /// Whether the render did so much that its template, and not the machine, is what took the time.
    pub(crate) fn worked_hard(&self) -> bool {
        self.work_max - self.work_left.load(Ordering::Relaxed) > self.work_max / 8
    }
}

fn take(left: &AtomicU64, amount: u64) -> Result<(), Error> {
    let before = left.load(Ordering::Relaxed);
    left.store(before.saturating_sub(amount), Ordering::Relaxed);
    if before < amount { Err(Error::new(ErrorKind::OutOfFuel, "the template does too much")) } else { Ok(()) }
}
