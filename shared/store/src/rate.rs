//! Rate limits: calls counted in windows of time, by all functions together.

use std::time::Duration;

use domain::Timestamp;

use crate::attributes::number;
use crate::expression::Change;
use crate::keys::{self, TTL};
use crate::{Store, StoreError};

const COUNT: &str = "n";
/// Longer than any window.
const KEPT: Duration = Duration::from_secs(24 * 3600);

impl Store {
    /// Counts one more call of `name` in the window that starts at `window_start`, unless there were `limit` already. Was it counted?
    pub async fn count_in_window(&self, name: &str, window_start: Timestamp, limit: u32) -> Result<bool, StoreError> {
        let Some(below) = limit.checked_sub(1) else { return Ok(false) };
        let mut change = Change::default();
        change.add(COUNT, number(1)).set(TTL, number(window_start.plus(KEPT).as_seconds()));
        change.when().missing_or_at_most(COUNT, number(below));
        Ok(self.change("count a call", &keys::window(name, window_start), change).await?.is_done())
    }
}
