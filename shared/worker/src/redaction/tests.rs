//! Tests each kind of secret, in each form in which a server may return it, in each place where it
//! is kept.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use domain::Reason;
use domain::check::{CheckStep, StepName};
use domain::receipt::Receipt;
use serde_json::json;

use super::*;

/// A kind of secret: the text that the vault opens, and the part that a server sees and may return.
const KINDS: [(&str, &str, &str); 17] = [
    (
        "secret_url",
        "https://hooks.example/services/T0AB12CD/B0EF34GH/kEy7Key8/Key9?x=1",
        "/services/T0AB12CD/B0EF34GH/kEy7Key8/Key9",
    ),
    (
        "secret_url, whole",
        "https://hooks.example/in/kEy7Key8Key9?token=t0Ken",
        "https://hooks.example/in/kEy7Key8Key9?token=t0Ken",
    ),
    (
        "secret_url, query",
        "https://hooks.example/in?token=q\"u<e>r8&y%2B1234",
        "q\"u<e>r8",
    ),
    (
        "headers",
        "planted \"header\" <value>",
        "planted \"header\" <value>",
    ),
    ("api_key", "planted/api+key=value", "planted/api+key=value"),
    (
        "bearer",
        "eyJhbGciOi.eyJzdWIi_-.c2lnbmF0dXJl",
        "eyJhbGciOi.eyJzdWIi_-.c2lnbmF0dXJl",
    ),
    ("basic", "pass:word/&\"\\ö", "pass:word/&\"\\ö"),
    ("client_secret", "c1ient~secret.Q8Q~", "c1ient~secret.Q8Q~"),
    (
        "refresh_token",
        "1//0g-refresh_token",
        "1//0g-refresh_token",
    ),
    (
        "access_key",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCY",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCY",
    ),
    (
        "account_key",
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq==",
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq",
    ),
    (
        "sas_token",
        "sv=2022-11-02&se=2027-01-01T00:00:00Z&sig=q1w2e3r4%2Bt5y6u7%3D",
        "q1w2e3r4+t5y6u7=",
    ),
    (
        "service_account",
        "{\"type\":\"service_account\",\"private_key\":\"-----BEGIN \
         X-----\\nMIIEvQIBADANBgkqhkiG9w0B\\n\"}",
        "MIIEvQIBADANBgkqhkiG9w0B",
    ),
    ("password", "p\u{e4}ss'w0rd`{}", "p\u{e4}ss'w0rd`{}"),
    (
        "private_key",
        "-----BEGIN Y-----\nb3BlbnNzaC1rZXktdjEAAAAA\nQyNTUxOQAAACBqDQuHgVcJ\n-----END Y-----\n",
        "QyNTUxOQAAACBqDQuHgVcJ",
    ),
    (
        "connection_string",
        "postgres://app:p%40ss%2Fw0rd@db.example/app",
        "p@ss/w0rd",
    ),
    (
        "signing_secret",
        "whsec_cGxhbnRlZC1zaWduaW5nLXNlY3JldA==",
        "cGxhbnRlZC1zaWduaW5nLXNlY3JldA==",
    ),
];

/// Escapes every character as `\u0041`, in two UTF-16 units if necessary.
fn json_units(text: &str) -> String {
    text.encode_utf16()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect()
}

fn json_escaped(text: &str) -> String {
    json!(text).to_string().trim_matches('"').to_owned()
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

fn html_escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
        .replace('/', "&#x2F;")
}

/// Splits a text in the middle.
fn folded(text: &str, line_break: &str) -> String {
    let (start, end) = text.split_at(text.floor_char_boundary(text.len() / 2));
    format!("{start}{line_break}{end}")
}

/// Returns the forms, and each form inside each other one.
fn forms(secret: &str) -> Vec<(String, String)> {
    let shifted = |before: &str| STANDARD.encode(format!("{before}{secret} and more"));
    let mut forms: Vec<(&str, String)> = vec![
        ("raw", secret.to_owned()),
        ("upper case", secret.to_ascii_uppercase()),
        ("JSON", json_escaped(secret)),
        ("JSON of PHP", json_escaped(secret).replace('/', "\\/")),
        ("JSON, each character", json_units(secret)),
        ("percent", percent_encoded(secret)),
        (
            "percent, lower case",
            percent_encoded(secret).to_lowercase(),
        ),
        (
            "percent, each byte",
            secret.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        ),
        (
            "form",
            url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        ),
        ("HTML", html_escaped(secret)),
        (
            "HTML, decimal",
            secret
                .chars()
                .map(|c| format!("&#{};", u32::from(c)))
                .collect(),
        ),
        (
            "HTML, hexadecimal",
            secret
                .chars()
                .map(|c| format!("&#x{:X};", u32::from(c)))
                .collect(),
        ),
        ("base64", STANDARD.encode(secret)),
        ("base64 without padding", STANDARD_NO_PAD.encode(secret)),
        ("base64url", URL_SAFE.encode(secret)),
        ("base64url without padding", URL_SAFE_NO_PAD.encode(secret)),
        ("base64 at 1", shifted("u")),
        ("base64 at 2", shifted("\0u")),
        ("base64 at 3", shifted("us:")),
        (
            "hexadecimal",
            secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ),
        (
            "hexadecimal, upper case",
            secret.bytes().map(|byte| format!("{byte:02X}")).collect(),
        ),
        (
            "quoted-printable",
            secret.bytes().map(|byte| format!("={byte:02X}")).collect(),
        ),
        ("quoted-printable, folded", folded(secret, "=\r\n")),
        ("over two lines", folded(secret, "\r\n")),
        ("over two lines, indented", folded(secret, "\n    ")),
        (
            "base64 over two lines, indented",
            folded(&STANDARD.encode(secret), "\r\n "),
        ),
    ];
    let nested = [
        ("JSON of HTML", json_escaped(&html_escaped(secret))),
        ("HTML of JSON", html_escaped(&json_escaped(secret))),
        ("JSON in JSON", json_escaped(&json_escaped(secret))),
        ("percent twice", percent_encoded(&percent_encoded(secret))),
        (
            "percent of base64",
            percent_encoded(&STANDARD.encode(secret)),
        ),
        (
            "JSON of PHP of base64",
            STANDARD.encode(secret).replace('/', "\\/"),
        ),
        (
            "base64 of JSON",
            STANDARD.encode(json!({"echo": secret}).to_string()),
        ),
    ];
    forms.extend(nested);
    forms
        .into_iter()
        .map(|(name, form)| (name.to_owned(), form))
        .collect()
}

/// Returns whether any decoding of the text contains eight consecutive characters of the secret.
fn is_readable(secret: &str, text: &str) -> bool {
    // The scheme and host of a URL are not secret.
    let folded: Vec<u8> = secret
        .trim_start_matches("https://hooks.example")
        .bytes()
        .map(fold)
        .collect();
    let readings: Vec<Vec<u8>> = layers(text, 4)
        .unwrap()
        .iter()
        .map(|layer| layer.bytes.iter().copied().map(fold).collect())
        .collect();
    folded.windows(8).any(|part| {
        readings
            .iter()
            .any(|reading| memchr::memmem::find(reading, part).is_some())
    })
}

fn redactor(secret: &str) -> Redactor {
    Redactor {
        needles: needles([secret]),
    }
}

/// Returns an attempt whose record contains `form` everywhere.
fn echoing(form: &str) -> Attempted {
    let sentence = format!("Cannot read `{form}`, sorry");
    Attempted {
        outcome: Outcome::delivered(Receipt::SmtpMessage {
            queue_id: Some(sentence.clone()),
            message_id: String::new(),
            reply: form.to_owned(),
        }),
        detail: sentence.clone(),
        request: Some(RequestRecord {
            method: "POST".to_owned(),
            url: "https://receiver.test/…".to_owned(),
            headers: vec![("x-custom".to_owned(), sentence.clone())],
            size_bytes: 1,
            body_sha256: String::new(),
        }),
        response: Some(ResponseRecord {
            status: 404,
            headers: vec![
                ("location".to_owned(), form.to_owned()),
                ("x-echo".to_owned(), sentence.clone()),
            ],
            body: format!("<html>{sentence}</html>"),
            truncated: false,
        }),
        body: None,
    }
}

#[test]
fn no_kind_of_secret_is_readable_in_any_form_in_any_place() {
    for (kind, secret, echoed) in KINDS {
        let redactor = redactor(secret);
        for (form_name, form) in forms(echoed) {
            let attempted = redactor.attempted(echoing(&form));
            let shown = format!("{attempted:?}");
            assert!(
                !shown.contains(&form) && !is_readable(echoed, &shown),
                "{kind} as {form_name}: {shown}"
            );
            let Attempted {
                outcome: Outcome::Delivered(receipt),
                detail,
                request: Some(request),
                response: Some(response),
                ..
            } = attempted
            else {
                panic!("{kind} as {form_name}")
            };
            let (location, echo) = (&response.headers[0].1, &response.headers[1].1);
            let Receipt::SmtpMessage {
                queue_id: Some(id), ..
            } = &*receipt
            else {
                panic!("{kind} as {form_name}")
            };
            let places = [
                &detail,
                id,
                &request.headers[0].1,
                location,
                echo,
                &response.body,
            ];
            for place in places {
                assert!(place.contains(REDACTED), "{kind} as {form_name}: {place}");
                assert!(place.len() < 80, "{kind} as {form_name}: {place}");
            }
            assert!(
                response.body.starts_with("<html>Cannot read `")
                    && response.body.ends_with("`, sorry</html>"),
                "{kind} as {form_name}: {}",
                response.body
            );
        }
    }
}

#[test]
fn a_check_does_not_repeat_a_secret() {
    let detail = "the server answered: bad password hunter22".to_owned();
    let report = CheckReport::of(vec![CheckStep {
        name: StepName::Authenticate,
        ok: Some(false),
        detail,
        reason: None,
        duration_ms: 1,
    }]);
    assert_eq!(
        redactor("hunter22").report(report).steps[0].detail,
        "the server answered: bad password [redacted]"
    );
}

#[test]
fn a_long_secret_is_redacted_before_a_short_one_that_it_contains() {
    let redactor = Redactor {
        needles: needles(["hunter22", "hunter22-and-more"]),
    };
    assert_eq!(
        redactor.text("x hunter22-and-more y hunter22 z"),
        "x [redacted] y [redacted] z"
    );
}

#[test]
fn a_short_secret_is_redacted_only_as_a_word() {
    assert_eq!(
        redactor("test").text("the latest test, a testament"),
        "the latest [redacted], a testament"
    );
    assert_eq!(redactor("abc").text("abc"), "abc");
}

#[test]
fn text_that_is_not_secret_stays_unchanged() {
    let text = "500 Internal Server Error: {\"error\":\"no such \
         table \\\"orders\\\"\",\"trace\":\"4bf92f3577b34da6a3ce929d0e0e4736\"} 100% &amp; ü";
    assert_eq!(redactor("planted-token-0123456789").text(text), text);
    assert_eq!(
        Redactor {
            needles: Vec::new()
        }
        .text(text),
        text
    );
}

#[test]
fn no_cut_leaves_the_beginning_of_a_secret() {
    let secret = "planted-token-0123456789-0123456789";
    for (name, form) in forms(secret)
        .into_iter()
        .filter(|(name, _)| !name.contains(" in ") && !name.contains(" of "))
    {
        for kept in form.len() / 2..form.len() {
            let body = format!(
                "{} {}",
                "x".repeat(300),
                &form[..form.floor_char_boundary(kept)]
            );
            let redacted = redactor(secret).text(&body);
            assert!(
                !is_readable(secret, &redacted),
                "{name} cut at {kept}: {}",
                &redacted[290..]
            );
        }
    }
}

#[test]
fn a_record_is_cut_after_it_was_redacted() {
    let secret = "planted-token-0123456789-0123456789";
    let body = format!(
        "{}{secret}{}",
        "x".repeat(BODY_KEPT_MAX_BYTES - 10),
        "y".repeat(5000)
    );
    let response = ResponseRecord {
        status: 500,
        headers: vec![("h".repeat(10), "v".repeat(9000))],
        body,
        truncated: false,
    };
    let kept = redactor(secret).response(response);
    assert!(
        kept.truncated && kept.body.len() == BODY_KEPT_MAX_BYTES && !kept.body.contains("planted"),
        "{}",
        kept.body
    );
    assert_eq!(kept.headers[0].1.len(), HEADER_KEPT_MAX_BYTES);
}

#[test]
fn a_text_that_unfolds_without_end_is_not_kept() {
    // Each level of base64 decodes to base64 again.
    let mut text = "planted-token-0123456789".repeat(4000);
    for _ in 0..3 {
        text = STANDARD.encode(text);
    }
    assert_eq!(
        redactor("planted-token-0123456789").text(&text),
        UNSEARCHABLE
    );
}

#[test]
fn a_detail_of_waybill_itself_is_redacted_too() {
    let attempted = Attempted::unsent(
        Outcome::Retry(Reason::Protocol),
        "sent wJalrXUtnFEMI/K7MDENG by mistake",
    );
    assert_eq!(
        redactor("wJalrXUtnFEMI/K7MDENG")
            .attempted(attempted)
            .detail,
        "sent [redacted] by mistake"
    );
}
