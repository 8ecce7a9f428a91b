//! Message attributes: their limits, their digest, and the selection by receivers.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::limits::ATTRIBUTES_MAX;
use super::receipt::md5_hex;
use super::refusal::Refusal;

/// The attributes of a message, in the order that their digest needs.
pub(super) type Attributes = BTreeMap<String, Attribute>;

/// An attribute, as it is sent and stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Attribute {
    /// `String`, `Number` or `Binary`, with an optional `.label`.
    pub(super) data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) string_value: Option<String>,
    /// Binary data in base64, as in the JSON protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) binary_value: Option<String>,
}

/// How a value enters the digest (SQS Developer Guide, "Calculating the MD5 message digest for
/// message attributes").
enum Value<'a> {
    Text(&'a str),
    Bytes(Vec<u8>),
}

impl Attribute {
    fn value(&self, name: &str) -> Result<Value<'_>, Refusal> {
        let kind = self.data_type.split('.').next().unwrap_or_default();
        match (kind, &self.string_value, &self.binary_value) {
            ("String" | "Number", Some(text), None) if !text.is_empty() => Ok(Value::Text(text)),
            ("Binary", None, Some(encoded)) if !encoded.is_empty() => {
                match STANDARD.decode(encoded) {
                    Ok(bytes) => Ok(Value::Bytes(bytes)),
                    Err(_) => Err(Refusal::InvalidParameters(format!(
                        "The message attribute '{name}' is not base64."
                    ))),
                }
            }
            ("String" | "Number" | "Binary", ..) => Err(Refusal::InvalidParameters(format!(
                "The message attribute '{name}' must contain a non-empty value of its type '{}'.",
                self.data_type
            ))),
            _ => Err(Refusal::InvalidParameters(format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of \
                 supported type prefixes is Binary, Number, and String."
            ))),
        }
    }
}

/// Checks the attributes of a message and returns their size in bytes.
pub(super) fn check(attributes: &Attributes) -> Result<usize, Refusal> {
    if attributes.len() > ATTRIBUTES_MAX {
        return Err(Refusal::InvalidParameters(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{ATTRIBUTES_MAX}].",
            attributes.len()
        )));
    }
    attributes.iter().try_fold(0, |size, (name, attribute)| {
        check_name(name)?;
        let value_bytes = match attribute.value(name)? {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
        };
        Ok(size + name.len() + attribute.data_type.len() + value_bytes)
    })
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let well_formed = (1..=256).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..");
    if well_formed {
        return Ok(());
    }
    Err(Refusal::InvalidParameters(format!(
        "The message attribute name '{name}' is invalid. Attribute name can contain A-Z, a-z, \
         0-9, underscore (_), hyphen (-), and period (.) characters."
    )))
}

/// Returns the digest of attributes that passed [`check`]; `None` if there are none.
pub(super) fn digest(attributes: &Attributes) -> Option<String> {
    const TEXT: u8 = 1;
    const BINARY: u8 = 2;
    if attributes.is_empty() {
        return None;
    }
    let mut buffer = Vec::new();
    let put = |buffer: &mut Vec<u8>, bytes: &[u8]| {
        buffer.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        buffer.extend_from_slice(bytes);
    };
    for (name, attribute) in attributes {
        let Ok(value) = attribute.value(name) else {
            continue;
        };
        put(&mut buffer, name.as_bytes());
        put(&mut buffer, attribute.data_type.as_bytes());
        match value {
            Value::Text(text) => {
                buffer.push(TEXT);
                put(&mut buffer, text.as_bytes());
            }
            Value::Bytes(bytes) => {
                buffer.push(BINARY);
                put(&mut buffer, &bytes);
            }
        }
    }
    Some(md5_hex(&buffer))
}

/// Selects the attributes that a receiver requested: by name, by `prefix.*`, or `All`.
pub(super) fn select(mut attributes: Attributes, wanted: &[String]) -> Attributes {
    attributes.retain(|name, _| {
        wanted
            .iter()
            .any(|pattern| match pattern.strip_suffix(".*") {
                Some(prefix) => name.starts_with(prefix),
                None => pattern == "All" || pattern == name,
            })
    });
    attributes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn text(value: &str) -> Attribute {
        Attribute {
            data_type: "String".into(),
            string_value: Some(value.into()),
            binary_value: None,
        }
    }

    #[test]
    fn digests_as_the_service_does() {
        // Known answer from the AWS documentation's algorithm, computed independently (Python,
        // hashlib).
        let attributes = Attributes::from([("traceparent".to_owned(), text("00-a-b-01"))]);
        assert_eq!(
            digest(&attributes).unwrap(),
            "c32dba24e2565d6119d62e5e754c6977"
        );
    }

    #[test]
    fn selects_by_name_prefix_and_all() {
        let all = Attributes::from([
            ("trace.parent".to_owned(), text("1")),
            ("trace.state".to_owned(), text("2")),
            ("kind".to_owned(), text("3")),
        ]);
        let names = |wanted: &[&str]| {
            let wanted: Vec<_> = wanted.iter().map(|name| (*name).to_owned()).collect();
            select(all.clone(), &wanted).into_keys().collect::<Vec<_>>()
        };
        assert_eq!(names(&["kind"]), ["kind"]);
        assert_eq!(names(&["trace.*"]), ["trace.parent", "trace.state"]);
        assert_eq!(names(&["All"]).len(), 3);
        assert_eq!(names(&[".*"]).len(), 3);
        assert!(names(&[]).is_empty());
    }

    #[test]
    fn refuses_what_the_service_refuses() {
        let one = |name: &str, attribute| check(&Attributes::from([(name.to_owned(), attribute)]));
        assert_eq!(one("ok", text("abc")), Ok(2 + 6 + 3));
        assert!(one("no spaces", text("x")).is_err());
        assert!(one("empty", text("")).is_err());
        assert!(
            one(
                "kind",
                Attribute {
                    data_type: "Float".into(),
                    ..text("1")
                }
            )
            .is_err()
        );
        assert!(
            one(
                "blob",
                Attribute {
                    data_type: "Binary".into(),
                    string_value: None,
                    binary_value: Some("!".into())
                }
            )
            .is_err()
        );
    }
}
