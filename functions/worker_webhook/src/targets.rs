//! URLs of destinations, parsed.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use egress::{Refusal, Schemes, Target};
use lru::LruCache;

/// Parsed URLs that are kept; the one that was used longest ago makes room. Each takes about 300 bytes.
const KEPT_MAX: NonZeroUsize = NonZeroUsize::new(1_024).expect("it is not zero");

/// The URLs of a worker's destinations. Parsing one takes a twentieth of an attempt's CPU time, and the same ones come again and again.
#[derive(Debug)]
pub(crate) struct Targets {
    schemes: Schemes,
    kept: Mutex<LruCache<String, Target>>,
}

impl Targets {
    pub(crate) fn new(schemes: Schemes) -> Self {
        Self { schemes, kept: Mutex::new(LruCache::new(KEPT_MAX)) }
    }

    /// Parses a URL, or finds it among those that were parsed before.
    pub(crate) fn of(&self, url: &str) -> Result<Target, Refusal> {
        if let Some(target) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(url) {
            return Ok(target.clone());
        }
        let target = self.parse(url)?;
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).put(url.to_owned(), target.clone());
        Ok(target)
    }

    /// Parses a URL that is a secret, and does not keep it.
    pub(crate) fn parse(&self, url: &str) -> Result<Target, Refusal> {
        Target::parse(url, self.schemes)
    }
}
