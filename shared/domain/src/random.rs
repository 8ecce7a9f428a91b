//! The source of randomness, which is passed as a parameter.

use std::fmt;
use std::sync::Arc;

/// A source of random bytes: the operating system in production, and a seeded generator in
/// simulations.
#[derive(Clone)]
pub struct Random(Arc<Fill>);

/// A function that fills a buffer with random bytes.
type Fill = dyn Fn(&mut [u8]) + Send + Sync;

impl Random {
    /// Creates a source that fills buffers with `fill`.
    pub fn new(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// Returns `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.0)(&mut bytes);
        bytes
    }

    /// Returns a random number in [0, 1), which is used for the jitter of retries.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        let bits = u32::from_le_bytes(self.bytes());
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}
