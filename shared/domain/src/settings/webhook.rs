//! A webhook: an HTTP endpoint that takes signed requests (destinations.md, webhook).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use strum::IntoStaticStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Address, Anchor, CALL_SECONDS, NamedAnchor};
use crate::input::{Errors, FieldCode, Fields, pointer_token};
use crate::limits::{HEADER_VALUE_MAX_BYTES, HEADERS_MAX, URL};

/// The length of a template of a body.
pub const BODY_TEMPLATE: RangeInclusive<usize> = 1..=65_536;
/// The length of a user agent, and of the media type of what a template makes.
pub const HEADER_TEXT: RangeInclusive<usize> = 1..=200;

/// What a webhook can be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WebhookSettings {
    /// Where requests go; absent when the credentials say it.
    pub url: Option<String>,
    /// How they are made.
    pub method: Method,
    /// Custom headers, by the names the customer wrote.
    pub headers: BTreeMap<String, String>,
    /// Whether requests are signed.
    pub signature: Signature,
    /// The time limit of the whole attempt.
    pub timeout_seconds: u32,
    /// Instead of Waybill's own.
    pub user_agent: Option<String>,
    /// How far the connection check goes.
    pub check: CheckDepth,
    /// The service at the other end, when it is one that takes messages of its own shape.
    pub preset: Option<Preset>,
    /// Makes the body from the payload; left out, the payload is the body.
    pub body_template: Option<String>,
    /// What the template makes; `application/json` by default.
    pub content_type: Option<String>,
    /// Whether the answer `410 Gone` disables the destination.
    #[serde(default = "yes")]
    pub disable_on_gone: bool,
}

/// What settings mean that were kept before the member existed.
fn yes() -> bool {
    true
}

/// Services that take messages of their own shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// An incoming webhook of Slack.
    Slack,
    /// A workflow of Microsoft Teams.
    Teams,
    /// A webhook of Discord.
    Discord,
    /// Version 2 of PagerDuty's Events API; the bearer token is its integration key.
    Pagerduty,
}

/// The HTTP methods a webhook may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE")]
pub enum Method {
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
}

impl Method {
    /// As on the request line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Whether requests are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// They are, by default.
    pub enabled: bool,
}

/// How far the connection check of a webhook goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckDepth {
    /// A signed POST of type `waybill.destination.check`; success expected. A chat service shows it
    /// as a message, and PagerDuty opens no incident.
    Request,
    /// Stops after TLS, for receivers that must know the secret first.
    Connect,
}

/// What the reader makes of an object without members.
impl Default for WebhookSettings {
    fn default() -> Self {
        let errors = Errors::default();
        Self::read(&mut Fields::new("", Map::new(), &errors))
            .expect("every setting of a webhook has a default")
    }
}

impl WebhookSettings {
    /// The default settings of a webhook at this URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Some(url.into()),
            ..Self::default()
        }
    }

    /// What decides which server receives the secrets of a webhook.
    pub(super) fn anchors(&self) -> Vec<NamedAnchor<'_>> {
        let Self {
            url,
            method: _,
            headers: _,
            signature: _,
            timeout_seconds: _,
            user_agent: _,
            check: _,
            preset: _,
            body_template: _,
            content_type: _,
            disable_on_gone: _,
        } = self;
        vec![("url", Anchor::Address(url.as_deref().map(Address::Url)))]
    }

    /// Reads settings. Whether a URL must be there depends on the credentials.
    pub fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let url = fields.text("url", URL);
        let method = fields.choice(
            "method",
            &[
                ("POST", Method::Post),
                ("PUT", Method::Put),
                ("PATCH", Method::Patch),
            ],
        );
        let headers = read_headers(fields);
        let enabled = fields
            .object("signature", |signature| signature.boolean("enabled"))
            .flatten();
        let timeout = CALL_SECONDS.read(fields, "timeout_seconds");
        let user_agent = fields.text("user_agent", HEADER_TEXT);
        if user_agent
            .as_deref()
            .is_some_and(|agent| !is_header_value(agent))
        {
            fields.refuse(
                "user_agent",
                FieldCode::InvalidFormat,
                "must be printable ASCII",
            );
        }
        let check = fields.choice(
            "check",
            &[
                ("request", CheckDepth::Request),
                ("connect", CheckDepth::Connect),
            ],
        );
        let presets = [
            ("slack", Preset::Slack),
            ("teams", Preset::Teams),
            ("discord", Preset::Discord),
            ("pagerduty", Preset::Pagerduty),
        ];
        let preset = fields.choice("preset", &presets);
        let body_template = fields.text("body_template", BODY_TEMPLATE);
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
        Some(Self {
            url,
            method: method.unwrap_or(Method::Post),
            headers,
            signature: Signature {
                enabled: enabled.unwrap_or(true),
            },
            timeout_seconds: timeout.unwrap_or(CALL_SECONDS.usual()),
            user_agent,
            check: check.unwrap_or(CheckDepth::Request),
            preset,
            body_template,
            content_type,
            disable_on_gone: fields.boolean("disable_on_gone").unwrap_or(true),
        })
    }
}

fn read_headers(fields: &mut Fields<'_>) -> BTreeMap<String, String> {
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

/// `type/subtype`, with or without parameters (RFC 9110 §8.3.1).
#[must_use]
pub fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    is_header_value(text)
        && essence
            .split_once('/')
            .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

/// RFC 9110 §5.1: a token.
#[must_use]
pub fn is_header_name(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.len() <= 100 && name.bytes().all(token)
}

/// Visible ASCII, spaces and tabs, no space at the ends.
#[must_use]
pub fn is_header_value(value: &str) -> bool {
    value.trim() == value && value.bytes().all(|b| matches!(b, 0x20..=0x7e | b'\t'))
}

/// Whether a header's name says that its value proves who sends it. Settings are readable by
/// everybody who may read the destination, so such a value belongs to the credentials.
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
    /// What stands in front of `key` when it is not the key of a record.
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

/// Headers no customer may set (api.md, Settled details): HTTP's own, hop-by-hop ones, and those
/// that vouch for us.
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
    fn headers_that_carry_secrets_are_told_by_their_names() {
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
