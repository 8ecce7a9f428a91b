//! Reads the signing secrets that customers provide: inline, or as the ARN of a secret in Secrets
//! Manager.

use domain::input::{FieldCode, Fields};
use domain::role_arn::RoleArn;
use domain::secret_arn::{NotASecretArn, SecretArn};
use secrecy::SecretString;
use serde_json::Value;
use signing::SigningKey;

use crate::role::customers_role;

/// A customer's own signing secret.
#[derive(Clone, Debug)]
pub(crate) enum SecretInput {
    /// A secret in the format `whsec_…`, which has been validated.
    Inline(SecretString),
    /// A secret that is read from Secrets Manager when it is used.
    Referenced {
        /// The ARN of the secret.
        arn: SecretArn,
        /// The customer's role that reads it. Without one, the organization must have been granted
        /// the secret.
        role: Option<RoleArn>,
    },
}

/// Takes a signing secret. Returns `None` if the request has none, and one is generated then. A
/// role in the deployment's own account is refused.
pub(crate) fn take_secret(
    fields: &mut Fields<'_>,
    name: &str,
    own_account: &str,
) -> Option<SecretInput> {
    match fields.take(name)? {
        Value::String(text) => match SigningKey::parse(&text) {
            Ok(key) => Some(SecretInput::Inline(key.to_secret_string())),
            Err(error) => {
                fields.refuse(name, FieldCode::InvalidFormat, error.to_string());
                None
            }
        },
        Value::Object(members) if members.contains_key("set") => {
            fields.refuse(
                name,
                FieldCode::MaskedValue,
                "is a masked secret; leave it out",
            );
            None
        }
        Value::Object(members) => {
            let mut inner = Fields::new(fields.pointer_to(name), members, fields.errors());
            let given = inner.given("secret_arn");
            let arn = inner.parsed("secret_arn", |text| {
                text.parse::<SecretArn>()
                    .map_err(|error: NotASecretArn| error.to_string())
            });
            let arn = inner.require("secret_arn", given, arn);
            let role = take_role(&mut inner, own_account);
            inner.finish();
            Some(SecretInput::Referenced { arn: arn?, role })
        }
        _ => {
            fields.refuse(
                name,
                FieldCode::InvalidType,
                "must be a string, or an object with secret_arn",
            );
            None
        }
    }
}

fn take_role(fields: &mut Fields<'_>, own_account: &str) -> Option<RoleArn> {
    let text = fields.text("role_arn", 1..=usize::MAX)?;
    match customers_role(&text, own_account) {
        Ok(role) => Some(role),
        Err(why) => {
            fields.refuse("role_arn", why.code(), why.to_string());
            None
        }
    }
}
