//! What a template can say about a message (destinations.md, Common settings).

use std::collections::BTreeMap;

use minijinja::Value;

/// The variables of every template.
#[derive(Clone, Copy, Debug)]
pub struct Variables<'v> {
    /// `org_…`
    pub organization_id: &'v str,
    /// `report.ready`
    pub event_type: &'v str,
    /// `msg_…`
    pub message_id: &'v str,
    /// `dlv_…`
    pub delivery_id: &'v str,
    /// The customer's own name for the message.
    pub reference: Option<&'v str>,
    /// The customer's own members.
    pub metadata: &'v BTreeMap<String, String>,
    /// Of the payload, when it has one.
    pub filename: Option<&'v str>,
    /// Of the payload.
    pub content_type: &'v str,
    /// RFC 3339, UTC, milliseconds.
    pub created_at: &'v str,
    /// From 1.
    pub attempt: u32,
    /// Of JSON payloads; [`Template::uses_payload`](crate::Template::uses_payload) tells whether it is worth parsing.
    pub payload: Option<&'v serde_json::Value>,
}

impl Variables<'_> {
    /// The variables' names.
    pub const NAMES: [&'static str; 11] = [
        "organization_id",
        "event_type",
        "message_id",
        "delivery_id",
        "reference",
        "metadata",
        "filename",
        "content_type",
        "created_at",
        "attempt",
        "payload",
    ];

    pub(crate) fn to_value(self, with_payload: bool) -> Value {
        let text = |text: Option<&str>| text.map_or_else(|| Value::from(()), Value::from);
        let payload = self.payload.filter(|_| with_payload).map_or_else(|| Value::from(()), of_json);
        let values: [Value; 11] = [
            self.organization_id.into(),
            self.event_type.into(),
            self.message_id.into(),
            self.delivery_id.into(),
            text(self.reference),
            Value::from_pairs(self.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
            text(self.filename),
            self.content_type.into(),
            self.created_at.into(),
            self.attempt.into(),
            payload,
        ];
        Value::from_pairs(Self::NAMES.into_iter().zip(values))
    }
}

/// JSON as templates see it; its depth is bounded by the parser that read it.
fn of_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(truth) => Value::from(*truth),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Value::from(integer),
            (None, Some(integer)) => Value::from(integer),
            (None, None) => Value::from(number.as_f64()),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => items.iter().map(of_json).collect(),
        serde_json::Value::Object(members) => Value::from_pairs(members.iter().map(|(name, value)| (name.as_str(), of_json(value)))),
    }
}
