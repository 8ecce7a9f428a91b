//! Amazon EventBridge, as far as Waybill uses it. Events are stored and sent to the functions whose
//! rules match.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError, RwLock};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::arn::Arns;
use crate::functions::Functions;
use crate::{NowMs, ServiceError};

/// How many events are stored; the oldest are dropped.
const EVENTS_MAX: usize = 1000;

/// A rule that sends matching events to a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The name of the bus.
    pub bus: String,
    /// The detail types that match.
    pub detail_types: Vec<String>,
    /// The name of the function.
    pub function: String,
}

/// The embedded event buses.
pub(crate) struct Events {
    now: NowMs,
    rules: RwLock<Vec<Rule>>,
    put: Mutex<(u64, VecDeque<Value>)>,
}

impl Events {
    pub(crate) fn new(now: NowMs) -> Self {
        Self {
            now,
            rules: RwLock::default(),
            put: Mutex::default(),
        }
    }

    pub(crate) fn add(&self, rule: Rule) {
        self.rules
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(rule);
    }

    /// Returns the stored events, oldest first, as rules see them.
    pub(crate) fn remembered(&self) -> Vec<Value> {
        self.put
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .iter()
            .cloned()
            .collect()
    }

    /// Executes a call of `PutEvents`.
    pub(crate) fn call(
        &self,
        operation: &str,
        body: &Bytes,
        arns: &Arns,
        functions: &Functions,
    ) -> Result<Value, ServiceError> {
        if operation != "PutEvents" {
            return Err(ServiceError::new(
                400,
                "UnknownOperationException",
                format!("{operation} is not offered"),
            ));
        }
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut answers = Vec::new();
        for entry in request["Entries"].as_array().into_iter().flatten() {
            let Ok(detail) =
                serde_json::from_str::<Value>(entry["Detail"].as_str().unwrap_or_default())
            else {
                answers.push(
                    json!({"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}),
                );
                continue;
            };
            let (bus, detail_type) = (
                bus_name(entry),
                entry["DetailType"].as_str().unwrap_or_default(),
            );
            let event = self.remember(entry, detail_type, &detail, arns);
            answers.push(json!({"EventId": event["id"]}));
            for rule in self
                .rules
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
            {
                if rule.bus == bus && rule.detail_types.iter().any(|own| own == detail_type) {
                    functions.send(&rule.function, event.to_string().into());
                }
            }
        }
        let failed = answers
            .iter()
            .filter(|answer| answer.get("ErrorCode").is_some())
            .count();
        Ok(json!({"FailedEntryCount": failed, "Entries": answers}))
    }

    fn remember(&self, entry: &Value, detail_type: &str, detail: &Value, arns: &Arns) -> Value {
        let mut put = self.put.lock().unwrap_or_else(PoisonError::into_inner);
        put.0 += 1;
        let (number, now) = (put.0, (self.now)());
        let event = json!({
            "version": "0",
            "id": format!("{now:08x}-0000-4000-8000-{number:012x}"),
            "detail-type": detail_type,
            "source": entry["Source"],
            "account": arns.account,
            "time": "2026-01-01T00:00:00Z",
            "region": arns.region,
            "resources": entry["Resources"].as_array().cloned().unwrap_or_default(),
            "detail": detail,
        });
        put.1.push_back(event.clone());
        if put.1.len() > EVENTS_MAX {
            put.1.pop_front();
        }
        event
    }
}

/// Returns the buses of a call, against which its policy is checked.
pub(crate) fn buses(body: &[u8]) -> Vec<String> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut names: Vec<String> = request["Entries"]
        .as_array()
        .into_iter()
        .flatten()
        .map(bus_name)
        .collect();
    names.sort();
    names.dedup();
    names
}

fn bus_name(entry: &Value) -> String {
    let named = entry["EventBusName"].as_str().unwrap_or("default");
    named.rsplit('/').next().unwrap_or(named).to_owned()
}
