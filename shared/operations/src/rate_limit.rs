//! Limits on what makes Waybill call out on demand.

use domain::Timestamp;
use domain::id::OrganizationId;

use crate::{Operations, Refusal};

/// Calls of each kind that an organization may make in a minute.
pub(crate) const CALLS_PER_MINUTE: u32 = 30;
const WINDOW_SECONDS: i64 = 60;

/// What is limited, each on its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limited {
    /// Connection checks on demand.
    Check,
    /// Test deliveries.
    Test,
    /// Looks at host keys.
    HostKeys,
}

impl Operations {
    /// Counts a call; refuses the one over the limit.
    pub(crate) async fn limit(&self, organization: OrganizationId, what: Limited) -> Result<(), Refusal> {
        if !self.settings.rate_limits {
            return Ok(());
        }
        let name = match what {
            Limited::Check => format!("{organization}#check"),
            Limited::Test => format!("{organization}#test"),
            Limited::HostKeys => format!("{organization}#host-keys"),
        };
        let now = self.clock.now().as_seconds();
        let start = now - now % WINDOW_SECONDS;
        if self.store.count_in_window(&name, Timestamp::from_millis(start * 1000), CALLS_PER_MINUTE).await? {
            return Ok(());
        }
        Err(Refusal::rate_limited(u32::try_from(start + WINDOW_SECONDS - now).unwrap_or(1).max(1)))
    }
}
