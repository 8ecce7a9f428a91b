//! Renders a card for a workflow or connector of Microsoft Teams.
//!
//! Text blocks of Adaptive Cards interpret a part of Markdown, including links with their own text.
//! Markdown in a payload is shown as text.

use serde_json::{Value, json};

use super::{Bounded, Message, markdown};

/// Teams accepts messages of 28 KB.
const TEXT_MAX_CHARS: usize = 4_000;
const SPECIAL: &[char] = &['\\', '*', '_', '~', '`', '|', '<', '>', '[', ']', '#'];

pub(super) fn body(message: &Message<'_>) -> Value {
    let block = |text: &str, weight: &str| {
        let text = markdown::escape(Bounded::new(TEXT_MAX_CHARS), text, SPECIAL).text;
        json!({"type": "TextBlock", "text": text, "wrap": true, "weight": weight})
    };
    let mut card = json!({
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "body": [block(&message.title, "Bolder"), block(&message.details, "Default")],
    });
    if let Some(url) = &message.url {
        card["actions"] =
            json!([{"type": "Action.OpenUrl", "title": "Open in Waybill", "url": url}]);
    }
    json!({"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}]})
}

#[cfg(test)]
mod tests {
    use domain::settings::webhook::Preset;

    use super::super::tests::rendered;
    use super::*;

    #[test]
    fn no_text_of_a_payload_is_a_link_or_a_mention() {
        let payload = json!(
            "[your bank](https://evil.example) ![x](https://evil.example/x.png) <at>all</at> \
             **bold**"
        );
        let card = rendered(Preset::Teams, "a.b", payload)["attachments"][0]["content"].take();
        assert_eq!(card["body"][0]["text"], "a.b");
        let shown = r#""\[your bank\](https://evil.example) !\[x\](https://evil.example/x.png) \<at\>all\</at\> \*\*bold\*\*""#;
        assert_eq!(card["body"][1]["text"], shown);
    }
}
