//! Stores refresh tokens that an authorization server replaced. The server may revoke the old one,
//! so a failure is repeated. Until it is stored, this process uses the new one (`oauth::Tokens`).

use std::fmt::Display;
use std::time::Duration;

use worker::ConnectorError;

/// How many times a refresh token is stored while that fails.
const TRIES: u32 = 8;
/// The wait after the first failure. Each further wait is twice as long.
const WAIT_FIRST: Duration = Duration::from_millis(25);

/// The result of one try to store a refresh token.
pub(crate) enum SaveOutcome {
    /// The refresh token is stored.
    Stored,
    /// The record that it belongs to is not stored, was deleted, or has another refresh token.
    Superseded,
    /// The record was changed at the same time.
    Changed,
}

/// Stores a refresh token of the record `id`, of the kind `of`, with `store`. If this fails to the
/// end, the next attempt with the replaced token tries again.
pub(crate) async fn keep<F>(of: &str, id: impl Display, store: impl Fn() -> F)
where
    F: Future<Output = Result<SaveOutcome, ConnectorError>>,
{
    let mut wait = WAIT_FIRST;
    let mut tries = 1;
    loop {
        let problem = match store().await {
            Ok(SaveOutcome::Stored | SaveOutcome::Superseded) => return,
            Ok(SaveOutcome::Changed) => "it changed at the same time".to_owned(),
            Err(error) => worker::redacted(&domain::chain(&error).to_string()),
        };
        if tries == TRIES {
            tracing::error!(
                error = problem,
                "failed to store a changed refresh token of the {of} {id}; this process uses it, \
                 and the next attempt stores it"
            );
            return;
        }
        tokio::time::sleep(wait).await;
        (wait, tries) = (wait * 2, tries + 1);
    }
}
