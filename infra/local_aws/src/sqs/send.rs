//! A message to send, after all checks.

use super::attributes;
use super::limits::{self, REQUEST_BYTES_MAX};
use super::receipt::md5_hex;
use super::refusal::Refusal;
use super::wire::SendRequest;

/// The message attribute that names a subgroup within the message group. Subgroups share what the
/// group may use. SQS ignores it.
const SUBGROUP_ATTRIBUTE: &str = "place";

/// A message within all limits.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) body: String,
    /// The message attributes as JSON; `None` if there are none.
    pub(super) attributes: Option<String>,
    pub(super) trace_header: Option<String>,
    pub(super) group: Option<String>,
    /// The subgroup within the group, from the message attribute [`SUBGROUP_ATTRIBUTE`].
    pub(super) subgroup: Option<String>,
    /// Overrides the queue's delay.
    pub(super) delay_seconds: Option<u32>,
}

/// The digests of a message's body, attributes and system attributes.
#[derive(Debug, Clone)]
pub(super) struct Digests {
    pub(super) body: String,
    pub(super) attributes: Option<String>,
    pub(super) system_attributes: Option<String>,
}

impl Outgoing {
    pub(super) fn check(sending: SendRequest) -> Result<(Self, Digests), Refusal> {
        let body = sending
            .message_body
            .filter(|body| !body.is_empty())
            .ok_or(Refusal::MissingParameter("MessageBody"))?;
        limits::body_characters(&body)?;
        let attribute_bytes = attributes::check(&sending.message_attributes)?;
        if body.len() + attribute_bytes > REQUEST_BYTES_MAX {
            return Err(Refusal::InvalidParameters(format!(
                "Message must be shorter than {REQUEST_BYTES_MAX} bytes."
            )));
        }
        attributes::check(&sending.message_system_attributes)?;
        sending
            .message_group_id
            .as_deref()
            .map(limits::group_id)
            .transpose()?;
        let digests = Digests {
            body: md5_hex(body.as_bytes()),
            attributes: attributes::digest(&sending.message_attributes),
            system_attributes: attributes::digest(&sending.message_system_attributes),
        };
        let subgroup = sending
            .message_attributes
            .get(SUBGROUP_ATTRIBUTE)
            .and_then(|subgroup| subgroup.string_value.clone());
        let attributes = match sending.message_attributes {
            none if none.is_empty() => None,
            some => Some(
                serde_json::to_string(&some)
                    .map_err(|error| Refusal::Serialization(error.to_string()))?,
            ),
        };
        let trace_header = sending
            .message_system_attributes
            .get("AWSTraceHeader")
            .and_then(|header| header.string_value.clone());
        let delay_seconds = sending
            .delay_seconds
            .map(limits::delay_seconds)
            .transpose()?;
        Ok((
            Self {
                body,
                attributes,
                trace_header,
                group: sending.message_group_id,
                subgroup,
                delay_seconds,
            },
            digests,
        ))
    }
}
