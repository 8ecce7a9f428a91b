//! The interface between a function and what runs it: Lambda or the local runner.
//!
//! A runner makes an [`Environment`] and a [`Platform`] (AWS, clock, randomness, shutdown) and
//! passes both to a function's `build`, which returns a service. [`serve`] is the runner on Lambda;
//! the `main` of each function calls it and nothing else. Only this crate reads the process
//! environment, the system's clock and the system's randomness.

pub mod environment;
pub mod logs;
pub mod observability;
pub mod observed;
pub mod platform;
pub mod serve;

pub use environment::{ConfigError, Environment, Variables};
pub use platform::Platform;

/// The allocator of every program: a delivery makes hundreds of small allocations, many of which
/// another thread frees.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
