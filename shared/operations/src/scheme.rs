//! The JSON Schemas of each destination type's settings and credentials, from which forms and
//! clients are made.

use domain::credentials::{CredentialField, CredentialKind, Decides, Shape};
use domain::input::CREDENTIALS_REQUIRED;
use domain::settings::webhook::HEADER_VALUE;
use domain::settings::{DestinationType, Settings};
use serde_json::{Map, Value, json};

/// Returns the schemas of a destination type's settings and credentials, as `GET
/// /v1/destination-types` returns them.
#[must_use]
pub fn of_type(kind: DestinationType) -> (Value, Value) {
    (settings(kind), credentials(kind))
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Returns the schema of `settings`, which their reader describes.
pub(crate) fn settings(kind: DestinationType) -> Value {
    let mut schema = Settings::schema(kind);
    schema["$schema"] = DIALECT.into();
    schema
}

/// Returns the schema of `credentials`, which has one form for each `kind`.
pub(crate) fn credentials(kind: DestinationType) -> Value {
    let forms: Vec<Value> = CredentialKind::of(kind)
        .iter()
        .map(|(name, credentials)| credentials_form(name, *credentials, kind))
        .collect();
    json!({"$schema": DIALECT, "oneOf": forms})
}

fn credentials_form(name: &str, credentials: CredentialKind, kind: DestinationType) -> Value {
    let mut properties = Map::new();
    let mut required = vec!["kind"];
    properties.insert("kind".to_owned(), json!({"const": name}));
    for field in credentials.fields(kind) {
        let (group, name) = field.path();
        let schema = member(credentials, field, kind);
        match group {
            None => drop(properties.insert(name.to_owned(), schema)),
            Some(group) => {
                let object = properties.entry(group).or_insert_with(|| {
                    json!({"type": ["object", "null"], "properties": {}, "required": [],
                        "additionalProperties": false})
                });
                object["properties"][name] = schema;
                if let Some(required) = object["required"].as_array_mut() {
                    required.push(name.into());
                }
            }
        }
        if field.required && group.is_none() {
            required.push(name);
        }
    }
    json!({"type": "object", "title": name, "properties": properties, "required": required,
        "additionalProperties": false})
}

/// A text on one line, without control characters.
const LINE: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
/// A text without control characters and colons: the first colon ends the user name (RFC 7617,
/// section 2).
const USER_NAME: &str = r"^[^:\u0000-\u001f\u007f-\u009f]*$";
/// Printable ASCII without spaces.
const GRAPHIC: &str = "^[!-~]+$";
/// The name of a header (RFC 9110, section 5.6.2).
const HEADER_NAME: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/// Returns the pattern of a member of credentials, where a pattern can express what
/// `credential_rules` refuses.
fn pattern(
    credentials: CredentialKind,
    field: &CredentialField,
    kind: DestinationType,
) -> Option<&'static str> {
    match (field.shape, credentials, field.path().1) {
        (Shape::Open, CredentialKind::ApiKey, "header") => Some(HEADER_NAME),
        (Shape::Open, CredentialKind::Basic, "username") => Some(USER_NAME),
        (Shape::Open, CredentialKind::AccessKey, "access_key_id") => Some(GRAPHIC),
        (Shape::Open, ..) if kind == DestinationType::AzureBlob => Some(GRAPHIC),
        (Shape::Open, ..) => Some(LINE),
        (_, CredentialKind::ConnectionString, _) => None,
        (Shape::Secret, CredentialKind::Basic | CredentialKind::SmtpPassword, "password") => {
            Some(LINE)
        }
        (Shape::SecretText, CredentialKind::Password, _) => Some(LINE),
        (Shape::Secret | Shape::SecretMap, ..) => Some(HEADER_VALUE),
        (Shape::Certificate | Shape::SecretText | Shape::SecretObject, ..) => None,
    }
}

fn member(credentials: CredentialKind, field: &CredentialField, kind: DestinationType) -> Value {
    let pattern = pattern(credentials, field, kind);
    let text = |format: &str| {
        let mut schema = json!({"type": "string", "minLength": 1, "maxLength": field.max,
            "writeOnly": field.shape.is_secret()});
        if !format.is_empty() {
            schema["format"] = format.into();
        }
        if let Some(pattern) = pattern {
            schema["pattern"] = pattern.into();
        }
        schema
    };
    let mut schema = match field.shape {
        Shape::Open | Shape::Secret => text(""),
        Shape::Certificate | Shape::SecretText => text("multiline"),
        Shape::SecretObject => json!({"type": "object", "writeOnly": true}),
        Shape::SecretMap => {
            json!({"type": "object", "minProperties": 1, "maxProperties": Shape::MAP_MAX,
                "additionalProperties": text("")})
        }
    };
    if field.decides == Decides::Recipient {
        schema[CREDENTIALS_REQUIRED] = true.into();
    }
    schema
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use domain::input::{Errors, Fields};

    /// The schema has exactly the members that the reader takes, and the reader's defaults.
    #[test]
    fn schema_and_reader_agree_on_the_members() {
        let host_key = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
        let samples = [
            (
                DestinationType::Webhook,
                json!({"url": "https://example.com"}),
            ),
            (
                DestinationType::Email,
                json!({"transport": "ses", "from": "a@example.com", "to": ["b@example.com"]}),
            ),
            (DestinationType::S3, json!({"bucket": "reports"})),
            (DestinationType::Gcs, json!({"bucket": "reports"})),
            (
                DestinationType::AzureBlob,
                json!({"account": "acme", "container": "reports"}),
            ),
            (
                DestinationType::Sftp,
                json!({"host": "sftp.example.com", "username": "u", "host_keys": [host_key]}),
            ),
            (
                DestinationType::Postgres,
                json!({"table": "public.events", "mode": "rows"}),
            ),
            (
                DestinationType::Mysql,
                json!({"table": "events", "mode": "rows"}),
            ),
        ];
        for (kind, body) in samples {
            let schema = settings(kind);
            let errors = Errors::default();
            let given = body.as_object().cloned().unwrap_or_default();
            let read = Settings::read(kind, &mut Fields::new("", given.clone(), &errors))
                .unwrap()
                .to_json();
            let anchors =
                Settings::read(kind, &mut Fields::new("", given.clone(), &errors)).unwrap();
            let anchors: BTreeSet<&str> = anchors
                .anchors()
                .iter()
                .filter_map(|(name, _)| name.split('/').next())
                .collect();
            // A host and its port are one anchor.
            let marked: BTreeSet<&str> = schema["properties"]
                .as_object()
                .unwrap()
                .iter()
                .filter(|(_, member)| member[CREDENTIALS_REQUIRED] == true)
                .map(|(name, _)| &**name)
                .filter(|name| *name != "port")
                .collect();
            assert_eq!(anchors, marked, "{kind:?}");
            let names = |value: &Value| {
                value
                    .as_object()
                    .unwrap()
                    .keys()
                    .cloned()
                    .collect::<Vec<_>>()
            };
            assert_eq!(names(&schema["properties"]), names(&read), "{kind:?}");
            for (name, property) in schema["properties"]
                .as_object()
                .unwrap()
                .iter()
                .filter(|(name, _)| !given.contains_key(*name))
            {
                if let Some(default) = property.get("default") {
                    assert_eq!(&read[name], default, "{kind:?} {name}");
                }
            }
        }
    }
}
