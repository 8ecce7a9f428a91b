//! The settings of webhooks: HTTP endpoints that receive signed requests.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use strum::IntoStaticStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Address, Anchor, CALL_SECONDS, NamedAnchor, read_timeout};
use crate::credentials::Decides;
use crate::input::{Errors, FieldCode, Fields, pointer_token};
use crate::limits::{HEADER_VALUE_MAX_BYTES, HEADERS_MAX, URL};
use crate::media_type::is_media_type;

/// The length of the template of a body, in characters.
pub const BODY_TEMPLATE: RangeInclusive<usize> = 1..=65_536;
/// The length of a user agent, and of the media type of a rendered body.
pub const HEADER_TEXT: RangeInclusive<usize> = 1..=200;
/// The pattern of the value of a header: printable ASCII without spaces at its ends.
pub const HEADER_VALUE: &str = "^[!-~]([ -~]*[!-~])?$";
/// Whether requests are signed by default.
const SIGNED: bool = true;

/// The settings of a webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WebhookSettings {
    /// The URL of the endpoint; `None` if it is part of the credentials.
    pub url: Option<String>,
    /// The HTTP method of the requests.
    pub method: Method,
    /// The custom headers, with their names as the customer wrote them.
    pub headers: BTreeMap<String, String>,
    /// Whether requests are signed.
    pub signature: Signature,
    /// The time limit of the whole attempt, in seconds.
    pub timeout_seconds: u32,
    /// The value of the `User-Agent` header that replaces Waybill's own.
    pub user_agent: Option<String>,
    /// The extent of the connection check.
    pub check: CheckDepth,
    /// The service that receives the requests, if it requires messages in a format of its own.
    pub preset: Option<Preset>,
    /// The template that renders the body from the payload; without it, the payload is the body.
    pub body_template: Option<String>,
    /// The media type of the rendered body; `application/json` by default.
    pub content_type: Option<String>,
    /// Whether the response `410 Gone` disables the destination.
    #[serde(default = "yes")]
    pub disable_on_gone: bool,
}

/// The default for settings that were stored before the member existed.
fn yes() -> bool {
    true
}

/// The services that require messages in a format of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// An incoming webhook of Slack.
    Slack,
    /// A workflow webhook of Microsoft Teams.
    Teams,
    /// A channel webhook of Discord.
    Discord,
    /// Version 2 of PagerDuty's Events API. The bearer token is the integration key.
    Pagerduty,
}

/// The HTTP methods a webhook may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE")]
pub enum Method {
    /// The method `POST`, which is the default.
    Post,
    /// The method `PUT` of HTTP.
    Put,
    /// The method `PATCH` of HTTP.
    Patch,
}

impl Method {
    /// Returns the method as it is written in the request line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Whether requests are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Whether requests are signed; true by default.
    pub enabled: bool,
}

/// The extent of the connection check of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckDepth {
    /// The check sends a signed request of the type `waybill.destination.check` and expects a
    /// success. A chat service shows it as a message; PagerDuty opens no incident.
    Request,
    /// The check ends after the TLS handshake, for receivers that must be configured with the
    /// secret first.
    Connect,
}

/// The settings that are read from an empty object.
impl Default for WebhookSettings {
    fn default() -> Self {
        let errors = Errors::default();
        Self::read(&mut Fields::new("", Map::new(), &errors))
            .expect("every setting of a webhook has a default")
    }
}

impl WebhookSettings {
    /// Creates the default settings of a webhook at this URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Some(url.into()),
            ..Self::default()
        }
    }

    /// Returns the settings that determine which server receives the secrets of a webhook.
    pub(super) fn anchors(&self) -> Vec<NamedAnchor<'_>> {
        let Self { url, .. } = self;
        vec![("url", Anchor::Address(url.as_deref().map(Address::Url)))]
    }

    /// Reads the settings. Whether `url` is required depends on the credentials.
    pub fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.describe("url", Decides::Recipient, || {
            json!({"type": ["string", "null"], "format": "uri", "minLength": URL.start(),
                "maxLength": URL.end(), "description": "The https URL that requests are sent to. \
                     Leave it out with credentials of the kind secret_url."})
        });
        let url = fields.text("url", URL);
        let methods = [
            ("POST", Method::Post),
            ("PUT", Method::Put),
            ("PATCH", Method::Patch),
        ];
        let method = fields.word("method", Decides::Nothing, &methods, Method::Post, None);
        let headers = read_headers(fields);
        fields.describe("signature", Decides::Nothing, || {
            json!({"type": "object",
                "description": "Whether requests are signed as Standard Webhooks specifies.",
                "properties": {"enabled": {"type": "boolean", "default": SIGNED}},
                "additionalProperties": false,
                "default": {"enabled": SIGNED}})
        });
        let enabled = fields
            .object("signature", |signature| signature.boolean("enabled"))
            .flatten();
        let timeout_seconds = read_timeout(fields, CALL_SECONDS);
        let user_agent = read_user_agent(fields);
        let checks = [
            ("request", CheckDepth::Request),
            ("connect", CheckDepth::Connect),
        ];
        let check = fields.word(
            "check",
            Decides::Nothing,
            &checks,
            CheckDepth::Request,
            Some(CHECK),
        );
        let preset = read_preset(fields);
        let (body_template, content_type) = read_body(fields);
        Some(Self {
            url,
            method,
            headers,
            signature: Signature {
                enabled: enabled.unwrap_or(SIGNED),
            },
            timeout_seconds,
            user_agent,
            check,
            preset,
            body_template,
            content_type,
            disable_on_gone: fields.flag(
                "disable_on_gone",
                Decides::Nothing,
                true,
                "Whether the response 410 Gone disables the destination.",
            ),
        })
    }
}

const CHECK: &str = "How the connection is checked. request sends a signed POST and expects \
                     success: a chat service shows it as a message, and PagerDuty opens no \
                     incident. connect stops after TLS.";

fn read_user_agent(fields: &mut Fields<'_>) -> Option<String> {
    fields.describe("user_agent", Decides::Nothing, || {
        json!({"type": ["string", "null"], "minLength": HEADER_TEXT.start(),
            "maxLength": HEADER_TEXT.end(), "pattern": HEADER_VALUE, "default": null})
    });
    let user_agent = fields.text("user_agent", HEADER_TEXT);
    fields.check_format(
        "user_agent",
        user_agent.as_deref(),
        is_header_value,
        "must be printable ASCII",
    );
    user_agent
}

fn read_preset(fields: &mut Fields<'_>) -> Option<Preset> {
    let presets = [
        ("slack", Preset::Slack),
        ("teams", Preset::Teams),
        ("discord", Preset::Discord),
        ("pagerduty", Preset::Pagerduty),
    ];
    fields.describe("preset", Decides::Nothing, || {
        let words: Vec<Option<&str>> = presets
            .iter()
            .map(|(word, _)| Some(*word))
            .chain([None])
            .collect();
        json!({"enum": words, "default": null, "description": "A service with a message format of \
             its own. It also decides how text is escaped and which responses are successes. \
             PagerDuty's integration key is the bearer token."})
    });
    fields.choice("preset", &presets)
}

/// Reads the template of the body, and the media type of what it renders.
fn read_body(fields: &mut Fields<'_>) -> (Option<String>, Option<String>) {
    fields.describe("body_template", Decides::Nothing, || {
        json!({"type": ["string", "null"], "format": "multiline",
            "minLength": BODY_TEMPLATE.start(), "maxLength": BODY_TEMPLATE.end(),
            "default": null, "description": "A template for the body of the request. Default: \
                 the payload as it is."})
    });
    let body_template = fields.text("body_template", BODY_TEMPLATE);
    fields.describe("content_type", Decides::Nothing, || {
        json!({"type": ["string", "null"], "minLength": HEADER_TEXT.start(),
            "maxLength": HEADER_TEXT.end(), "default": null,
            "description": "The content type of the body that the template renders. Default: \
                 application/json."})
    });
    let content_type = fields.text("content_type", HEADER_TEXT);
    if content_type
        .as_deref()
        .is_some_and(|kind| !is_media_type(kind))
    {
        fields.refuse(
            "content_type",
            FieldCode::InvalidFormat,
            "must be a media type, such as application/json",
        );
    } else if content_type.is_some() && body_template.is_none() {
        fields.refuse(
            "content_type",
            FieldCode::Conflict,
            "is allowed only with body_template",
        );
    }
    (body_template, content_type)
}

fn read_headers(fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    fields.describe("headers", Decides::Nothing, || {
        json!({"type": "object",
            "description": "Headers to add to every request. Headers that Waybill or HTTP sets \
                 are refused.",
            "maxProperties": HEADERS_MAX,
            "additionalProperties": {"type": "string", "maxLength": HEADER_VALUE_MAX_BYTES},
            "default": {}})
    });
    let Some(members) = fields.members("headers") else {
        return BTreeMap::new();
    };
    if members.len() > HEADERS_MAX {
        fields.refuse(
            "headers",
            FieldCode::TooLong,
            format!("must have at most {HEADERS_MAX} headers"),
        );
        return BTreeMap::new();
    }
    let errors = fields.errors();
    let mut headers = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for (name, value) in members {
        let pointer = format!("{}/{}", fields.pointer_to("headers"), pointer_token(&name));
        let refuse = |code, detail: &str| errors.add(&*pointer, code, detail);
        match value {
            _ if !is_header_name(&name) => refuse(FieldCode::InvalidFormat, "is not a header name"),
            _ if is_reserved_header(&name) => refuse(
                FieldCode::Reserved,
                "is a header that Waybill or HTTP sets itself",
            ),
            _ if header_carries_secret(&name) => {
                refuse(
                    FieldCode::Reserved,
                    "carries a secret, which settings show to every reader; send it in \
                     credentials of the kind headers",
                );
            }
            _ if !seen.insert(name.to_ascii_lowercase()) => refuse(
                FieldCode::Conflict,
                "is the same header as another one here",
            ),
            Value::String(value) if value.len() > HEADER_VALUE_MAX_BYTES => {
                refuse(
                    FieldCode::TooLong,
                    &format!("must have at most {HEADER_VALUE_MAX_BYTES} bytes"),
                );
            }
            Value::String(value) if !is_header_value(&value) => {
                refuse(FieldCode::InvalidFormat, "must be printable ASCII")
            }
            Value::String(value) => {
                headers.insert(name, value);
            }
            _ => refuse(FieldCode::InvalidType, "must be a string"),
        }
    }
    headers
}

/// Returns whether the text is a header name of at most 100 bytes: a token of RFC 9110 §5.1.
#[must_use]
pub fn is_header_name(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.len() <= 100 && name.bytes().all(token)
}

/// Returns whether the text consists of visible ASCII characters, spaces and tabs, without white
/// space at its ends.
#[must_use]
pub fn is_header_value(value: &str) -> bool {
    value.trim() == value && value.bytes().all(|b| matches!(b, 0x20..=0x7e | b'\t'))
}

/// Returns whether a header's name indicates that its value authenticates the sender. All readers
/// of a destination can see its settings, so such a value belongs in the credentials.
#[must_use]
pub fn header_carries_secret(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "apikey",
        "auth",
        "authentication",
        "authorization",
        "credential",
        "credentials",
        "jwt",
        "passphrase",
        "passwd",
        "password",
        "pwd",
        "secret",
        "token",
    ];
    /// The words before `key` in names of secrets. With other words it is the key of a record.
    const KEYS: &[&str] = &[
        "access",
        "account",
        "api",
        "app",
        "application",
        "auth",
        "client",
        "functions",
        "integration",
        "license",
        "master",
        "private",
        "routing",
        "secret",
        "security",
        "service",
        "shared",
        "signing",
        "subscription",
    ];
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name
        .split(['-', '_', '.'])
        .filter(|word| !word.is_empty())
        .collect();
    let runs_together = |word: &str| {
        word.ends_with("token") || word.ends_with("secret") || word.ends_with("apikey")
    };
    match &*words {
        _ if words
            .iter()
            .any(|word| matches!(*word, "cookie" | "cookie2" | "authorization")) =>
        {
            true
        }
        [.., before, "key"] => KEYS.contains(before),
        [.., last] => WORDS.contains(last) || runs_together(last),
        [] => false,
    }
}

/// Returns whether customers may not set the header: the headers of HTTP
/// itself, hop-by-hop headers, and those that identify Waybill.
#[must_use]
pub fn is_reserved_header(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "keep-alive",
        "expect",
        "idempotency-key",
        "traceparent",
        "tracestate",
    ];
    const PREFIXES: &[&str] = &["proxy-", "webhook-", "waybill-"];
    let name = name.to_ascii_lowercase();
    NAMES.contains(&&*name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_carry_secrets_are_recognized_by_their_names() {
        for secret in [
            "Authorization",
            "authorization",
            "Cookie",
            "Set-Cookie",
            "X-Api-Key",
            "x_api_key",
            "Api-Key",
            "ApiKey",
            "X-Auth-Token",
            "X-Auth",
            "Proxy-Authorization",
            "X-Amz-Security-Token",
            "Ocp-Apim-Subscription-Key",
            "X-Functions-Key",
            "Private-Token",
            "X-Gitlab-Token",
            "X-Goog-Api-Key",
            "DD-API-KEY",
            "X-Secret",
            "X-Client-Secret",
            "X-Password",
            "X-Authentication",
            "X-AccessToken",
            "X-Routing-Key",
            "X-Forwarded-Authorization",
            "X-Authorization-Bearer",
        ] {
            assert!(header_carries_secret(secret), "{secret}");
        }
        for plain in [
            "X-A",
            "X-Team",
            "X-Environment",
            "X-Token-Type",
            "X-Partition-Key",
            "X-Sort-Key",
            "X-Author",
            "Accept",
            "X-Key",
            "-",
            "",
        ] {
            assert!(!header_carries_secret(plain), "{plain}");
        }
    }
}
