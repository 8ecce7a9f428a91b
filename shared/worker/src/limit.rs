//! How long attempts, checks and their steps may take.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::ConnectorError;

/// All steps of a check together: what the api waits for (20 s), less what the answer takes.
pub const CHECK_TIME_LIMIT: Duration = Duration::from_secs(18);
/// A server that does not let Waybill in by then is given up, however long the attempt may take:
/// other deliveries wait for the worker.
const LOGIN_TIME_LIMIT: Duration = Duration::from_secs(30);
/// Connectors end their work themselves. One that does not is ended this much later.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// When to give up on a server that has not let us in, in an attempt that may last until `deadline`.
#[must_use]
pub fn login_deadline(deadline: Instant) -> Instant {
    deadline.min(Instant::now() + LOGIN_TIME_LIMIT)
}

/// The result of `work`, or a time-out with this text when `deadline` passes first.
pub async fn within<T, E: From<ConnectorError>>(deadline: Instant, late: &str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    timeout_at(deadline, work).await.unwrap_or_else(|_| Err(ConnectorError::timed_out(late).into()))
}
