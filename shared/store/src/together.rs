//! Shares calls between requests that run at the same time (decision 44).
//!
//! Reads share one `BatchGetItem`. Writes share one `BatchExecuteStatement`, in which each
//! statement has its own condition and outcome; it is not a transaction. A request that is alone,
//! or that a shared call could not complete, makes a call of its own, so that it is retried and
//! refused as if nothing were shared.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementErrorCodeEnum, BatchStatementRequest, BatchStatementResponse,
    ReturnValuesOnConditionCheckFailure::AllOld,
};
use coalesce::Coalescer;
use futures_util::future::join_all;

use crate::StoreError;
use crate::attributes::Item;
use crate::document::absent;
use crate::expression::Change;
use crate::keys::Key;
use crate::statistics::{Attempts, EVENT_TYPES_MAX};
use crate::table::{KEYS_IN_A_READ, Table, Written};

/// The most statements that DynamoDB takes in one call.
const STATEMENTS_IN_A_CALL: usize = 25;
/// What a shared call does, in its errors until each request names its own action.
const READ: &str = "read items";
const WRITE: &str = "write items";

/// The calls that the requests of a process share.
#[derive(Clone, Debug)]
pub(crate) struct SharedCalls {
    reads: Coalescer<Vec<Key>, Result<Vec<Option<Item>>, StoreError>>,
    writes: Coalescer<Write, Result<Written, StoreError>>,
    counts: Coalescer<Attempts, Result<(), StoreError>>,
}

/// A write of one item outside of a transaction.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    /// Writes a whole item, unless it exists.
    Insert(Item),
    /// Changes an item, under the change's condition.
    Update(Key, Change),
}

impl SharedCalls {
    pub(crate) fn over(client: &Client, table: &str) -> Self {
        let table = Table {
            client: client.clone(),
            name: table.to_owned(),
        };
        let (reader, writer, counter) = (table.clone(), table.clone(), table);
        Self {
            reads: Coalescer::weighted(KEYS_IN_A_READ, Vec::len, move |requests| {
                let table = reader.clone();
                async move { table.read_for_all(requests).await }
            }),
            writes: Coalescer::new(STATEMENTS_IN_A_CALL, move |writes| {
                let table = writer.clone();
                async move { table.write_for_all(writes).await }
            }),
            // The table limits event types before they are added, so only a few may be added in one
            // call.
            counts: Coalescer::weighted(
                EVENT_TYPES_MAX,
                |attempts: &Attempts| attempts.tally.event_types.len(),
                move |attempts| {
                    let table = counter.clone();
                    async move { table.count_for_all(attempts).await }
                },
            ),
        }
    }

    /// Reads items, strongly consistent and in the order of their keys.
    pub(crate) async fn read(
        &self,
        action: &'static str,
        keys: &[Key],
    ) -> Result<Vec<Option<Item>>, StoreError> {
        let requests = keys.chunks(KEYS_IN_A_READ).map(<[Key]>::to_vec);
        let mut items = Vec::with_capacity(keys.len());
        for outcome in self.reads.run_all(requests).await {
            items.extend(outcome.map_err(|error| error.during(action))?);
        }
        Ok(items)
    }

    /// Adds attempts to the counters of their hour.
    pub(crate) async fn count(&self, attempts: Attempts) -> Result<(), StoreError> {
        self.counts.run(attempts).await
    }

    /// Makes a write, in a shared call if others are made concurrently.
    pub(crate) async fn write(
        &self,
        action: &'static str,
        write: Write,
    ) -> Result<Written, StoreError> {
        self.writes
            .run(write)
            .await
            .map_err(|error| error.during(action))
    }

    /// Makes several writes. Fails with the first error, after all have been tried.
    pub(crate) async fn write_all(
        &self,
        action: &'static str,
        writes: Vec<Write>,
    ) -> Result<Vec<Written>, StoreError> {
        let outcomes = self.writes.run_all(writes).await;
        outcomes
            .into_iter()
            .map(|outcome| outcome.map_err(|error| error.during(action)))
            .collect()
    }
}

impl Write {
    fn key(&self) -> Option<Key> {
        match self {
            Self::Insert(item) => Key::of(item),
            Self::Update(key, _) => Some(key.clone()),
        }
    }

    /// Returns the write as a PartiQL statement; `None` if PartiQL cannot express it.
    fn statement(&self, table: &str) -> Option<BatchStatementRequest> {
        let (statement, parameters) = match self {
            Self::Insert(item) => insertion(table, item),
            Self::Update(key, change) => change.statement(table, key)?,
        };
        let request = BatchStatementRequest::builder()
            .statement(statement)
            .set_parameters(Some(parameters));
        request
            .return_values_on_condition_check_failure(AllOld)
            .build()
            .ok()
    }
}

impl Table {
    /// Reads the keys of all requests in one call.
    async fn read_for_all(
        &self,
        requests: Vec<Vec<Key>>,
    ) -> Vec<Result<Vec<Option<Item>>, StoreError>> {
        if let [keys] = &*requests
            && let [key] = &**keys
        {
            return vec![self.get(READ, key).await.map(|item| vec![item])];
        }
        // DynamoDB refuses a read that names a key twice.
        let mut readers: HashMap<&Key, usize> = HashMap::new();
        let mut distinct: Vec<&Key> = Vec::new();
        for key in requests.iter().flatten() {
            let readers = readers.entry(key).or_default();
            if *readers == 0 {
                distinct.push(key);
            }
            *readers += 1;
        }
        let mut found = match self.get_distinct(READ, &distinct, &[]).await {
            Ok(found) => found,
            Err(error) => return requests.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut item_for = |key: &Key| {
            let readers = readers.get_mut(key)?;
            *readers -= 1;
            if *readers == 0 {
                found.remove(key)
            } else {
                found.get(key).cloned()
            }
        };
        requests
            .iter()
            .map(|keys| Ok(keys.iter().map(&mut item_for).collect()))
            .collect()
    }

    /// Adds up the attempts of each destination's hour first, so that each hour is written once.
    async fn count_for_all(&self, requests: Vec<Attempts>) -> Vec<Result<(), StoreError>> {
        let mut hours: Vec<Attempts> = Vec::new();
        let hour_of_each: Vec<usize> = requests
            .into_iter()
            .map(|attempts| {
                let same = |hour: &Attempts| {
                    (hour.destination, hour.hour) == (attempts.destination, attempts.hour)
                };
                if let Some(at) = hours.iter().position(same) {
                    hours[at].tally.merge(&attempts.tally);
                    return at;
                }
                hours.push(attempts);
                hours.len() - 1
            })
            .collect();
        let counted = join_all(hours.iter().map(|attempts| self.count(attempts))).await;
        hour_of_each
            .into_iter()
            .map(|at| counted[at].clone())
            .collect()
    }

    /// Makes each write: in one shared call where possible, the others alone.
    async fn write_for_all(&self, writes: Vec<Write>) -> Vec<Result<Written, StoreError>> {
        let mut outcomes: Vec<Option<Result<Written, StoreError>>> =
            writes.iter().map(|_| None).collect();
        let shared = self.shareable(&writes);
        if shared.len() > 1 {
            let (positions, statements): (Vec<usize>, Vec<BatchStatementRequest>) =
                shared.into_iter().unzip();
            match self.execute(statements).await {
                Ok(responses) => {
                    for (position, response) in positions.into_iter().zip(responses) {
                        outcomes[position] = written(response).map(Ok);
                    }
                }
                Err(error) if error.is_unavailable() => {
                    positions
                        .into_iter()
                        .for_each(|position| outcomes[position] = Some(Err(error.clone())));
                }
                // One of the requests may be at fault. Each is tried alone, so that only that one
                // fails.
                Err(error) => {
                    tracing::warn!(
                        error = %domain::chain(&error),
                        writes = writes.len(),
                        "a shared write was refused; its parts are written one by one"
                    )
                }
            }
        }
        let alone = writes
            .into_iter()
            .zip(outcomes)
            .map(async |(write, outcome)| match outcome {
                Some(outcome) => outcome,
                None => self.write_alone(write).await,
            });
        join_all(alone).await
    }

    /// Returns the statements, by position, of those writes that one call may contain: each of a
    /// different item.
    fn shareable(&self, writes: &[Write]) -> Vec<(usize, BatchStatementRequest)> {
        if writes.len() == 1 {
            return Vec::new();
        }
        let mut seen = HashSet::with_capacity(writes.len());
        let statements = writes.iter().enumerate().filter_map(|(position, write)| {
            let key = write.key().filter(|key| !seen.contains(key))?;
            let statement = write.statement(&self.name)?;
            seen.insert(key);
            Some((position, statement))
        });
        statements.collect()
    }

    async fn execute(
        &self,
        statements: Vec<BatchStatementRequest>,
    ) -> Result<Vec<BatchStatementResponse>, StoreError> {
        let expected = statements.len();
        let call = self
            .client
            .batch_execute_statement()
            .set_statements(Some(statements));
        let responses = call
            .send()
            .await
            .map_err(StoreError::of(WRITE))?
            .responses
            .unwrap_or_default();
        // If there are fewer responses, it is unknown which statements they belong to. A repeat
        // finds what was written.
        if responses.len() == expected {
            Ok(responses)
        } else {
            Err(StoreError::unprocessed(WRITE))
        }
    }

    async fn write_alone(&self, write: Write) -> Result<Written, StoreError> {
        match write {
            Write::Insert(item) => self.put(WRITE, item, absent()).await,
            Write::Update(key, change) => self.change(WRITE, &key, change).await,
        }
    }
}

/// Returns the outcome of one statement; `None` if it is not final.
fn written(response: BatchStatementResponse) -> Option<Written> {
    let Some(error) = response.error else {
        return Some(Written::Done);
    };
    match error.code? {
        // Without the item the current state is unknown: there may be none, or the service may have
        // left it out.
        BatchStatementErrorCodeEnum::ConditionalCheckFailed => {
            error.item.map(|item| Written::Refused(Some(item)))
        }
        BatchStatementErrorCodeEnum::DuplicateItem => Some(Written::Refused(None)),
        _ => None,
    }
}

fn insertion(table: &str, item: &Item) -> (String, Vec<AttributeValue>) {
    let members: Vec<String> = item.keys().map(|name| format!("'{name}': ?")).collect();
    (
        format!("INSERT INTO \"{table}\" VALUE {{{}}}", members.join(", ")),
        item.values().cloned().collect(),
    )
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::BatchStatementError;

    use super::*;
    use crate::attributes::number;

    fn refused_with(
        code: BatchStatementErrorCodeEnum,
        item: Option<Item>,
    ) -> BatchStatementResponse {
        let error = BatchStatementError::builder()
            .code(code)
            .set_item(item)
            .build();
        BatchStatementResponse::builder().error(error).build()
    }

    #[test]
    fn only_what_is_final_is_an_outcome_of_a_shared_write() {
        use BatchStatementErrorCodeEnum as Code;
        let stands = Some(Item::from([("n".to_owned(), number(1))]));
        assert!(matches!(
            written(BatchStatementResponse::builder().build()),
            Some(Written::Done)
        ));
        let refused = written(refused_with(Code::ConditionalCheckFailed, stands.clone()));
        assert!(matches!(refused, Some(Written::Refused(item)) if item == stands));
        assert!(matches!(
            written(refused_with(Code::DuplicateItem, None)),
            Some(Written::Refused(None))
        ));
        for code in [
            Code::ConditionalCheckFailed,
            Code::ThrottlingError,
            Code::ProvisionedThroughputExceeded,
            Code::TransactionConflict,
            Code::InternalServerError,
            Code::ValidationError,
            Code::AccessDenied,
        ] {
            assert!(
                written(refused_with(code.clone(), None)).is_none(),
                "{code:?} is tried alone"
            );
        }
    }
}
