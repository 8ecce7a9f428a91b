//! Describes an event in words that a person can act on: the destination, the
//! reason, the start, the counter and its threshold, what happens next, and a link.

use serde_json::Value;

use crate::TemplateValues;
use crate::defang::{defanged, quoted};

/// An event in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The subject of an e-mail about it, which contains no text of a customer.
    pub subject: String,
    /// The title, which is one line.
    pub title: String,
    /// The customer's text with which the title begins, if there is one.
    pub name: Option<String>,
    /// The facts, one per line.
    pub lines: Vec<String>,
    /// The URL with more information.
    pub url: Option<String>,
}

impl Notice {
    /// Describes an event of Waybill itself. Any other event is described by its type.
    #[must_use]
    pub fn of(values: &TemplateValues) -> Self {
        let payload = values.notice_payload();
        let data = payload.as_ref().map(|payload| &payload["data"]);
        match (values.event_type.strip_prefix("waybill."), data) {
            (Some(kind), Some(data))
                if kind.starts_with("destination.") && data["destination"].is_object() =>
            {
                destination(kind, data)
            }
            (Some(kind), Some(data)) if kind.starts_with("delivery.") => {
                delivery(kind, &data["delivery"])
            }
            (Some("message.completed"), Some(data)) => message(&data["message"]),
            _ => Self {
                subject: values.event_type.clone(),
                title: values.event_type.clone(),
                name: None,
                lines: Vec::new(),
                url: None,
            },
        }
    }

    /// Returns the notice for Waybill's own e-mail, in which texts of customers and receivers are
    /// not links.
    #[must_use]
    pub(crate) fn without_links(self) -> Self {
        let lines = self.lines.iter().map(|line| defanged(line)).collect();
        let named = self
            .name
            .as_ref()
            .and_then(|name| Some((name, self.title.strip_prefix(name.as_str())?)));
        let title = named.map_or_else(
            || defanged(&self.title),
            |(name, rest)| format!("{}{rest}", quoted(name)),
        );
        Self {
            title,
            lines,
            ..self
        }
    }

    /// Returns the lines as one text.
    #[must_use]
    pub fn text(&self) -> String {
        let url = self.url.iter().map(String::as_str);
        self.lines
            .iter()
            .map(String::as_str)
            .chain(url)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

fn destination(kind: &str, data: &Value) -> Notice {
    let named = words(&data["destination"]["name"]);
    let name = named.as_deref().unwrap_or("A destination");
    if kind == "destination.check" {
        let line =
            "Waybill checked that it can deliver to this destination. Nothing was delivered.";
        let subject = "Waybill: connection check".to_owned();
        return Notice {
            subject,
            title: format!("{name}: connection check"),
            name: None,
            lines: vec![line.to_owned()],
            url: None,
        };
    }
    let title = match kind {
        "destination.failing" => format!("{name} is failing"),
        "destination.disabled" => format!("{name} was disabled"),
        "destination.enabled" => format!("{name} was enabled"),
        "destination.recovered" => format!("{name} has recovered"),
        other => format!("{name}: {other}"),
    };
    let mut lines = Vec::new();
    lines.extend(
        joined(
            &[
                words(&data["destination"]["type"]),
                words(&data["destination"]["id"]),
            ],
            " ",
        )
        .map(|what| format!("Destination: {what}")),
    );
    let why = joined(&[words(&data["reason"]), words(&data["detail"])], ": ");
    lines.extend(why.map(|why| format!("Reason: {why}")));
    lines.extend(words(&data["since"]).map(|since| format!("Since: {since}")));
    let is_rate = data["failure_rate"].is_object();
    if let Some(failures) = data["consecutive_failures"]
        .as_u64()
        .filter(|failures| *failures > 0 && !is_rate)
    {
        let alert = data["alert_after_failures"]
            .as_u64()
            .map(|n| format!("an alert at {n}"));
        let disable = data["disable_after_failures"]
            .as_u64()
            .map(|n| format!("disabled at {n}"));
        let thresholds = joined(&[alert, disable], ", ")
            .map(|text| format!(" ({text})"))
            .unwrap_or_default();
        lines.push(format!("Consecutive failures: {failures}{thresholds}"));
    }
    lines.extend(
        data["pending"]
            .as_u64()
            .map(|pending| format!("Pending deliveries: {pending}")),
    );
    let next_check = words(&data["next_check_at"]);
    lines.extend(next_check.iter().map(|at| format!("Next check: {at}")));
    let next = match data["next"].as_str() {
        Some("retrying") => Some("Deliveries continue to be attempted."),
        Some("will_be_disabled") => {
            Some("The destination will be disabled if it continues to fail.")
        }
        Some("disabled") if next_check.is_some() => Some(
            "Waybill will check it again. When a check passes, the destination is enabled and \
             receives what it missed.",
        ),
        Some("disabled") => Some(
            "No deliveries are made until someone enables it; skipped deliveries can be replayed.",
        ),
        _ => None,
    };
    lines.extend(next.map(|next| format!("What happens next: {next}")));
    let subject = match kind {
        "destination.failing" => "Waybill: a destination is failing",
        "destination.disabled" => "Waybill: a destination was disabled",
        "destination.enabled" => "Waybill: a destination was enabled",
        "destination.recovered" => "Waybill: a destination has recovered",
        _ => "Waybill: a destination event",
    };
    Notice {
        subject: subject.to_owned(),
        title,
        name: named.clone(),
        lines,
        url: words(&data["destination"]["url"]),
    }
}

fn delivery(kind: &str, delivery: &Value) -> Notice {
    let how = if kind == "delivery.failed" {
        "failed"
    } else {
        "succeeded"
    };
    let id = words(&delivery["id"]).unwrap_or_default();
    let mut lines = Vec::new();
    lines.extend(words(&delivery["event_type"]).map(|kind| format!("Event type: {kind}")));
    lines.extend(
        words(&delivery["destination_id"]).map(|destination| format!("Destination: {destination}")),
    );
    lines.extend(words(&delivery["reason"]).map(|reason| format!("Reason: {reason}")));
    lines.extend(
        delivery["attempt_count"]
            .as_u64()
            .map(|attempts| format!("Attempts: {attempts}")),
    );
    Notice {
        subject: format!("Waybill: a delivery {how}"),
        title: format!("Delivery {id} {how}"),
        name: None,
        lines,
        url: words(&delivery["url"]),
    }
}

fn message(message: &Value) -> Notice {
    let id = words(&message["id"]).unwrap_or_default();
    let status = words(&message["status"]).unwrap_or_else(|| "completed".to_owned());
    let mut lines = Vec::new();
    lines.extend(words(&message["event_type"]).map(|kind| format!("Event type: {kind}")));
    lines.extend(
        message["deliveries"]
            .as_array()
            .map(|deliveries| format!("Deliveries: {}", deliveries.len())),
    );
    let subject = "Waybill: a message was completed".to_owned();
    Notice {
        subject,
        title: format!("Message {id}: {status}"),
        name: None,
        lines,
        url: words(&message["url"]),
    }
}

/// Returns a text on one line.
fn words(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| !text.is_empty())?;
    Some(
        text.chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect(),
    )
}

fn joined(parts: &[Option<String>], between: &str) -> Option<String> {
    let parts: Vec<&str> = parts.iter().flatten().map(String::as_str).collect();
    (!parts.is_empty()).then(|| parts.join(between))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values(event_type: &str, payload: Value) -> TemplateValues {
        crate::template_values::sample(event_type, &payload)
    }

    #[test]
    fn an_alert_says_which_why_since_when_how_often_what_next_and_where() {
        let data = json!({"data": {
            "destination": {"id": "dst_1", "name": "Billing", "type": "webhook",
                "url": "https://waybill.example/console/destinations/dst_1"},
            "reason": "server_error", "detail": "the receiver answered 500",
            "since": "2026-11-26T00:00:00.000Z", "consecutive_failures": 5,
            "alert_after_failures": 5, "disable_after_failures": 20, "pending": 3,
            "next": "will_be_disabled"}});
        let notice = Notice::of(&values("waybill.destination.failing", data));
        assert_eq!(
            (&*notice.title, &*notice.subject),
            ("Billing is failing", "Waybill: a destination is failing")
        );
        assert_eq!(
            notice.text(),
            "Destination: webhook dst_1\nReason: server_error: the receiver answered 500\nSince: 2026-11-26T00:00:00.000Z\n\
             Consecutive failures: 5 (an alert at 5, disabled at 20)\nPending deliveries: 3\nWhat happens next: The destination will be disabled if it continues to fail.\n\
             https://waybill.example/console/destinations/dst_1"
        );
    }

    #[test]
    fn an_alert_of_a_failure_rate_says_how_many_failed_and_one_of_a_disabled_destination_when_it_is_checked()
     {
        let failing = json!({"data": {
            "destination": {"id": "dst_1", "name": "Billing", "type": "webhook"},
            "reason": "failure_rate",
            "detail": "5 of 10 attempts in the last 300 s failed, which is 50 %",
            "since": "2026-11-26T00:00:00.000Z",
            "consecutive_failures": 1, "alert_after_failures": 5, "pending": 0, "next": "retrying",
            "failure_rate": {"percent": 40}}});
        assert_eq!(
            Notice::of(&values("waybill.destination.failing", failing)).text(),
            "Destination: webhook dst_1\nReason: failure_rate: 5 of 10 attempts in the last 300 s failed, which is 50 %\n\
             Since: 2026-11-26T00:00:00.000Z\nPending deliveries: 0\nWhat happens next: Deliveries continue to be attempted."
        );
        let disabled = json!({"data": {"destination": {"id": "dst_1", "name": "Billing",
            "type": "webhook"}, "next": "disabled",
            "next_check_at": "2026-11-26T00:01:00.000Z"}});
        assert_eq!(
            Notice::of(&values("waybill.destination.disabled", disabled)).text(),
            "Destination: webhook dst_1\nNext check: 2026-11-26T00:01:00.000Z\n\
             What happens next: Waybill will check it again. When a check passes, the destination is enabled and receives what it missed."
        );
    }

    #[test]
    fn text_of_customers_stays_on_its_line() {
        let data = json!({"data": {"destination": {"name": "a\r\nBcc: x@example.com"}}});
        assert_eq!(
            Notice::of(&values("waybill.destination.failing", data)).title,
            "a  Bcc: x@example.com is failing"
        );
        assert_eq!(
            Notice::of(&values("report.ready", json!({"data": {}}))).title,
            "report.ready"
        );
    }

    #[test]
    fn a_mail_of_waybill_s_own_has_no_subject_and_no_link_of_a_customer_s() {
        let data = json!({"data": {"destination": {"id": "dst_1", "type": "webhook",
            "name": "Pay at https://evil.example"},
            "detail": "see www.evil.example", "reason": "server_error"}});
        let notice = Notice::of(&values("waybill.destination.disabled", data)).without_links();
        assert_eq!(notice.subject, "Waybill: a destination was disabled");
        assert!(
            !notice.title.contains("://") && !notice.text().contains("evil.example"),
            "{notice:?}"
        );
        assert!(
            notice
                .title
                .contains("\u{201c}Pay at hxxps[:]//evil[.]example\u{201d}"),
            "{notice:?}"
        );
    }
}
