//! Renders an event for PagerDuty's Events API v2.
//!
//! A failure triggers an incident; a recovery or an enabled destination resolves the incident that
//! the same destination triggered. A connection check resolves an incident that does not exist, so
//! that PagerDuty validates the integration key without alerting anyone. PagerDuty shows all texts
//! as plain text.

use serde_json::{Value, json};

use super::{Message, bounded};
use crate::CHECK_EVENT_TYPE;

/// PagerDuty accepts summaries of 1,024 characters.
const SUMMARY_MAX_CHARS: usize = 1_024;
const DETAILS_MAX_CHARS: usize = 4_000;

pub(super) fn body(message: &Message<'_>, routing_key: &str) -> Value {
    let values = message.values;
    // Only Waybill's own events name a destination. Other payloads never resolve or join another
    // incident.
    let payload = values
        .notice_payload()
        .filter(|_| values.event_type.starts_with("waybill.destination."));
    let destination = payload
        .as_ref()
        .and_then(|payload| payload["data"]["destination"]["id"].as_str());
    match &*values.event_type {
        CHECK_EVENT_TYPE => return resolve(routing_key, &values.message_id),
        "waybill.destination.recovered" | "waybill.destination.enabled" => {
            return resolve(routing_key, destination.unwrap_or(&values.message_id));
        }
        _ => {}
    }
    let severity = match &*values.event_type {
        "waybill.destination.disabled" => "critical",
        "waybill.test" => "info",
        _ => "error",
    };
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": destination.unwrap_or(&values.message_id),
        "payload": {
            "summary": bounded(&message.title, SUMMARY_MAX_CHARS),
            "source": "waybill",
            "severity": severity,
            "timestamp": values.created_at,
            "custom_details": {"event_type": values.event_type,
                "details": bounded(&message.details, DETAILS_MAX_CHARS)},
        },
    });
    if let Some(url) = &message.url {
        event["links"] = json!([{"href": url, "text": "Open in Waybill"}]);
    }
    event
}

/// Resolves an incident. PagerDuty accepts an unknown key and ignores it.
fn resolve(routing_key: &str, dedup_key: &str) -> Value {
    json!({"routing_key": routing_key, "event_action": "resolve", "dedup_key": dedup_key})
}

#[cfg(test)]
mod tests {
    use domain::settings::webhook::Preset;

    use super::super::tests::rendered;
    use super::*;

    fn event(event_type: &str) -> Value {
        rendered(
            Preset::Pagerduty,
            event_type,
            json!({"data": {"destination": {"id": "dst_1", "name": "Billing"}}}),
        )
    }

    #[test]
    fn an_incident_is_resolved_by_the_destination_that_triggered_it() {
        let (triggered, resolved) = (
            event("waybill.destination.failing"),
            event("waybill.destination.recovered"),
        );
        assert_eq!(
            [&triggered["event_action"], &resolved["event_action"]],
            ["trigger", "resolve"]
        );
        assert_eq!(
            [&triggered["dedup_key"], &resolved["dedup_key"]],
            ["dst_1", "dst_1"]
        );
        assert_eq!(
            [&triggered["routing_key"], &resolved["routing_key"]],
            ["key", "key"]
        );
    }

    #[test]
    fn a_check_neither_opens_nor_resolves_a_real_incident() {
        let checked = event(CHECK_EVENT_TYPE);
        assert_eq!(
            (&checked["event_action"], &checked["dedup_key"]),
            (&json!("resolve"), &json!("msg_1"))
        );
    }

    #[test]
    fn an_incident_of_a_payload_that_names_a_destination_is_its_own() {
        assert_eq!(event("report.ready")["dedup_key"], "msg_1");
    }
}
