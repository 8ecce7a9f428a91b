//! Unreadable items. A list leaves them out, so that one of them does not stop the work on the
//! others.

use telemetry::metrics::{Threshold, threshold_exceeded};

use crate::StoreError;

/// Returns what was read, or `None` for an unreadable item, which is logged and counted. Other
/// errors are returned.
pub fn skip_unreadable<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::Corrupt { key, problem }) => {
            tracing::error!(
                key,
                problem,
                "an item is unreadable and is skipped; the others are processed"
            );
            threshold_exceeded(Threshold::UnreadableItems);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Collects what can be read. Unreadable items are logged, counted and left out.
pub(crate) fn readable<T>(
    read: impl IntoIterator<Item = Result<T, StoreError>>,
) -> Result<Vec<T>, StoreError> {
    read.into_iter()
        .filter_map(|one| skip_unreadable(one).transpose())
        .collect()
}
