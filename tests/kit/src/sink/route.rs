//! A receiver of a sink: its script and its requests.

use super::{Received, Reply, server::Shared};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// Longer than any test waits.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// The receiver at one path, or at every path without a script of its own.
#[derive(Clone)]
pub struct Route {
    shared: Arc<Shared>,
    origin: String,
    path: Option<String>,
}

impl Route {
    pub(super) fn new(shared: Arc<Shared>, origin: String, path: Option<String>) -> Self {
        Self {
            shared,
            origin,
            path,
        }
    }

    pub(super) fn at(&self, path: &str) -> Self {
        assert!(path.starts_with('/'), "a path begins with a slash: {path}");
        Self::new(
            Arc::clone(&self.shared),
            self.origin.clone(),
            Some(path.to_owned()),
        )
    }

    /// Returns the URL of the receiver.
    pub fn url(&self) -> String {
        format!("{}{}", self.origin, self.path.as_deref().unwrap_or("/"))
    }

    /// Responds with these statuses in turn; the last one repeats.
    pub fn answers(&self, statuses: impl IntoIterator<Item = u16>) -> &Self {
        self.replies(statuses.into_iter().map(Reply::status))
    }

    /// Responds with this status, these headers and this body.
    pub fn answers_with(
        &self,
        status: u16,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> &Self {
        let reply = Reply::status(status).body(body);
        self.replies([headers
            .iter()
            .fold(reply, |reply, (name, value)| reply.header(name, value))])
    }

    /// Responds with these replies in turn; the last one repeats.
    pub fn replies(&self, replies: impl IntoIterator<Item = Reply>) -> &Self {
        self.shared
            .set_replies(self.path.as_deref(), replies.into_iter().collect());
        self
    }

    /// Waits before each response, whatever the script says.
    pub fn delays(&self, delay: Duration) -> &Self {
        self.shared.set_delay(self.path.as_deref(), delay);
        self
    }

    /// Accepts requests and never responds.
    pub fn hangs(&self) -> &Self {
        self.delays(NEVER)
    }

    /// Responds with 200 and a body of `bytes` bytes, sent one at a time.
    pub fn drips(&self, bytes: usize, every: Duration) -> &Self {
        self.replies([Reply::drip(bytes, every)])
    }

    /// Responds with 200 and an endless body.
    pub fn never_ends(&self) -> &Self {
        self.replies([Reply::endless()])
    }

    /// Accepts requests and closes the connection.
    pub fn drops(&self) -> &Self {
        self.replies([Reply::drop()])
    }

    /// Responds with a redirect (302).
    pub fn redirects_to(&self, url: &str) -> &Self {
        self.replies([Reply::redirect(url)])
    }

    /// Returns the requests so far, oldest first.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.received(self.path.as_deref())
    }

    /// Returns how many requests arrived so far.
    pub fn count(&self) -> usize {
        self.shared.count(self.path.as_deref())
    }

    /// Removes the requests so far.
    pub fn forget(&self) {
        self.shared.forget(self.path.as_deref());
    }

    /// Waits until this many requests have arrived and returns all of them. Panics if they do not
    /// arrive in time.
    pub async fn wait_for(&self, requests: usize, timeout: Duration) -> Vec<Received> {
        let deadline = Instant::now() + timeout;
        loop {
            let arrival = self.shared.arrival();
            let count = self.count();
            if count >= requests {
                return self.requests();
            }
            assert!(
                timeout_at(deadline, arrival).await.is_ok(),
                "{} got {count} of {requests} requests within {timeout:?}",
                self.url()
            );
        }
    }
}
