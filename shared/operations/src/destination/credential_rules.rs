//! The rules for members of credentials, by kind. Descriptions of mistakes never contain the value.

use domain::credentials::{CredentialKind, Shape};
use domain::input::FieldCode;
use domain::settings::DestinationType;
use domain::settings::database::connection_string::ConnectionString;
use domain::settings::webhook::{is_header_name, is_header_value, is_reserved_header};
use serde_json::Value;

use super::x509;

/// The code and the description of a mistake in a member.
pub(super) type Mistake = (FieldCode, String);

/// Returns what is wrong with a member that is not secret; `None` if nothing is.
pub(super) fn open_mistake(
    destination: DestinationType,
    kind: CredentialKind,
    name: &str,
    shape: Shape,
    value: &str,
) -> Option<Mistake> {
    if shape == Shape::Certificate {
        let readable = x509::described(value).is_some();
        return (!readable)
            .then(|| format("must be a certificate in PEM format (-----BEGIN CERTIFICATE-----)"));
    }
    if value.chars().any(char::is_control) {
        return Some(format("must not contain control characters"));
    }
    match (kind, name) {
        (CredentialKind::ApiKey, "header") => header_name_mistake(value),
        // RFC 7617 §2: the first colon ends the user name.
        (CredentialKind::Basic, "username") if value.contains(':') => {
            Some(format("must not contain a colon"))
        }
        (CredentialKind::AccessKey, "access_key_id")
            if !value.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            Some(format("must be printable ASCII without spaces"))
        }
        _ if destination == DestinationType::AzureBlob
            && !value.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            Some(format("must be printable ASCII without spaces"))
        }
        _ => None,
    }
}

/// Returns what is wrong with a secret; `None` if nothing is.
pub(super) fn secret_mistake(
    destination: DestinationType,
    kind: CredentialKind,
    name: &str,
    shape: Shape,
    value: &str,
) -> Option<Mistake> {
    match (kind, name, shape) {
        (CredentialKind::Headers, _, Shape::SecretMap) => {
            let name = name.split_once('/').map_or(name, |(_, name)| name);
            header_name_mistake(name).or_else(|| header_value_mistake(value))
        }
        (CredentialKind::ConnectionString, "connection_string", _) => {
            connection_string_mistake(destination, value)
        }
        (CredentialKind::ServiceAccount, _, Shape::SecretObject) => service_account_mistake(value),
        // A password of the kind `basic` is encoded before it becomes part of a header, and a
        // mailbox's password never becomes part of one.
        (CredentialKind::Basic | CredentialKind::SmtpPassword, "password", _) => value
            .chars()
            .any(char::is_control)
            .then(|| format("must not contain control characters")),
        (_, _, Shape::Secret | Shape::SecretMap) => header_value_mistake(value),
        (CredentialKind::PrivateKey, "private_key", _) => {
            domain::settings::sftp::private_key_refusal(value, true)
                .map(|refusal| (FieldCode::InvalidFormat, refusal.to_owned()))
        }
        (_, _, Shape::SecretText) if value.contains('\0') => Some(format("must not contain NUL")),
        (CredentialKind::Password, ..) if value.chars().any(char::is_control) => {
            Some(format("must not contain control characters"))
        }
        _ => None,
    }
}

fn format(detail: &str) -> Mistake {
    (FieldCode::InvalidFormat, detail.to_owned())
}

fn header_name_mistake(name: &str) -> Option<Mistake> {
    if !is_header_name(name) {
        Some(format("is not a header name"))
    } else if is_reserved_header(name) || name.eq_ignore_ascii_case("content-type") {
        Some((
            FieldCode::Reserved,
            "is a header that Waybill or HTTP sets itself".to_owned(),
        ))
    } else {
        None
    }
}

fn header_value_mistake(value: &str) -> Option<Mistake> {
    let fits = !value.chars().any(char::is_control) && is_header_value(value);
    (!fits).then(|| format("must be printable ASCII without spaces at its ends"))
}

fn connection_string_mistake(destination: DestinationType, value: &str) -> Option<Mistake> {
    let said = ConnectionString::parse(destination.engine()?, value);
    said.err()
        .map(|why| (FieldCode::InvalidFormat, why.to_string()))
}

/// Checks the key file of a Google service account. Only the members that are used are checked.
fn service_account_mistake(json: &str) -> Option<Mistake> {
    let Ok(Value::Object(members)) = serde_json::from_str(json) else {
        return Some(format("must be a service account's key file"));
    };
    let has = |name: &str| {
        members
            .get(name)
            .and_then(Value::as_str)
            .is_some_and(|value| !value.is_empty())
    };
    if members.get("type").and_then(Value::as_str) != Some("service_account") {
        return Some(format(
            "must be a service account's key file: its type is not service_account",
        ));
    }
    ["private_key", "client_email"]
        .into_iter()
        .find(|name| !has(name))
        .map(|name| {
            (
                FieldCode::InvalidFormat,
                format!("must be a service account's key file: {name} is missing"),
            )
        })
}
