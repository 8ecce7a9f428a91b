//! Renders a message for a Slack incoming webhook.
//!
//! Slack, *Formatting message text*: `&`, `<` and `>` are escaped everywhere in a text. Mentions,
//! channels and links with their own text require angle brackets.

use serde_json::{Value, json};

use super::{Bounded, Message};

/// Slack accepts 40,000 characters and recommends 4,000.
const TEXT_MAX_CHARS: usize = 3_900;

pub(super) fn body(message: &Message<'_>) -> Value {
    let text = escape(Bounded::new(TEXT_MAX_CHARS).push_all("*"), &message.title).push_all("*\n");
    let mut text = escape(text, &message.details).text;
    if let Some(url) = &message.url {
        text.push('\n');
        text.push_str(&escape(Bounded::new(usize::MAX), url).text);
    }
    json!({"text": text, "unfurl_links": false, "unfurl_media": false})
}

fn escape(mut out: Bounded, text: &str) -> Bounded {
    for c in text.chars() {
        match c {
            '&' => out.push("&amp;"),
            '<' => out.push("&lt;"),
            '>' => out.push("&gt;"),
            c => out.push(c.encode_utf8(&mut [0; 4])),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use domain::settings::webhook::Preset;

    use super::super::tests::rendered;
    use super::*;

    #[test]
    fn no_text_of_a_payload_is_a_mention_or_a_link() {
        let payload = json!({"text": "<!channel> <@U1> <https://evil.example|your bank> a & b"});
        let text = rendered(Preset::Slack, "a.b", payload)["text"].take();
        let text = text.as_str().unwrap();
        assert!(!text.contains(['<', '>']), "{text}");
        assert!(text.starts_with("*a.b*\n"), "{text}");
        assert!(
            text.contains(
                "&lt;!channel&gt; &lt;@U1&gt; &lt;https://evil.example|your bank&gt; a &amp; b"
            ),
            "{text}"
        );
    }

    #[test]
    fn the_title_and_the_lines_of_a_notice_are_escaped_too() {
        let destination = json!({"name": "<!here>", "id": "dst_1", "type": "webhook",
            "url": "https://w.example/?a=1&b=2"});
        let payload = json!({"data": {"destination": destination, "detail": "<!channel>",
            "reason": "rejected"}});
        let text = rendered(Preset::Slack, "waybill.destination.failing", payload)["text"].take();
        let text = text.as_str().unwrap();
        assert!(
            text.starts_with("*&lt;!here&gt; is failing*\n")
                && text.contains("rejected: &lt;!channel&gt;"),
            "{text}"
        );
        assert!(text.ends_with("\nhttps://w.example/?a=1&amp;b=2"), "{text}");
    }
}
