//! Transactions: several writes that are made together or not at all.

use std::time::Duration;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    Delete, Put, ReturnValuesOnConditionCheckFailure::AllOld, TransactWriteItem, Update,
};

use crate::attributes::Item;
use crate::expression::{Change, Condition};
use crate::keys::Key;
use crate::{Store, StoreError};

/// How often a transaction that conflicted with another is tried again. The wait doubles each time,
/// 2.5 s in total.
const CONFLICTS_MAX: u32 = 8;
const CONFLICT_WAIT: Duration = Duration::from_millis(10);

/// The writes of a transaction, in order.
#[derive(Debug)]
pub(crate) struct Transaction<'a> {
    table: &'a str,
    writes: Vec<TransactWriteItem>,
}

/// The outcome of a transaction.
#[derive(Debug)]
pub(crate) enum Transacted {
    /// Every write was made.
    Done,
    /// No write was made, because the condition of one did not hold.
    Refused {
        /// The position of that write.
        position: usize,
        /// The item that the condition did not hold for; `None` if it did not exist.
        item: Option<Item>,
    },
}

impl Transaction<'_> {
    /// Returns how many writes the transaction has.
    pub(crate) fn len(&self) -> usize {
        self.writes.len()
    }

    /// Adds a write of a whole item.
    pub(crate) fn put(mut self, item: Item, condition: Condition) -> Self {
        let (condition, names, values) = condition.into_parts();
        let put = Put::builder()
            .table_name(self.table)
            .set_item(Some(item))
            .set_condition_expression(condition);
        let put = put
            .set_expression_attribute_names((!names.is_empty()).then_some(names))
            .set_expression_attribute_values(values);
        let put = put
            .return_values_on_condition_check_failure(AllOld)
            .build()
            .expect("an item and a table were given");
        self.writes
            .push(TransactWriteItem::builder().put(put).build());
        self
    }

    /// Adds a change of an item.
    pub(crate) fn change(mut self, key: &Key, change: Change) -> Self {
        let update = Update::builder()
            .table_name(self.table)
            .set_key(Some(key.item()))
            .update_expression(change.update());
        let (condition, names, values) = change.rest();
        let update = update
            .set_condition_expression(condition)
            .set_expression_attribute_names(Some(names));
        let update = update
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(AllOld);
        let update = update
            .build()
            .expect("a key, an update and a table were given");
        self.writes
            .push(TransactWriteItem::builder().update(update).build());
        self
    }

    /// Adds the deletion of an item.
    pub(crate) fn delete(mut self, key: &Key, condition: Condition) -> Self {
        let (condition, names, values) = condition.into_parts();
        let delete = Delete::builder()
            .table_name(self.table)
            .set_key(Some(key.item()))
            .set_condition_expression(condition);
        let delete = delete
            .set_expression_attribute_names((!names.is_empty()).then_some(names))
            .set_expression_attribute_values(values);
        let delete = delete
            .return_values_on_condition_check_failure(AllOld)
            .build()
            .expect("a key and a table were given");
        self.writes
            .push(TransactWriteItem::builder().delete(delete).build());
        self
    }
}

impl Store {
    /// Creates a transaction without writes.
    pub(crate) fn transaction(&self) -> Transaction<'_> {
        Transaction {
            table: &self.table.name,
            writes: Vec::new(),
        }
    }

    /// Executes a transaction. One that conflicted with another on the same item is tried again,
    /// which the SDK does not do.
    pub(crate) async fn transact(
        &self,
        action: &'static str,
        transaction: Transaction<'_>,
    ) -> Result<Transacted, StoreError> {
        let mut conflicts = 0;
        loop {
            let call = self
                .table
                .client
                .transact_write_items()
                .set_transact_items(Some(transaction.writes.clone()));
            let Err(error) = call.send().await else {
                return Ok(Transacted::Done);
            };
            if let Some(refused) = error.as_service_error().and_then(refusal) {
                return Ok(refused);
            }
            if !error.as_service_error().is_some_and(is_conflict) {
                return Err(StoreError::of(action)(error));
            }
            if conflicts == CONFLICTS_MAX {
                return Err(StoreError::Unavailable {
                    action,
                    source: std::sync::Arc::new(error),
                });
            }
            // A random time in the second half of the wait, so that conflicting transactions do not
            // meet again.
            let wait = CONFLICT_WAIT * 2_u32.pow(conflicts);
            tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            conflicts += 1;
        }
    }
}

/// Returns the first write whose condition did not hold.
fn refusal(error: &TransactWriteItemsError) -> Option<Transacted> {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        return None;
    };
    let mut reasons = cancelled.cancellation_reasons().iter().enumerate();
    let (position, reason) =
        reasons.find(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"))?;
    Some(Transacted::Refused {
        position,
        item: reason.item.clone(),
    })
}

fn is_conflict(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        return false;
    };
    let passing = [
        "TransactionConflict",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
    ];
    cancelled
        .cancellation_reasons()
        .iter()
        .any(|reason| reason.code().is_some_and(|code| passing.contains(&code)))
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::CancellationReason;
    use aws_sdk_dynamodb::types::error::TransactionCanceledException;

    use super::*;

    fn cancelled(codes: &[&str]) -> TransactWriteItemsError {
        let reasons = codes
            .iter()
            .map(|code| CancellationReason::builder().code(*code).build())
            .collect();
        let cancelled = TransactionCanceledException::builder()
            .set_cancellation_reasons(Some(reasons))
            .build();
        TransactWriteItemsError::TransactionCanceledException(cancelled)
    }

    #[test]
    fn a_condition_that_does_not_hold_is_final_and_a_conflict_is_not() {
        let refused = cancelled(&["None", "ConditionalCheckFailed", "TransactionConflict"]);
        assert!(matches!(
            refusal(&refused),
            Some(Transacted::Refused {
                position: 1,
                item: None
            })
        ));
        for passing in [
            "TransactionConflict",
            "ThrottlingError",
            "ProvisionedThroughputExceeded",
        ] {
            let conflict = cancelled(&["None", passing]);
            assert!(
                refusal(&conflict).is_none() && is_conflict(&conflict),
                "{passing}"
            );
        }
        let wrong = cancelled(&["ValidationError"]);
        assert!(refusal(&wrong).is_none() && !is_conflict(&wrong));
    }
}
