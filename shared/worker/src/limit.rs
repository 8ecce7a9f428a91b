//! Time limits of attempts, checks and their steps.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::ConnectorError;

/// The time limit for all steps of a check: the API waits 20 s, less the time for the answer.
pub const CHECK_TIME_LIMIT: Duration = Duration::from_secs(18);
/// How long a login may take, regardless of the attempt's own time limit, because other deliveries
/// wait for the worker.
const LOGIN_TIME_LIMIT: Duration = Duration::from_secs(30);
/// How long after its time limit a connector is cancelled if it has not ended by itself.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// Returns the deadline of a login in an attempt that ends at `deadline`.
#[must_use]
pub fn login_deadline(deadline: Instant) -> Instant {
    deadline.min(Instant::now() + LOGIN_TIME_LIMIT)
}

/// Returns the result of `work`, or a time-out with the text `late` if `deadline` passes first.
pub async fn within<T, E: From<ConnectorError>>(
    deadline: Instant,
    late: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    timeout_at(deadline, work)
        .await
        .unwrap_or_else(|_| Err(ConnectorError::timed_out(late).into()))
}
