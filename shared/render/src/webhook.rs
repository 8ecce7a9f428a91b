//! A webhook's body: the payload as it is, a template's, or what a chat or pager service takes.

use bytes::Bytes;
use domain::settings::webhook::{Preset, WebhookSettings};
use serde_json::{Value, json};
use template::{Limits, Template};

use crate::{Fault, Notice, Wording};

/// What a service's message may hold: the smallest of theirs is Discord's 2,000 characters.
const TEXT_CHARS_MAX: usize = 1900;

/// A request's body and its media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookBody {
    /// The bytes.
    pub bytes: Bytes,
    /// Their type.
    pub content_type: String,
}

/// Whether the payload is reshaped, and so has to be at hand.
#[must_use]
pub fn reshapes(settings: &WebhookSettings) -> bool {
    settings.body_template.is_some() || settings.preset.is_some()
}

/// Makes the body; `routing_key` is what a pager service knows the customer by.
pub fn body(settings: &WebhookSettings, wording: &Wording, payload: Bytes, routing_key: &str) -> Result<WebhookBody, Fault> {
    if let Some(source) = &settings.body_template {
        let template = Template::compile(source, Limits::BODY).map_err(|error| Fault::of("body_template", error))?;
        let text = template.render(&wording.variables()).map_err(|error| Fault::of("body_template", error))?;
        let content_type = settings.content_type.clone().unwrap_or_else(|| "application/json".to_owned());
        return Ok(WebhookBody { bytes: text.into(), content_type });
    }
    match settings.preset {
        None => Ok(WebhookBody { bytes: payload, content_type: wording.content_type.clone() }),
        Some(preset) => {
            let json = of_preset(preset, wording, routing_key).to_string();
            Ok(WebhookBody { bytes: json.into(), content_type: "application/json".to_owned() })
        }
    }
}

fn of_preset(preset: Preset, wording: &Wording, routing_key: &str) -> Value {
    let notice = Notice::of(wording);
    let details = details(&notice, wording);
    match preset {
        Preset::Slack => json!({"text": bounded(&format!("*{}*\n{details}", slack(&notice.title)))}),
        Preset::Discord => json!({"content": bounded(&format!("**{}**\n{details}", notice.title)), "allowed_mentions": {"parse": []}}),
        Preset::Teams => teams(&notice, &details),
        Preset::Pagerduty => pagerduty(&notice, &details, wording, routing_key),
    }
}

/// What there is to know: a notice's lines, else the payload.
fn details(notice: &Notice, wording: &Wording) -> String {
    match (&*notice.lines, &wording.payload) {
        ([], Some(payload)) => serde_json::to_string_pretty(payload).unwrap_or_default(),
        _ => notice.text(),
    }
}

/// The three characters that Slack's own markup is made of.
fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn teams(notice: &Notice, details: &str) -> Value {
    let block = |text: &str, weight: &str| json!({"type": "TextBlock", "text": bounded(text), "wrap": true, "weight": weight});
    let mut card = json!({
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "body": [block(&notice.title, "Bolder"), block(details, "Default")],
    });
    if let Some(url) = &notice.url {
        card["actions"] = json!([{"type": "Action.OpenUrl", "title": "Open", "url": url}]);
    }
    json!({"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}]})
}

/// An event of PagerDuty's Events API v2: what recovers or is enabled resolves what its destination triggered.
fn pagerduty(notice: &Notice, details: &str, wording: &Wording, routing_key: &str) -> Value {
    let destination = wording.payload.as_ref().and_then(|payload| payload["data"]["destination"]["id"].as_str());
    let resolves = matches!(&*wording.event_type, "waybill.destination.recovered" | "waybill.destination.enabled");
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": if resolves { "resolve" } else { "trigger" },
        "dedup_key": destination.unwrap_or(&wording.message_id),
        "payload": {
            "summary": bounded_to(&notice.title, 1024),
            "source": "waybill",
            "severity": if wording.event_type == "waybill.destination.disabled" { "critical" } else { "error" },
            "timestamp": wording.created_at,
            "custom_details": {"event_type": wording.event_type, "details": bounded(details)},
        },
    });
    if let Some(url) = &notice.url {
        event["links"] = json!([{"href": url, "text": "Open in Waybill"}]);
    }
    event
}

fn bounded(text: &str) -> String {
    bounded_to(text, TEXT_CHARS_MAX)
}

fn bounded_to(text: &str, max: usize) -> String {
    let mut characters = text.chars();
    let kept: String = characters.by_ref().take(max).collect();
    if characters.next().is_some() { kept + "…" } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::input::{Errors, Fields};
    use std::collections::BTreeMap;

    fn rendered(settings: Value, event_type: &str, payload: Value) -> Result<(Value, String), Fault> {
        let errors = Errors::default();
        let members = settings.as_object().cloned().unwrap_or_default();
        let settings = WebhookSettings::read(&mut Fields::new("", members, &errors)).unwrap();
        let wording = Wording {
            organization_id: "org_1".to_owned(),
            event_type: event_type.to_owned(),
            message_id: "msg_1".to_owned(),
            delivery_id: "dlv_1_00".to_owned(),
            reference: None,
            metadata: BTreeMap::new(),
            filename: None,
            content_type: "application/json".to_owned(),
            created_at: "2026-11-26T00:00:00.000Z".to_owned(),
            attempt: 1,
            payload: Some(payload.clone()),
        };
        let made = body(&settings, &wording, payload.to_string().into(), "key")?;
        Ok((serde_json::from_slice(&made.bytes).unwrap_or_default(), made.content_type))
    }

    #[test]
    fn a_payload_without_template_and_preset_goes_as_it_is() {
        let (body, kind) = rendered(json!({"url": "https://x.example"}), "a.b", json!({"n": 1})).unwrap();
        assert_eq!((body, &*kind), (json!({"n": 1}), "application/json"));
    }

    #[test]
    fn a_template_reshapes_it() {
        let settings = json!({"url": "https://x.example", "body_template": "{\"t\": {{ payload.n | json }}}", "content_type": "application/vnd.x+json"});
        let (body, kind) = rendered(settings, "a.b", json!({"n": "x\"y"})).unwrap();
        assert_eq!((body, &*kind), (json!({"t": "x\"y"}), "application/vnd.x+json"));
        let missing = json!({"url": "https://x.example", "body_template": "{{ payload.gone.more }}"});
        assert_eq!(rendered(missing, "a.b", json!({})).unwrap_err().name, "body_template");
    }

    #[test]
    fn a_pager_is_resolved_by_the_destination_that_triggered_it() {
        let settings = || json!({"url": "https://x.example", "preset": "pagerduty"});
        let data = json!({"data": {"destination": {"id": "dst_1", "name": "Billing"}}});
        let (triggered, _) = rendered(settings(), "waybill.destination.failing", data.clone()).unwrap();
        let (resolved, _) = rendered(settings(), "waybill.destination.recovered", data).unwrap();
        assert_eq!([&triggered["event_action"], &resolved["event_action"]], ["trigger", "resolve"]);
        assert_eq!([&triggered["dedup_key"], &resolved["dedup_key"]], ["dst_1", "dst_1"]);
        assert_eq!(triggered["routing_key"], "key");
    }

    #[test]
    fn chats_get_text() {
        let of = |preset: &str| rendered(json!({"url": "https://x.example", "preset": preset}), "a.b", json!({"n": "<&>"})).unwrap().0;
        assert!(of("slack")["text"].as_str().unwrap().starts_with("*a.b*\n"));
        assert!(of("discord")["content"].as_str().unwrap().starts_with("**a.b**\n"));
        assert_eq!(of("teams")["attachments"][0]["content"]["body"][0]["text"], "a.b");
    }
}
