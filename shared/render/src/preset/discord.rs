//! Renders a message for a Discord webhook.
//!
//! Discord interprets Markdown, links with their own text, and mentions. A message mentions no one
//! (`allowed_mentions`) and shows no previews of links (`flags`), and Markdown in a payload is
//! shown as text.

use serde_json::{Value, json};

use super::{Bounded, Message, markdown};

/// Discord accepts 2,000 characters. The rest is for the link.
const TEXT_MAX_CHARS: usize = 1_700;
const URL_MAX_CHARS: usize = 290;
/// The message flag `SUPPRESS_EMBEDS`.
const FLAGS: u64 = 1 << 2;
const SPECIAL: &[char] = &['\\', '*', '_', '~', '`', '|', '<', '>', '[', ']', '#', '@'];

pub(super) fn body(message: &Message<'_>) -> Value {
    let text = markdown::escape(
        Bounded::new(TEXT_MAX_CHARS).push_all("**"),
        &message.title,
        SPECIAL,
    )
    .push_all("**\n");
    let mut text = markdown::escape(text, &message.details, SPECIAL).text;
    if let Some(url) = message
        .url
        .as_ref()
        .filter(|url| url.chars().count() < URL_MAX_CHARS)
    {
        text.push('\n');
        text.push_str(url);
    }
    json!({"content": text, "allowed_mentions": {"parse": []}, "flags": FLAGS})
}

#[cfg(test)]
mod tests {
    use domain::settings::webhook::Preset;

    use super::super::tests::rendered;
    use super::*;

    #[test]
    fn no_text_of_a_payload_is_a_mention_a_link_or_a_heading() {
        let payload =
            json!("@everyone <@1> [your bank](https://evil.example) # big ||hidden|| `code`");
        let body = rendered(Preset::Discord, "a.b", payload);
        assert_eq!(
            (&body["allowed_mentions"], &body["flags"]),
            (&json!({"parse": []}), &json!(4))
        );
        let shown = r#""\@everyone \<\@1\> \[your bank\](https://evil.example) \# big \|\|hidden\|\| \`code\`""#;
        assert_eq!(body["content"], format!("**a.b**\n{shown}"));
    }

    #[test]
    fn waybills_own_link_stays_a_link() {
        let payload = json!({"data": {"destination": {"name": "A", "id": "dst_1",
            "url": "https://w.example/destinations/dst_1_"}}});
        let body = rendered(Preset::Discord, "waybill.destination.failing", payload);
        assert!(
            body["content"]
                .as_str()
                .unwrap()
                .ends_with("\nhttps://w.example/destinations/dst_1_"),
            "{body}"
        );
    }
}
