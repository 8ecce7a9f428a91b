//! Renders messages for chat and on-call services in each service's format.
//!
//! Payloads contain text of people who may not be allowed to write to the service's channel, so
//! each service's module escapes what the service would interpret as a mention, a link or
//! formatting. Waybill's own links are written as links.

mod discord;
mod markdown;
mod pagerduty;
mod slack;
mod teams;

use domain::settings::webhook::Preset;
use serde_json::Value;

use crate::{Fault, Notice, TemplateValues};

/// The content of a service's message before it is escaped.
struct Message<'w> {
    /// The title, which is one line.
    title: String,
    /// The lines of a notice, or the payload.
    details: String,
    /// The URL of a page of Waybill with more information.
    url: Option<String>,
    values: &'w TemplateValues,
}

/// Renders the body of a request to a service. `routing_key` is the customer's key for PagerDuty.
pub(crate) fn body(
    preset: Preset,
    values: &TemplateValues,
    routing_key: &str,
) -> Result<Value, Fault> {
    let Notice {
        title, lines, url, ..
    } = Notice::of(values);
    let payload = if lines.is_empty() {
        values.payload_indented()
    } else {
        Ok(None)
    };
    let payload = payload.map_err(|detail| Fault::of("preset", detail))?;
    let details = payload.unwrap_or_else(|| lines.join("\n"));
    let message = Message {
        title,
        details,
        url,
        values,
    };
    Ok(match preset {
        Preset::Slack => slack::body(&message),
        Preset::Discord => discord::body(&message),
        Preset::Teams => teams::body(&message),
        Preset::Pagerduty => pagerduty::body(&message, routing_key),
    })
}

/// A text of limited length. It ends with `…` if something is left out, but never within an escape.
struct Bounded {
    text: String,
    chars_left: usize,
    is_cut: bool,
}

impl Bounded {
    /// Creates a text of at most `max` characters.
    fn new(max: usize) -> Self {
        Self {
            text: String::new(),
            chars_left: max.saturating_sub(1),
            is_cut: false,
        }
    }

    /// Adds a character, which may be written as an escape.
    fn push(&mut self, unit: &str) {
        let chars = unit.chars().count();
        if self.is_cut {
            return;
        }
        if chars > self.chars_left {
            self.is_cut = true;
            self.text.push('…');
            return;
        }
        self.chars_left -= chars;
        self.text.push_str(unit);
    }

    /// Adds a text without escaping it.
    fn push_all(mut self, text: &str) -> Self {
        let mut buffer = [0; 4];
        text.chars()
            .for_each(|c| self.push(c.encode_utf8(&mut buffer)));
        self
    }
}

/// Returns at most `max` characters of `text`.
fn bounded(text: &str, max: usize) -> String {
    Bounded::new(max).push_all(text).text
}

#[cfg(test)]
mod tests {

    use serde_json::json;

    use super::*;

    pub(super) fn rendered(preset: Preset, event_type: &str, payload: Value) -> Value {
        let values = crate::template_values::sample(event_type, &payload);
        body(preset, &values, "key").unwrap()
    }

    #[test]
    fn a_text_is_cut_between_characters_and_never_within_an_escape() {
        assert_eq!(bounded("abc", 4), "abc");
        assert_eq!(bounded("abcd", 4), "abc…");
        let mut text = Bounded::new(6);
        ["a", "&amp;", "b"].iter().for_each(|unit| text.push(unit));
        assert_eq!(text.text, "a…");
    }

    #[test]
    fn a_long_payload_fits_what_each_service_takes() {
        let payload = || json!({"text": "<*_@&".repeat(20_000)});
        let chars = |value: &Value| value.as_str().unwrap().chars().count();
        assert!(chars(&rendered(Preset::Slack, "a.b", payload())["text"]) <= 40_000);
        assert!(chars(&rendered(Preset::Discord, "a.b", payload())["content"]) <= 2_000);
        assert!(rendered(Preset::Teams, "a.b", payload()).to_string().len() <= 28 * 1024);
        assert!(
            rendered(Preset::Pagerduty, "a.b", payload())
                .to_string()
                .len()
                <= 512 * 1024
        );
    }
}
