//! A DynamoDB request in the engine's type.

use dynoxide::actions::batch_execute_statement::BatchExecuteStatementRequest;
use dynoxide::actions::batch_get_item::BatchGetItemRequest;
use dynoxide::actions::batch_write_item::BatchWriteItemRequest;
use dynoxide::actions::create_table::CreateTableRequest;
use dynoxide::actions::delete_item::DeleteItemRequest;
use dynoxide::actions::delete_table::DeleteTableRequest;
use dynoxide::actions::describe_table::DescribeTableRequest;
use dynoxide::actions::execute_statement::ExecuteStatementRequest;
use dynoxide::actions::execute_transaction::ExecuteTransactionRequest;
use dynoxide::actions::get_item::GetItemRequest;
use dynoxide::actions::list_tables::ListTablesRequest;
use dynoxide::actions::put_item::PutItemRequest;
use dynoxide::actions::query::QueryRequest;
use dynoxide::actions::scan::ScanRequest;
use dynoxide::actions::transact_get_items::TransactGetItemsRequest;
use dynoxide::actions::transact_write_items::{TransactWriteItem, TransactWriteItemsRequest};
use dynoxide::actions::update_item::UpdateItemRequest;
use dynoxide::actions::update_time_to_live::UpdateTimeToLiveRequest;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::capacity::{self, Kind, RequestedCapacity};
use super::{Answer, partiql};
use crate::arn::Arns;
use crate::call::{Consumed, Target};

/// A request; the variants are DynamoDB's operations.
pub(crate) enum Request {
    PutItem(PutItemRequest),
    GetItem(GetItemRequest),
    DeleteItem(DeleteItemRequest),
    UpdateItem(UpdateItemRequest),
    Query(QueryRequest),
    Scan(ScanRequest),
    BatchGetItem(BatchGetItemRequest),
    BatchWriteItem(BatchWriteItemRequest),
    TransactWriteItems(TransactWriteItemsRequest),
    TransactGetItems(TransactGetItemsRequest),
    ExecuteStatement(ExecuteStatementRequest),
    BatchExecuteStatement(BatchExecuteStatementRequest),
    ExecuteTransaction(ExecuteTransactionRequest),
    CreateTable(CreateTableRequest),
    DeleteTable(DeleteTableRequest),
    DescribeTable(DescribeTableRequest),
    ListTables(ListTablesRequest),
    UpdateTimeToLive(UpdateTimeToLiveRequest),
}

/// Runs an operation that meters capacity.
macro_rules! metered {
    ($database:expr, $operation:ident, $request:expr, $kind:expr) => {{
        let mut request = $request;
        let asked = RequestedCapacity::replace(&mut request.return_consumed_capacity);
        $database.$operation(request).and_then(|mut response| {
            let consumed = capacity::measure(&mut response.consumed_capacity, asked, $kind);
            answer(&response, consumed)
        })
    }};
}

impl Request {
    /// Decodes a request body.
    pub(crate) fn decode(operation: &str, body: &[u8]) -> Result<Self, Answer> {
        let decoded = match operation {
            "PutItem" => decode(body).map(Self::PutItem),
            "GetItem" => decode(body).map(Self::GetItem),
            "DeleteItem" => decode(body).map(Self::DeleteItem),
            "UpdateItem" => decode(body).map(Self::UpdateItem),
            "Query" => decode(body).map(Self::Query),
            "Scan" => decode(body).map(Self::Scan),
            "BatchGetItem" => decode(body).map(Self::BatchGetItem),
            "BatchWriteItem" => decode(body).map(Self::BatchWriteItem),
            "TransactWriteItems" => decode(body).map(Self::TransactWriteItems),
            "TransactGetItems" => decode(body).map(Self::TransactGetItems),
            "ExecuteStatement" => decode(body).map(Self::ExecuteStatement),
            "BatchExecuteStatement" => decode(body).map(Self::BatchExecuteStatement),
            "ExecuteTransaction" => decode(body).map(Self::ExecuteTransaction),
            "CreateTable" => decode(body).map(Self::CreateTable),
            "DeleteTable" => decode(body).map(Self::DeleteTable),
            "UpdateTimeToLive" => decode(body).map(Self::UpdateTimeToLive),
            "DescribeTable" => decode(body).map(Self::DescribeTable),
            "ListTables" => decode(body).map(Self::ListTables),
            other => Err(DynoxideError::ValidationException(format!(
                "the embedded DynamoDB does not offer {other}"
            ))),
        };
        decoded.map_err(|error| Answer::refusal(&error))
    }

    /// Returns what IAM checks according to AWS's table of actions: item by item for transactions,
    /// statement by statement for PartiQL.
    pub(crate) fn targets(&self, arns: &Arns) -> Vec<Target> {
        let on = |action: &str, table: &str| {
            Target::new(format!("dynamodb:{action}"), arns.table(table))
        };
        let within = |action: &str, table: &str, index: &Option<String>| match index {
            Some(index) => Target::new(format!("dynamodb:{action}"), arns.index(table, index)),
            None => on(action, table),
        };
        let stated = |statement: &str| {
            let statement = partiql::read(statement)?;
            let resource = match &statement.index {
                Some(index) => arns.index(&statement.table, index),
                None => arns.table(&statement.table),
            };
            Some(Target::new(statement.action, resource))
        };
        let of_tables = |action: &str, mut tables: Vec<&String>| {
            // A map has no order, but a refusal names the first table.
            tables.sort();
            tables.into_iter().map(|table| on(action, table)).collect()
        };
        match self {
            Self::PutItem(request) => vec![on("PutItem", &request.table_name)],
            Self::GetItem(request) => vec![on("GetItem", &request.table_name)],
            Self::DeleteItem(request) => vec![on("DeleteItem", &request.table_name)],
            Self::UpdateItem(request) => vec![on("UpdateItem", &request.table_name)],
            Self::Query(request) => vec![within("Query", &request.table_name, &request.index_name)],
            Self::Scan(request) => vec![within("Scan", &request.table_name, &request.index_name)],
            Self::BatchGetItem(request) => {
                of_tables("BatchGetItem", request.request_items.keys().collect())
            }
            Self::BatchWriteItem(request) => {
                of_tables("BatchWriteItem", request.request_items.keys().collect())
            }
            Self::TransactWriteItems(request) => request
                .transact_items
                .iter()
                .filter_map(written)
                .map(|(action, table)| on(action, table))
                .collect(),
            Self::TransactGetItems(request) => request
                .transact_items
                .iter()
                .map(|item| on("GetItem", &item.get.table_name))
                .collect(),
            Self::ExecuteStatement(request) => stated(&request.statement).into_iter().collect(),
            Self::BatchExecuteStatement(request) => request
                .statements
                .iter()
                .filter_map(|item| stated(&item.statement))
                .collect(),
            Self::ExecuteTransaction(request) => request
                .transact_statements
                .iter()
                .filter_map(|item| stated(&item.statement))
                .collect(),
            Self::CreateTable(request) => vec![on("CreateTable", &request.table_name)],
            Self::DeleteTable(request) => vec![on("DeleteTable", &request.table_name)],
            Self::UpdateTimeToLive(request) => vec![on("UpdateTimeToLive", &request.table_name)],
            Self::DescribeTable(request) => vec![on("DescribeTable", &request.table_name)],
            Self::ListTables(_) => vec![on("ListTables", "*")],
        }
    }

    /// Runs the request. This blocks.
    pub(super) fn run(self, database: &Database) -> Answer {
        let answered = match self {
            Self::PutItem(request) => metered!(database, put_item, request, Kind::Write),
            Self::GetItem(request) => metered!(database, get_item, request, Kind::Read),
            Self::DeleteItem(request) => metered!(database, delete_item, request, Kind::Write),
            Self::UpdateItem(request) => metered!(database, update_item, request, Kind::Write),
            Self::Query(request) => metered!(database, query, request, Kind::Read),
            Self::Scan(request) => metered!(database, scan, request, Kind::Read),
            Self::BatchGetItem(request) => metered!(database, batch_get_item, request, Kind::Read),
            Self::BatchWriteItem(request) => {
                metered!(database, batch_write_item, request, Kind::Write)
            }
            Self::TransactWriteItems(request) => {
                metered!(database, transact_write_items, request, Kind::Write)
            }
            Self::TransactGetItems(request) => {
                metered!(database, transact_get_items, request, Kind::Read)
            }
            Self::ExecuteStatement(request) => {
                let kind = kind_of([request.statement.as_str()]);
                metered!(database, execute_statement, request, kind)
            }
            Self::BatchExecuteStatement(request) => {
                let kind = kind_of(
                    request
                        .statements
                        .iter()
                        .map(|item| item.statement.as_str()),
                );
                metered!(database, batch_execute_statement, request, kind)
            }
            Self::ExecuteTransaction(request) => {
                let kind = kind_of(
                    request
                        .transact_statements
                        .iter()
                        .map(|item| item.statement.as_str()),
                );
                metered!(database, execute_transaction, request, kind)
            }
            Self::CreateTable(request) => database
                .create_table(request)
                .and_then(|response| answer(&response, Vec::new())),
            Self::DeleteTable(request) => database
                .delete_table(request)
                .and_then(|response| answer(&response, Vec::new())),
            Self::UpdateTimeToLive(request) => database
                .update_time_to_live(request)
                .and_then(|response| answer(&response, Vec::new())),
            Self::DescribeTable(request) => database
                .describe_table(request)
                .and_then(|response| answer(&response, Vec::new())),
            Self::ListTables(request) => database
                .list_tables(request)
                .and_then(|response| answer(&response, Vec::new())),
        };
        answered.unwrap_or_else(|error| Answer::refusal(&error))
    }
}

/// Returns the action and table of a transaction's item.
fn written(item: &TransactWriteItem) -> Option<(&'static str, &str)> {
    if let Some(put) = &item.put {
        return Some(("PutItem", &put.table_name));
    }
    if let Some(update) = &item.update {
        return Some(("UpdateItem", &update.table_name));
    }
    if let Some(delete) = &item.delete {
        return Some(("DeleteItem", &delete.table_name));
    }
    item.condition_check
        .as_ref()
        .map(|check| ("ConditionCheckItem", check.table_name.as_str()))
}

/// A PartiQL request contains either reads or writes.
fn kind_of<'a>(statements: impl IntoIterator<Item = &'a str>) -> Kind {
    statements
        .into_iter()
        .find_map(partiql::read)
        .map_or(Kind::Read, |statement| statement.kind)
}

fn answer(response: &impl Serialize, consumed: Vec<Consumed>) -> Result<Answer, DynoxideError> {
    let body = serde_json::to_vec(response)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))?;
    Ok(Answer {
        status: 200,
        body,
        consumed,
    })
}

/// Decodes a request. dynoxide's decoders prefix the message with these markers for the kind of
/// error.
fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| {
        let message = error.to_string();
        match message.split_once(':') {
            Some(("VALIDATION" | "VALIDATION_REQUEST" | "VALIDATION_AS_READ", rest)) => {
                DynoxideError::ValidationException(without_position(rest))
            }
            Some(("SERIALIZATION" | "SERIALIZATION_AS_READ", rest)) => {
                DynoxideError::SerializationException(without_position(rest))
            }
            _ if error.is_data()
                && (message.contains("missing field") || message.contains("AttributeValue")) =>
            {
                DynoxideError::ValidationException(without_position(&message))
            }
            _ => DynoxideError::SerializationException(message),
        }
    })
}

fn without_position(message: &str) -> String {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(message, _)| message)
        .trim()
        .to_owned()
}
