//! What a template can say about a message (destinations.md, Common settings).

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::Value;

use crate::Payload;
use crate::meter::Meter;

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
    /// Of a fallback: the delivery that failed.
    pub failed_delivery_id: Option<&'v str>,
    /// Of a fallback: why that delivery failed.
    pub reason: Option<&'v str>,
    /// The payload, where it is JSON.
    pub payload: &'v Payload,
    /// Where the payload can be downloaded; see [`Template::compile_mail_text`](crate::Template::compile_mail_text).
    pub link: Option<&'v str>,
}

impl Variables<'_> {
    /// The variables' names.
    pub const NAMES: [&'static str; 13] = [
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
        "failed_delivery_id",
        "reason",
        "payload",
    ];

    /// The name of the variable that only the texts of a mail have.
    pub const LINK: &'static str = "link";

    /// `with_payload`: the payload is read only for templates that name it.
    pub(crate) fn to_value(self, with_payload: bool, meter: &Arc<Meter>) -> Value {
        let text = |text: Option<&str>| text.map_or_else(|| Value::from(()), Value::from);
        let values: [Value; 12] = [
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
            text(self.failed_delivery_id),
            text(self.reason),
        ];
        let payload = if with_payload { self.payload.to_value(meter) } else { None };
        let payload = payload.map(|payload| ("payload", payload));
        let link = (Self::LINK, text(self.link));
        Value::from_pairs(Self::NAMES.into_iter().zip(values).chain(payload).chain([link]))
    }
}
