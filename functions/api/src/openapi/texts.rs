//! The patterns of texts in requests: which characters the API refuses in names, texts and ARNs.

use serde_json::Value;

/// A text has no control characters other than tab and newline (`domain::input::Fields::text`).
const TEXT: &str = r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]*$";
/// A name also has no characters that are invisible or change the direction of what follows
/// (`domain::input::Fields::name`).
const NAME: &str = concat!(
    r"^[^\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e",
    r"\u2060-\u206f\ufeff\ufff9-\ufffb]*$"
);
/// A pattern of event types: `*` is one segment, `**` any number.
const EVENT_PATTERN: &str = r"^(\*{1,2}|[A-Za-z0-9_:/-]+)(\.(\*{1,2}|[A-Za-z0-9_:/-]+))*$";
/// The ARN of an IAM role (`domain::role_arn::RoleArn`).
const ROLE_ARN: &str = concat!(
    r"^arn:aws(-cn|-us-gov|-iso|-iso-b|-iso-e|-iso-f|-eusc)?:iam::[0-9]{12}:role",
    r"(/[A-Za-z0-9_+=,.@-]{1,64})+$"
);
/// A media type with its parameters (`domain::media_type::is_media_type`).
const MEDIA_TYPE: &str = concat!(
    r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+",
    r"([ \t]*;([ -~\t]*[!-~])?)?$"
);

/// Gives the properties of an object in a request the patterns of their texts.
pub(super) fn restrict(schema: &mut Value) {
    // An object that accepts other properties is defined by another service: the key file of a
    // service account.
    if schema["additionalProperties"] == true {
        return;
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for (name, property) in properties {
        match name.as_str() {
            "event_types" if property["items"].is_object() => {
                property["items"]["pattern"] = EVENT_PATTERN.into();
            }
            "role_arn" if is_text(property) => property["pattern"] = ROLE_ARN.into(),
            "content_type" if is_text(property) => property["pattern"] = MEDIA_TYPE.into(),
            "name" | "filename" if is_free_text(property) => property["pattern"] = NAME.into(),
            _ if is_free_text(property) => property["pattern"] = TEXT.into(),
            _ => {}
        }
    }
}

fn is_text(schema: &Value) -> bool {
    schema["type"] == "string"
        || schema["type"]
            .as_array()
            .is_some_and(|types| types.iter().any(|one| one == "string"))
}

/// Whether nothing else restricts the text. Credentials have their own rules.
fn is_free_text(schema: &Value) -> bool {
    const OTHER_RESTRICTIONS: &[&str] =
        &["pattern", "enum", "const", "contentEncoding", "writeOnly"];
    let is_restricted = OTHER_RESTRICTIONS
        .iter()
        .any(|name| schema.get(*name).is_some());
    is_text(schema) && !is_restricted && schema["format"] != "date-time"
}
