//! Reading the signing secrets that customers bring: inline, or by the ARN of a Secrets Manager secret.

use domain::input::{FieldCode, Fields};
use secrecy::SecretString;
use serde_json::Value;
use signing::SigningKey;

/// The longest ARN that AWS writes.
const ARN_MAX: usize = 2048;

/// A customer's own signing secret.
#[derive(Clone, Debug)]
pub(crate) enum SecretInput {
    /// `whsec_…`, well-formed.
    Inline(SecretString),
    /// Read from Secrets Manager when used; the organization must have been granted it.
    Arn(String),
}

/// Takes a signing secret; absent, one is generated.
pub(crate) fn take_secret(fields: &mut Fields<'_>, name: &str) -> Option<SecretInput> {
    match fields.take(name)? {
        Value::String(text) => match SigningKey::parse(&text) {
            Ok(key) => Some(SecretInput::Inline(key.to_secret_string())),
            Err(error) => {
                fields.refuse(name, FieldCode::InvalidFormat, error.to_string());
                None
            }
        },
        Value::Object(members) if members.contains_key("set") => {
            fields.refuse(name, FieldCode::MaskedValue, "is a masked secret; leave it out");
            None
        }
        Value::Object(members) => {
            let mut inner = Fields::new(fields.pointer_to(name), members, fields.errors());
            let arn = inner.required_text("secret_arn", 1..=ARN_MAX);
            if arn.as_deref().is_some_and(|arn| !is_secret_arn(arn)) {
                inner.refuse("secret_arn", FieldCode::InvalidFormat, "is not the ARN of a Secrets Manager secret");
            }
            inner.finish();
            arn.map(SecretInput::Arn)
        }
        _ => {
            fields.refuse(name, FieldCode::InvalidType, "must be a string, or an object with secret_arn");
            None
        }
    }
}

/// `arn:<partition>:secretsmanager:<region>:<account>:secret:<name>`.
fn is_secret_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    matches!(&*parts, ["arn", _, "secretsmanager", region, account, "secret", name]
        if !region.is_empty() && !account.is_empty() && !name.is_empty() && !name.chars().any(char::is_whitespace))
}
