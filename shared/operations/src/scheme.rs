//! JSON Schemas of what each destination type can be told: forms and clients are made from them.

use domain::credentials::CredentialKind;
use domain::limits::{HEADER_VALUE_MAX_BYTES, HEADERS_MAX};
use domain::settings::DestinationType;
use serde_json::{Value, json};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Of `settings`.
pub(crate) fn settings(kind: DestinationType) -> Value {
    match kind {
        DestinationType::Webhook => webhook_settings(),
    }
}

/// Of `credentials`: one form for each `kind`.
pub(crate) fn credentials(kind: DestinationType) -> Value {
    let kinds = match kind {
        DestinationType::Webhook => CredentialKind::WEBHOOK,
    };
    let forms: Vec<Value> = kinds.iter().map(|(name, kind)| credentials_form(name, *kind)).collect();
    json!({"$schema": DIALECT, "oneOf": forms})
}

fn credentials_form(name: &str, kind: CredentialKind) -> Value {
    let mut properties = serde_json::Map::new();
    let mut required = vec!["kind"];
    properties.insert("kind".to_owned(), json!({"const": name}));
    for field in kind.fields() {
        properties
            .insert(field.name.to_owned(), json!({"type": "string", "minLength": 1, "maxLength": field.max, "writeOnly": field.secret}));
        required.push(field.name);
    }
    json!({"type": "object", "title": name, "properties": properties, "required": required, "additionalProperties": false})
}

fn webhook_settings() -> Value {
    json!({
        "$schema": DIALECT,
        "type": "object",
        "properties": {
            "url": {"type": "string", "format": "uri", "minLength": 1, "maxLength": 2048, "description": "Where requests go; https."},
            "method": {"enum": ["POST", "PUT", "PATCH"], "default": "POST"},
            "headers": {
                "type": "object",
                "description": "Custom headers; those that Waybill or HTTP sets itself are refused.",
                "maxProperties": HEADERS_MAX,
                "additionalProperties": {"type": "string", "maxLength": HEADER_VALUE_MAX_BYTES},
                "default": {}
            },
            "signature": {
                "type": "object",
                "description": "Whether requests are signed (Standard Webhooks).",
                "properties": {"enabled": {"type": "boolean", "default": true}},
                "additionalProperties": false,
                "default": {"enabled": true}
            },
            "timeout_seconds": {"type": "integer", "minimum": 1, "maximum": 60, "default": 15, "description": "Bounds the whole attempt."},
            "user_agent": {"type": ["string", "null"], "minLength": 1, "maxLength": 200, "default": null},
            "check": {
                "enum": ["request", "connect"],
                "default": "request",
                "description": "request: saving sends a signed POST and expects 2xx. connect: it stops after TLS."
            }
        },
        "required": ["url"],
        "additionalProperties": false
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::input::{Errors, Fields};
    use domain::settings::Settings;

    /// The schema names exactly what the reader takes.
    #[test]
    fn schema_and_reader_agree_on_the_members() {
        let schema = settings(DestinationType::Webhook);
        let errors = Errors::default();
        let body = json!({"url": "https://example.com"}).as_object().cloned().unwrap_or_default();
        let read = Settings::read(DestinationType::Webhook, &mut Fields::new("", body, &errors)).unwrap();
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&schema["properties"]), names(&read.to_json()));
        for (name, property) in schema["properties"].as_object().unwrap() {
            if let Some(default) = property.get("default") {
                assert_eq!(&read.to_json()[name], default, "{name}");
            }
        }
    }
}
