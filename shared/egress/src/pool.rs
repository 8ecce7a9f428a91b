//! Kept connections, separate for each organization and receiver.
//!
//! A [`Route`] goes from one organization to one receiver and has a reqwest client of its own, so
//! that it can be dropped alone: when a time-out suggests that its connections are broken, and when
//! it has reached its maximum age. Requests in progress on a dropped route end normally.

use crate::{Host, connecting::CheckedAddress, connecting::ConnectingLayer, traffic::Traffic};
use lru::LruCache;
use reqwest::ClientBuilder;
use rustls::ClientConfig;
use std::{
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How many routes are kept. The least recently used one is evicted.
const ROUTES_MAX: NonZeroUsize = NonZeroUsize::new(1_024).expect("it is not zero");
/// The maximum age of a route, and so of a connection. Together with `POSITIVE_TTL_MAX` of the
/// resolver, a receiver that moved is found within five minutes.
const ROUTE_AGE_MAX: Duration = Duration::from_secs(240);
/// How long an idle connection is kept. It is shorter than the five seconds of common servers, so
/// that few are closed by the receiver while a request is written. It also drops connections from
/// before a freeze of the Lambda function.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// How many idle connections are kept for each route: a batch of ten, and some more.
const IDLE_PER_ROUTE_MAX: usize = 16;
/// How many headers an HTTP/1.1 answer may have. The library allocates room for all of them while
/// it reads the head of an answer, which may have at most 400 KiB.
const HEADERS_MAX: usize = 1_024;
/// The size of the headers of an HTTP/2 answer, as the protocol counts them (RFC 9113, section
/// 6.5.2).
const HTTP_2_HEAD_BYTES_MAX: u32 = 512 * 1024;

/// The organization and the receiver of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RouteKey {
    pub(crate) organization: Arc<str>,
    pub(crate) is_tls: bool,
    pub(crate) host: Host,
    pub(crate) port: u16,
}

/// The connections from one organization to one receiver.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) client: reqwest::Client,
    pub(crate) traffic: Traffic,
    number: u64,
    made_at: Instant,
}

/// The routes of a client.
pub(crate) struct Pool {
    tls: Arc<ClientConfig>,
    routes: Mutex<Routes>,
}

struct Routes {
    known: LruCache<RouteKey, Route>,
    made: u64,
}

impl Routes {
    fn add(&mut self, key: &RouteKey, client: reqwest::Client) -> Route {
        self.made += 1;
        let route = Route {
            client,
            traffic: Traffic::default(),
            number: self.made,
            made_at: Instant::now(),
        };
        self.known.put(key.clone(), route.clone());
        route
    }
}

impl Pool {
    pub(crate) fn new(tls: Arc<ClientConfig>) -> Self {
        Self {
            tls,
            routes: Mutex::new(Routes {
                known: LruCache::new(ROUTES_MAX),
                made: 0,
            }),
        }
    }

    /// Returns the kept route, or creates one.
    pub(crate) fn route(&self, key: &RouteKey) -> reqwest::Result<Route> {
        let mut routes = self.lock();
        if let Some(route) = routes.known.get(key)
            && route.made_at.elapsed() < ROUTE_AGE_MAX
        {
            return Ok(route.clone());
        }
        let route = routes.add(key, self.new_client()?);
        Ok(route)
    }

    /// Creates a client without connections.
    pub(crate) fn new_client(&self) -> reqwest::Result<reqwest::Client> {
        client(&self.tls)
    }

    /// Replaces a route's client by one that has just reached the receiver.
    pub(crate) fn replace(&self, key: &RouteKey, route: &Route, client: reqwest::Client) {
        let mut routes = self.lock();
        if routes
            .known
            .peek(key)
            .is_some_and(|known| known.number == route.number)
        {
            routes.add(key, client);
        }
    }

    /// Drops a route, so that no new request uses its connections.
    pub(crate) fn give_up(&self, key: &RouteKey, route: &Route) {
        let mut routes = self.lock();
        if routes
            .known
            .peek(key)
            .is_some_and(|known| known.number == route.number)
        {
            routes.known.pop(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Pool")
            .field("routes", &self.lock().known.len())
            .finish_non_exhaustive()
    }
}

fn client(tls: &ClientConfig) -> reqwest::Result<reqwest::Client> {
    builder(tls)
        .dns_resolver(CheckedAddress)
        .connector_layer(ConnectingLayer)
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_PER_ROUTE_MAX)
        .http1_max_headers(HEADERS_MAX)
        .http1_ignore_invalid_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http2_max_header_list_size(HTTP_2_HEAD_BYTES_MAX)
        // A receiver that reads nothing for a while may be busy. The time limit of the request
        // decides, not the 30 s of the library.
        .tcp_user_timeout(None)
        .build()
}

/// Returns a builder for clients without proxies, redirects and retries.
pub(crate) fn builder(tls: &ClientConfig) -> ClientBuilder {
    ClientBuilder::new()
        .tls_backend_preconfigured(tls.clone())
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
}
