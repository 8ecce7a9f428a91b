//! Tests that messages arrive with the content that was sent.

use domain::settle::Outcome;
use kit::scripted_mail::{Script, ScriptedMail};
use serde_json::{Value, json};

use crate::bench::{Bench, PUBLIC_URL, delivery, small};

/// Delivers a payload and returns the message as it arrived.
async fn sent(
    settings: Value,
    content_type: &str,
    filename: Option<&str>,
    payload: impl Into<bytes::Bytes>,
) -> String {
    let server = ScriptedMail::start(Script::default()).await;
    let payload = payload.into();
    let delivery = delivery(content_type, filename, payload.len() as u64);
    let attempted = Bench::at(server.port, settings)
        .await
        .deliver(&delivery, payload)
        .await;
    assert!(
        matches!(attempted.outcome, Outcome::Delivered(_)),
        "{attempted:?}"
    );
    String::from_utf8_lossy(&server.messages()[0].bytes).into_owned()
}

#[tokio::test]
async fn a_payload_that_is_not_attached_is_linked_in_every_part() {
    let large = "x".repeat((7 << 20) + 1);
    for (attach, payload) in [("never", "{}"), ("auto", large.as_str())] {
        for templates in [
            json!({"text_template": "Hello"}),
            json!({"html_template": "<p>Hello</p>"}),
            json!({"text_template": "Get it: {{ link }}", "html_template": "<a href=\"{{ link \
                 }}\">get it</a>"}),
            json!({}),
        ] {
            let mut settings = templates;
            settings["attach"] = json!(attach);
            let text = sent(settings.clone(), "text/plain", None, payload.to_owned()).await;
            let parts = text.matches("Content-Type: text/").count();
            let unfolded = text
                .replace("=\r\n", "")
                .replace("&#x2f;", "/")
                .replace("=3D", "=");
            assert_eq!(
                unfolded.matches(&format!("{PUBLIC_URL}/d/")).count(),
                parts,
                "{settings}: {text}"
            );
            assert!(!text.contains("Content-Disposition"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_type_keeps_its_parameters() {
    let text = sent(
        json!({}),
        "text/csv; charset=iso-8859-1",
        Some("r.csv"),
        &b"na\xefve\n"[..],
    )
    .await;
    assert!(
        text.contains("Content-Type: text/csv; charset=iso-8859-1\r\n"),
        "{text}"
    );
    assert!(
        text.contains("Content-Transfer-Encoding: base64\r\n\r\nbmHvdmUK"),
        "{text}"
    );
}

#[tokio::test]
async fn a_message_is_attached_as_it_is() {
    let inner = "Subject: inner\r\n\r\n.a line that starts with a dot\r\n.\r\n";
    let text = sent(json!({}), "message/rfc822", Some("m.eml"), inner).await;
    assert!(text.contains("Content-Type: message/rfc822\r\n"), "{text}");
    assert!(
        text.contains("Content-Transfer-Encoding: 7bit\r\n") && text.contains(inner),
        "{text}"
    );
}

#[tokio::test]
async fn a_subject_that_looks_encoded_arrives_as_its_characters() {
    let text = sent(
        json!({"subject_template": "=?utf-8?q?hello?="}),
        "text/plain",
        None,
        "x",
    )
    .await;
    assert!(
        text.contains("Subject: =?utf-8?B?PT91dGYtOD9xP2hlbGxvPz0=?=\r\n"),
        "{text}"
    );
    let server = ScriptedMail::start(Script::default()).await;
    let subject = "ü =?x ".repeat(40);
    let bench = Bench::at(server.port, json!({"subject_template": subject})).await;
    bench.deliver(&small(), "{}").await;
    let message = server.messages().remove(0).bytes;
    assert!(
        message.split(|b| *b == b'\n').all(|line| line.len() <= 79),
        "{}",
        String::from_utf8_lossy(&message)
    );
}

#[tokio::test]
async fn a_text_never_has_bare_line_ends_or_lines_that_are_too_long() {
    for text in ["a\rb", "a\0b", "a\nb\n.\n..c\n", &"y".repeat(5000), "ünï\n"] {
        let text = sent(
            json!({"text_template": format!("{{{{ {} }}}}", json!(text))}),
            "text/plain",
            None,
            "x",
        )
        .await;
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert!(
            lines
                .iter()
                .all(|line| !line.contains(['\r', '\n', '\0']) && line.len() <= 998),
            "{text:?}"
        );
        assert!(text.is_ascii(), "{text}");
    }
}
