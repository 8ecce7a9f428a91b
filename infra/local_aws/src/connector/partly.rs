//! Executes only a part of a batch, and reports the rest the way each service does.

use aws_smithy_types::body::SdkBody;
use serde_json::{Map, Value, json};

use super::work::ParsedRequest;
use crate::dynamodb::Request;
use crate::wire::Response;

/// What was removed from a batch before it ran.
pub(super) enum RemovedEntries {
    /// The call is not a batch, or has a single entry.
    Nothing,
    /// The positions of the removed statements.
    Statements(Vec<usize>),
    /// Keys to read, by table.
    Keys(Map<String, Value>),
    /// Entries of a batch of messages, by id.
    Entries(Vec<Value>),
}

/// Removes every second entry of a batch, starting with the second.
pub(super) fn withhold(work: &mut ParsedRequest) -> RemovedEntries {
    match work {
        ParsedRequest::DynamoDb(Ok(request)) => match &mut **request {
            Request::BatchExecuteStatement(request) => {
                let positions = (0..request.statements.len())
                    .filter(|position| position % 2 == 1)
                    .collect();
                drop(every_second(&mut request.statements));
                RemovedEntries::Statements(positions)
            }
            Request::BatchGetItem(request) => {
                let tables = request.request_items.iter_mut().map(|(table, asked)| {
                    let keys = every_second(&mut asked.keys);
                    (
                        table.clone(),
                        json!({"Keys": keys, "ConsistentRead": asked.consistent_read}),
                    )
                });
                RemovedEntries::Keys(
                    tables
                        .filter(|(_, asked)| {
                            asked["Keys"]
                                .as_array()
                                .is_some_and(|keys| !keys.is_empty())
                        })
                        .collect(),
                )
            }
            _ => RemovedEntries::Nothing,
        },
        ParsedRequest::Sqs(body) => {
            let Ok(mut request) = serde_json::from_slice::<Value>(body) else {
                return RemovedEntries::Nothing;
            };
            let Some(entries) = request["Entries"].as_array_mut() else {
                return RemovedEntries::Nothing;
            };
            let ids = every_second(entries)
                .into_iter()
                .map(|entry| entry["Id"].clone())
                .collect();
            *body = request.to_string().into();
            RemovedEntries::Entries(ids)
        }
        _ => RemovedEntries::Nothing,
    }
}

fn every_second<T>(all: &mut Vec<T>) -> Vec<T> {
    let (mut entries, mut taken) = (Vec::new(), Vec::new());
    for (position, entry) in std::mem::take(all).into_iter().enumerate() {
        if position % 2 == 0 {
            entries.push(entry)
        } else {
            taken.push(entry)
        }
    }
    *all = entries;
    taken
}

impl RemovedEntries {
    /// Adds to the response a report of what was not executed.
    pub(super) fn report(self, response: Response) -> Response {
        let Some(mut body) = response
            .body()
            .bytes()
            .and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok())
        else {
            return response;
        };
        if !response.status().is_success() {
            return response;
        }
        match self {
            Self::Nothing => return response,
            Self::Statements(positions) => {
                let Some(responses) = body["Responses"].as_array_mut() else {
                    return response;
                };
                let throttled =
                    json!({"Error": {"Code": "ThrottlingError", "Message": "Rate exceeded"}});
                positions.into_iter().for_each(|position| {
                    responses.insert(position.min(responses.len()), throttled.clone())
                });
            }
            Self::Keys(unprocessed) => body["UnprocessedKeys"] = unprocessed.into(),
            Self::Entries(ids) => {
                let failed = |id| json!({"Id": id, "Code": "InternalError", "SenderFault": false});
                let mut all: Vec<Value> = body["Failed"].as_array().cloned().unwrap_or_default();
                all.extend(ids.into_iter().map(failed));
                body["Failed"] = all.into();
            }
        }
        let (mut head, _) = response.into_parts();
        head.headers.remove(http::header::CONTENT_LENGTH);
        Response::from_parts(head, SdkBody::from(body.to_string()))
    }
}
