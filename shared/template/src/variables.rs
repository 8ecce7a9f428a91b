//! The values that a template can use about a message.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::Value;

use crate::Payload;
use crate::meter::Meter;

/// The variables of every template.
#[derive(Clone, Copy, Debug)]
pub struct Variables<'v> {
    /// The organization's id: `org_…`.
    pub organization_id: &'v str,
    /// The event type, such as `report.ready`.
    pub event_type: &'v str,
    /// The message's id: `msg_…`.
    pub message_id: &'v str,
    /// The delivery's id: `dlv_…`.
    pub delivery_id: &'v str,
    /// The customer's reference for the message.
    pub reference: Option<&'v str>,
    /// The metadata that the customer attached to the message.
    pub metadata: &'v BTreeMap<String, String>,
    /// The payload's filename, if it has one.
    pub filename: Option<&'v str>,
    /// The payload's media type.
    pub content_type: &'v str,
    /// When the message was accepted: RFC 3339 in UTC with milliseconds.
    pub created_at: &'v str,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// For a fallback, the delivery that failed.
    pub failed_delivery_id: Option<&'v str>,
    /// For a fallback, the reason why that delivery failed.
    pub reason: Option<&'v str>,
    /// The payload, if it is JSON.
    pub payload: &'v Payload,
    /// The URL from which the payload can be downloaded; see
    /// [`Template::compile_mail_text`](crate::Template::compile_mail_text).
    pub link: Option<&'v str>,
}

impl Variables<'_> {
    /// The names of the variables.
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

    /// The name of the variable that only the texts of an e-mail have.
    pub const LINK: &'static str = "link";

    /// Returns the root value. The payload is read only with `with_payload`.
    pub(crate) fn to_value(self, with_payload: bool, meter: &Arc<Meter>) -> Value {
        let text = |text: Option<&str>| text.map_or_else(|| Value::from(()), Value::from);
        let values: [Value; 12] = [
            self.organization_id.into(),
            self.event_type.into(),
            self.message_id.into(),
            self.delivery_id.into(),
            text(self.reference),
            Value::from_pairs(
                self.metadata
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            ),
            text(self.filename),
            self.content_type.into(),
            self.created_at.into(),
            self.attempt.into(),
            text(self.failed_delivery_id),
            text(self.reason),
        ];
        let payload = if with_payload {
            self.payload.to_value(meter)
        } else {
            None
        };
        let payload = payload.map(|payload| ("payload", payload));
        let link = (Self::LINK, text(self.link));
        Value::from_pairs(
            Self::NAMES
                .into_iter()
                .zip(values)
                .chain(payload)
                .chain([link]),
        )
    }
}
