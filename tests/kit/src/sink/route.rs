//! A receiver that a sink plays: what to tell it, and what to ask it.

use super::{Received, Reply, server::Shared};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// Longer than anybody waits.
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
        Self { shared, origin, path }
    }

    pub(super) fn at(&self, path: &str) -> Self {
        assert!(path.starts_with('/'), "a path begins with a slash: {path}");
        Self::new(Arc::clone(&self.shared), self.origin.clone(), Some(path.to_owned()))
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("{}{}", self.origin, self.path.as_deref().unwrap_or("/"))
    }

    /// Answers with these statuses in turn; the last one repeats.
    pub fn answers(&self, statuses: impl IntoIterator<Item = u16>) -> &Self {
        self.replies(statuses.into_iter().map(Reply::status))
    }

    /// Answers with this status, these headers and this body.
    pub fn answers_with(&self, status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> &Self {
        let reply = Reply::status(status).body(body);
        self.replies([headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value))])
    }

    /// Follows a script of any replies; the last one repeats.
    pub fn replies(&self, replies: impl IntoIterator<Item = Reply>) -> &Self {
        self.shared.set_replies(self.path.as_deref(), replies.into_iter().collect());
        self
    }

    /// Waits so long before it answers, whatever the script says.
    pub fn delays(&self, delay: Duration) -> &Self {
        self.shared.set_delay(self.path.as_deref(), delay);
        self
    }

    /// Takes the request and never answers.
    pub fn hangs(&self) -> &Self {
        self.delays(NEVER)
    }

    /// Answers 200 with a body of so many bytes, one at a time.
    pub fn drips(&self, bytes: usize, every: Duration) -> &Self {
        self.replies([Reply::drip(bytes, every)])
    }

    /// Answers 200 with a body that never ends.
    pub fn never_ends(&self) -> &Self {
        self.replies([Reply::endless()])
    }

    /// Takes the request and closes the connection.
    pub fn drops(&self) -> &Self {
        self.replies([Reply::drop()])
    }

    /// Answers 302.
    pub fn redirects_to(&self, url: &str) -> &Self {
        self.replies([Reply::redirect(url)])
    }

    /// What arrived so far, oldest first.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.received(self.path.as_deref())
    }

    /// How many requests arrived so far.
    pub fn count(&self) -> usize {
        self.shared.count(self.path.as_deref())
    }

    /// Forgets what arrived so far.
    pub fn forget(&self) {
        self.shared.forget(self.path.as_deref());
    }

    /// Waits until so many requests have arrived and returns all that have. Panics when they do not come.
    pub async fn wait_for(&self, requests: usize, timeout: Duration) -> Vec<Received> {
        let deadline = Instant::now() + timeout;
        loop {
            let arrival = self.shared.arrival();
            let count = self.count();
            if count >= requests {
                return self.requests();
            }
            assert!(timeout_at(deadline, arrival).await.is_ok(), "{} got {count} of {requests} requests within {timeout:?}", self.url());
        }
    }
}
