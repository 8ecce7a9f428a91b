//! A cache of the parsed URLs of destinations.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use egress::{Refusal, Schemes, Target};
use lru::LruCache;

/// How many parsed URLs are cached. The least recently used one is evicted. Each takes about 300
/// bytes.
const CACHED_MAX: NonZeroUsize = NonZeroUsize::new(1_024).expect("it is not zero");

/// Parses the URLs of a worker's destinations. Parsing takes about a twentieth of an attempt's CPU
/// time, and most attempts go to a URL that was parsed before.
#[derive(Debug)]
pub(crate) struct Targets {
    schemes: Schemes,
    cache: Mutex<LruCache<String, Target>>,
}

impl Targets {
    pub(crate) fn new(schemes: Schemes) -> Self {
        Self {
            schemes,
            cache: Mutex::new(LruCache::new(CACHED_MAX)),
        }
    }

    /// Returns the cached target of a URL, or parses the URL and caches the result.
    pub(crate) fn of(&self, url: &str) -> Result<Target, Refusal> {
        if let Some(target) = self
            .cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(url)
        {
            return Ok(target.clone());
        }
        let target = self.parse(url)?;
        self.cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .put(url.to_owned(), target.clone());
        Ok(target)
    }

    /// Parses a URL without caching it, for URLs that are secrets.
    pub(crate) fn parse(&self, url: &str) -> Result<Target, Refusal> {
        Target::parse(url, self.schemes)
    }
}
