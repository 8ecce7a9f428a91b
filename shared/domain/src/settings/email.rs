//! The settings of e-mail destinations.

mod mailbox;

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use mailbox::{ADDRESS_MAX, MAILBOX_MAX, Mailbox, NotAMailbox};

use super::{Address, Anchor, CALL_SECONDS, NamedAnchor, read_timeout};
use crate::bounds::Bounds;
use crate::credentials::Decides;
use crate::input::{FieldCode, Fields};
use crate::limits::{HOST, PORT};

/// The length of a template for the text or HTML of a mail, in characters.
pub const TEMPLATE: RangeInclusive<usize> = 1..=65_536;
/// The length of a template for the subject of a mail, in characters.
pub const SUBJECT_TEMPLATE: RangeInclusive<usize> = 1..=4096;
/// The port of a mail server. The default is 465 instead if the connection begins with TLS.
const SMTP_PORT: Bounds<u16> = PORT.with_default(587);
/// The default port of a mail server whose connections begin with TLS.
const SMTPS_PORT: u16 = 465;
/// The maximum number of recipients of one mail in `to`, `cc` and `bcc` together.
pub const RECIPIENTS_MAX: usize = 50;

/// The settings of an e-mail destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmailSettings {
    /// The service that sends the mail: `"ses"`, or `{"smtp": {…}}`.
    pub transport: Transport,
    /// The sender of the mail.
    pub from: Mailbox,
    /// The recipients of the mail.
    pub to: Vec<Mailbox>,
    /// The recipients of a copy.
    pub cc: Vec<Mailbox>,
    /// The recipients of a blind copy.
    pub bcc: Vec<Mailbox>,
    /// The mailbox to which replies are sent.
    pub reply_to: Option<Mailbox>,
    /// The template of the subject; without it, Waybill describes the message in the subject.
    pub subject_template: Option<String>,
    /// The template of the plain text; without it, Waybill describes the message and shows a JSON
    /// payload.
    pub text_template: Option<String>,
    /// The template of the HTML; without it, only alerts and status updates have an HTML version.
    pub html_template: Option<String>,
    /// Whether the payload is attached.
    pub attach: Attach,
    /// The time limit of the whole attempt, in seconds.
    pub timeout_seconds: u32,
}

/// The service that sends the mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// The mail is sent through Amazon SES.
    Ses,
    /// The mail is sent through a mail server.
    Smtp(Smtp),
}

/// The address of a mail server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Smtp {
    /// The host name or IP address.
    pub host: String,
    /// The TCP port: by default 587, or 465 with `tls`.
    pub port: u16,
    /// The encryption of the connection.
    pub security: Security,
}

/// The encryption of a connection to a mail server, from the weakest to the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// The connection is not encrypted; for development only.
    None,
    /// The connection is encrypted after STARTTLS, which the server must offer.
    Starttls,
    /// The connection is encrypted from the first byte.
    Tls,
}

/// Whether the payload is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attach {
    /// The payload is attached up to 7 MiB; otherwise the mail contains a link.
    Auto,
    /// The payload is always attached; the delivery fails if it is larger than 25 MiB.
    Always,
    /// The mail contains a link to the payload.
    Never,
}

impl EmailSettings {
    /// Reads the settings. Returns `None` if a required member is missing or invalid; the mistake
    /// is recorded.
    pub fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.describe("transport", Decides::Recipient, transport_schema);
        let transport = read_transport(fields);
        let given = fields.given("from");
        fields.describe("from", Decides::Nothing, || {
            json!({"type": "string", "format": "email", "maxLength": MAILBOX_MAX,
                "description": "The sender: an address, or a name followed by an address in angle \
                     brackets."})
        });
        let from = fields.parsed("from", Mailbox::parse);
        let from = fields.require("from", given, from);
        let to_given = fields.given("to");
        fields.describe("to", Decides::Nothing, || {
            json!({"type": "array", "minItems": 1, "maxItems": RECIPIENTS_MAX,
                "items": mailbox_schema(), "description": format!(
                    "The recipients: at most {RECIPIENTS_MAX}, including cc and bcc.")})
        });
        let to = fields.parsed_list("to", RECIPIENTS_MAX, Mailbox::parse);
        let to = fields.require("to", to_given, to);
        let cc = read_copies(fields, "cc", "Recipients of a copy.");
        let description = "Recipients of a blind copy, whom the others do not see.";
        let bcc = read_copies(fields, "bcc", description);
        if let Some(to) = &to {
            check_recipients(fields, to.len(), cc.len() + bcc.len());
        }
        fields.describe("reply_to", Decides::Nothing, || {
            json!({"type": ["string", "null"], "format": "email", "maxLength": MAILBOX_MAX,
                "default": null})
        });
        let reply_to = fields.parsed("reply_to", Mailbox::parse);
        let [subject_template, text_template, html_template] = TEMPLATES
            .map(|(name, length, description)| read_template(fields, name, length, description));
        let attachments = [
            ("auto", Attach::Auto),
            ("always", Attach::Always),
            ("never", Attach::Never),
        ];
        let attach = fields.word(
            "attach",
            Decides::Nothing,
            &attachments,
            Attach::Auto,
            Some(ATTACH),
        );
        let timeout_seconds = read_timeout(fields, CALL_SECONDS);
        Some(Self {
            transport: transport?,
            from: from?,
            to: to?,
            cc,
            bcc,
            reply_to,
            subject_template,
            text_template,
            html_template,
            attach,
            timeout_seconds,
        })
    }

    /// Returns the settings that determine which server receives the secrets of an e-mail
    /// destination.
    pub(super) fn anchors(&self) -> Vec<NamedAnchor<'_>> {
        let Self { transport, .. } = self;
        let (kind, address, security) = match transport {
            Transport::Ses => ("ses", None, Security::Tls),
            Transport::Smtp(Smtp {
                host,
                port,
                security,
            }) => ("smtp", Some(Address::Host { host, port: *port }), *security),
        };
        vec![
            ("transport", Anchor::Exactly(Some(kind.into()))),
            ("transport/smtp/host", Anchor::Address(address)),
            ("transport/smtp/security", Anchor::AtLeast(security as u8)),
        ]
    }

    /// Returns all recipients of the mail.
    pub fn recipients(&self) -> impl Iterator<Item = &Mailbox> {
        self.to.iter().chain(&self.cc).chain(&self.bcc)
    }
}

/// The templates of a mail: the name of the setting, its length, and its description.
const TEMPLATES: [(&str, RangeInclusive<usize>, &str); 3] = [
    (
        "subject_template",
        SUBJECT_TEMPLATE,
        "A template for the subject of the mail. Default: the event type.",
    ),
    (
        "text_template",
        TEMPLATE,
        "A template for the text version of the mail. Default: the payload.",
    ),
    (
        "html_template",
        TEMPLATE,
        "A template for the HTML version of the mail. Values are escaped.",
    ),
];
const ATTACH: &str = "Whether the payload is attached. auto: attached up to 7 MiB, and linked to \
                      above that.";

fn mailbox_schema() -> Value {
    json!({"type": "string", "format": "email", "maxLength": MAILBOX_MAX})
}

/// Refuses a mail without a recipient in `to`, or with too many recipients.
fn check_recipients(fields: &Fields<'_>, to: usize, copies: usize) {
    if to == 0 {
        fields.refuse(
            "to",
            FieldCode::TooShort,
            "must have at least one recipient",
        );
    } else if to + copies > RECIPIENTS_MAX {
        fields.refuse(
            "to",
            FieldCode::TooLong,
            format!("to, cc and bcc must have at most {RECIPIENTS_MAX} recipients together"),
        );
    }
}

fn read_copies(fields: &mut Fields<'_>, name: &str, description: &str) -> Vec<Mailbox> {
    fields.describe(name, Decides::Nothing, || {
        json!({"type": "array", "maxItems": RECIPIENTS_MAX, "items": mailbox_schema(),
            "default": [], "description": description})
    });
    fields
        .parsed_list(name, RECIPIENTS_MAX, Mailbox::parse)
        .unwrap_or_default()
}

fn read_template(
    fields: &mut Fields<'_>,
    name: &str,
    length: RangeInclusive<usize>,
    description: &str,
) -> Option<String> {
    fields.describe(name, Decides::Nothing, || {
        json!({"type": ["string", "null"], "format": "multiline",
            "minLength": length.start(), "maxLength": length.end(), "default": null,
            "description": description})
    });
    fields.text(name, length)
}

/// Reads the transport, which is written as `"ses"`, as `{"smtp": {…}}`, or with its name next to
/// its members: `{"kind": "smtp", …}`.
fn read_transport(fields: &mut Fields<'_>) -> Option<Transport> {
    let refuse = |fields: &Fields<'_>, code, detail: &str| {
        fields.refuse("transport", code, detail);
        None
    };
    match fields.take("transport") {
        None => fields.require("transport", false, None),
        Some(Value::String(name)) if name == "ses" => Some(Transport::Ses),
        Some(Value::Object(mut members)) if members.len() == 1 && members.contains_key("smtp") => {
            match members.remove("smtp") {
                Some(Value::Object(smtp)) => {
                    let mut inner = Fields::new(
                        format!("{}/smtp", fields.pointer_to("transport")),
                        smtp,
                        fields.errors(),
                    );
                    let smtp = read_smtp(&mut inner);
                    inner.finish();
                    smtp.map(Transport::Smtp)
                }
                _ => refuse(
                    fields,
                    FieldCode::InvalidType,
                    "smtp must be an object with host, port and security",
                ),
            }
        }
        Some(Value::Object(members)) => read_named(fields, members),
        Some(_) => refuse(
            fields,
            FieldCode::InvalidValue,
            "must be \"ses\" or {\"smtp\": {\"host\", \"port\", \"security\"}}",
        ),
    }
}

fn read_named(fields: &Fields<'_>, members: Map<String, Value>) -> Option<Transport> {
    let mut inner = Fields::new(fields.pointer_to("transport"), members, fields.errors());
    let name = if inner.has("type") { "type" } else { "kind" };
    let given = inner.given(name);
    let is_smtp = inner.choice(name, &[("ses", false), ("smtp", true)]);
    let is_smtp = inner.require(name, given, is_smtp);
    let transport = match is_smtp {
        None => {
            inner.take_rest();
            None
        }
        Some(false) => Some(Transport::Ses),
        Some(true) => read_smtp(&mut inner).map(Transport::Smtp),
    };
    inner.finish();
    transport
}

fn read_smtp(fields: &mut Fields<'_>) -> Option<Smtp> {
    let host = fields.required_text("host", HOST);
    let port = SMTP_PORT.read(fields, "port");
    let choices = [
        ("starttls", Security::Starttls),
        ("tls", Security::Tls),
        ("none", Security::None),
    ];
    let security = fields
        .choice("security", &choices)
        .unwrap_or(Security::Starttls);
    let usual = if security == Security::Tls {
        SMTPS_PORT
    } else {
        SMTP_PORT.default_value()
    };
    Some(Smtp {
        host: host?,
        port: port.unwrap_or(usual),
        security,
    })
}

fn transport_schema() -> Value {
    let smtp = json!({
        "type": "object",
        "properties": {
            "host": {"type": "string", "minLength": HOST.start(), "maxLength": HOST.end()},
            "port": SMTP_PORT.schema(),
            "security": {"enum": ["starttls", "tls", "none"], "default": "starttls"}
        },
        "required": ["host"],
        "additionalProperties": false
    });
    json!({"oneOf": [
        {"const": "ses", "title": "Amazon SES"},
        {"type": "object", "title": "SMTP", "properties": {"smtp": smtp}, "required": ["smtp"],
            "additionalProperties": false}
    ]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Errors;

    fn read(json: Value) -> Result<EmailSettings, Vec<(String, FieldCode)>> {
        let errors = Errors::default();
        let mut fields = Fields::new("/settings", json.as_object().cloned().unwrap(), &errors);
        let settings = EmailSettings::read(&mut fields);
        fields.finish();
        let found = errors.into_result(()).map_err(|found| {
            found
                .into_iter()
                .map(|e| (e.pointer.unwrap(), e.code))
                .collect::<Vec<_>>()
        });
        found.map(|()| settings.expect("no mistakes"))
    }

    #[test]
    fn stored_items_read_back() {
        let json = json!({"transport": {"smtp": {"host": "smtp.example.com"}},
            "from": "Reports <reports@acme.example>", "to": ["a@b.example"]});
        let settings = read(json).unwrap();
        let Transport::Smtp(smtp) = &settings.transport else {
            panic!("smtp")
        };
        assert_eq!(
            (smtp.port, smtp.security, settings.timeout_seconds),
            (587, Security::Starttls, 15)
        );
        let stored = serde_json::to_value(&settings).unwrap();
        assert_eq!(stored["from"], "Reports <reports@acme.example>");
        assert_eq!(read(stored).unwrap(), settings);
        let named = json!({"transport": {"kind": "smtp", "host": "h.example", "security": "tls"},
            "from": "a@b.example", "to": ["a@b.example"]});
        assert_eq!(
            read(named).unwrap().transport,
            Transport::Smtp(Smtp {
                host: "h.example".into(),
                port: 465,
                security: Security::Tls
            })
        );
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let json = json!({"transport": {"smtp": {"port": 0}}, "from": "nobody", "to": [],
            "cc": ["a@b.example\r\nBcc: c@d.example"], "reply_to": 1,
            "attach": "maybe", "timeout_seconds": 61, "colour": "red"});
        let mut found: Vec<String> = read(json)
            .unwrap_err()
            .into_iter()
            .map(|(pointer, _)| pointer)
            .collect();
        found.sort();
        let mut expected = [
            "transport/smtp/host",
            "transport/smtp/port",
            "from",
            "to",
            "cc/0",
            "reply_to",
            "attach",
            "timeout_seconds",
            "colour",
        ]
        .map(|name| format!("/settings/{name}"));
        expected.sort();
        assert_eq!(found, expected);
        let many: Vec<String> = (0..30).map(|n| format!("u{n}@b.example")).collect();
        let found =
            read(json!({"transport": "ses", "from": "a@b.example", "to": many, "cc": many}))
                .unwrap_err();
        assert_eq!(found, [("/settings/to".to_owned(), FieldCode::TooLong)]);
    }
}
