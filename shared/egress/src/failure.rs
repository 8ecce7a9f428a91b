//! What goes wrong between asking for a connection and reading the answer's status line.

use std::{error::Error, fmt, sync::Arc};
use strum::IntoStaticStr;

/// The category of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum FailureKind {
    /// The name does not resolve.
    Dns,
    /// Nobody accepts the connection.
    Connect,
    /// The handshake fails or the certificate is not valid for the name.
    Tls,
    /// The server does not take our certificate, or misses one.
    #[strum(serialize = "authentication")]
    Identity,
    /// The deadline passed first.
    Timeout,
    /// The connection was closed without an answer, or the answer is not HTTP.
    Protocol,
    /// The address, or one that the name resolves to, may not be connected to.
    #[strum(serialize = "blocked_address")]
    Blocked,
}

impl FailureKind {
    /// The category's name in the contract.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A failure on the way out. `Display` is one sentence for the destination's owner: it names no address that a name resolves to when
/// that address is blocked, so that nobody learns our inner network from it.
#[derive(Debug, Clone)]
pub struct Failure {
    kind: FailureKind,
    detail: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), source: None }
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// A deadline that passed before a request was made.
    pub fn timed_out(detail: impl Into<String>) -> Self {
        Self::new(FailureKind::Timeout, detail)
    }

    /// The category.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The sentence for the destination's owner.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.detail)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}
