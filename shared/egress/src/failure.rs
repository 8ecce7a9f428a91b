//! Failures between opening a connection and reading the answer's status line.

use std::{error::Error, fmt, sync::Arc};
use strum::IntoStaticStr;

/// The category of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum FailureKind {
    /// The name cannot be resolved.
    Dns,
    /// The connection is not accepted.
    Connect,
    /// The TLS handshake failed, or the certificate is not valid for the name.
    Tls,
    /// The server rejects the client certificate, or requires one.
    #[strum(serialize = "authentication")]
    Identity,
    /// The deadline passed before the answer.
    Timeout,
    /// The connection was closed without an answer, or the answer is not HTTP.
    Protocol,
    /// The address, or one that the name resolves to, is not permitted.
    #[strum(serialize = "blocked_address")]
    Blocked,
}

impl FailureKind {
    /// Returns the name of the category in the contract.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A failure of an outgoing connection. `Display` is one sentence for the destination's owner. It
/// does not contain blocked addresses that a name resolves to, so that it does not reveal the
/// internal network.
#[derive(Debug, Clone)]
pub struct Failure {
    kind: FailureKind,
    detail: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            source: None,
        }
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Creates the failure for a deadline that passed before a request was sent.
    pub fn timed_out(detail: impl Into<String>) -> Self {
        Self::new(FailureKind::Timeout, detail)
    }

    /// Returns the category of the failure.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// Returns the sentence for the destination's owner.
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
        self.source
            .as_ref()
            .map(|source| &**source as &(dyn Error + 'static))
    }
}
