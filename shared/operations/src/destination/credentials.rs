//! Reading credentials: secrets go in, kept ones stay sealed, masked ones are refused.

use std::collections::BTreeMap;

use domain::credentials::{CredentialField, CredentialKind, Credentials, SecretField};
use domain::input::{FieldCode, Fields};
use domain::settings::webhook::{is_header_name, is_header_value, is_reserved_header};
use secrecy::SecretString;
use serde_json::Value;

/// Credentials as they will be, before their new secrets are sealed.
#[derive(Clone, Debug)]
pub(crate) struct CredentialsDraft {
    pub(crate) kind: CredentialKind,
    pub(crate) open: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, SecretDraft>,
}

/// A secret that stays as it is, or a new one.
#[derive(Clone, Debug)]
pub(crate) enum SecretDraft {
    Kept(SecretField),
    Given(SecretString),
}

impl CredentialsDraft {
    fn none() -> Self {
        Self::kept(&Credentials::none())
    }

    fn kept(stored: &Credentials) -> Self {
        let secrets = stored.secrets.iter().map(|(name, field)| (name.clone(), SecretDraft::Kept(field.clone()))).collect();
        Self { kind: stored.kind, open: stored.open.clone(), secrets }
    }

    /// The secrets that were not sent again.
    pub(crate) fn kept_secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().filter(|(_, secret)| matches!(secret, SecretDraft::Kept(_))).map(|(name, _)| &**name)
    }

    /// Whether anything differs from what is stored.
    pub(crate) fn differs_from(&self, stored: &Credentials) -> bool {
        let given = self.secrets.values().any(|secret| matches!(secret, SecretDraft::Given(_)));
        given || self.kind != stored.kind || self.open != stored.open
    }
}

/// Takes `credentials`. Left out, they stay as stored; without stored ones, or as null, they are none, which only a signed destination may have.
/// The same kind merges with what is stored, another one replaces it.
pub(crate) fn take_credentials(fields: &mut Fields<'_>, stored: Option<&Credentials>, signed: bool) -> Option<CredentialsDraft> {
    match (fields.take_nullable("credentials"), stored) {
        (Some(Some(Value::Object(members))), _) => {
            let mut inner = Fields::new(fields.pointer_to("credentials"), members, fields.errors());
            let draft = read_credentials(&mut inner, stored);
            inner.finish();
            draft
        }
        (Some(Some(_)), _) => {
            fields.refuse("credentials", FieldCode::InvalidType, "must be an object");
            None
        }
        (None, Some(stored)) => Some(CredentialsDraft::kept(stored)),
        (Some(None) | None, _) if signed => Some(CredentialsDraft::none()),
        (Some(None) | None, _) => {
            fields.refuse("credentials", FieldCode::Required, "credentials are required while signatures are off");
            None
        }
    }
}

fn read_credentials(fields: &mut Fields<'_>, stored: Option<&Credentials>) -> Option<CredentialsDraft> {
    let kind = match (fields.given("kind"), stored) {
        (false, Some(stored)) => stored.kind,
        (given, _) => {
            let kind = fields.choice("kind", CredentialKind::WEBHOOK);
            fields.require("kind", given, kind)?
        }
    };
    let kept = stored.filter(|stored| stored.kind == kind);
    let mut draft = CredentialsDraft { kind, ..CredentialsDraft::none() };
    let mut complete = true;
    for field in kind.fields() {
        complete &= if field.secret { take_secret(fields, *field, kept, &mut draft) } else { take_open(fields, *field, kept, &mut draft) };
    }
    complete.then_some(draft)
}

fn take_open(fields: &mut Fields<'_>, field: CredentialField, kept: Option<&Credentials>, draft: &mut CredentialsDraft) -> bool {
    let stored = kept.and_then(|kept| kept.open.get(field.name)).filter(|_| !fields.has(field.name));
    let value = stored.cloned().or_else(|| fields.required_text(field.name, 1..=field.max));
    let Some(value) = value else { return false };
    match open_mistake(draft.kind, field.name, &value) {
        Some((code, detail)) => fields.refuse(field.name, code, detail),
        None => {
            draft.open.insert(field.name.to_owned(), value);
        }
    }
    draft.open.contains_key(field.name)
}

fn open_mistake(kind: CredentialKind, name: &str, value: &str) -> Option<(FieldCode, &'static str)> {
    match (kind, name) {
        (CredentialKind::ApiKey, _) if !is_header_name(value) => Some((FieldCode::InvalidFormat, "is not a header name")),
        (CredentialKind::ApiKey, _) if is_reserved_header(value) || value.eq_ignore_ascii_case("content-type") => {
            Some((FieldCode::Reserved, "is a header that Waybill or HTTP sets itself"))
        }
        // RFC 7617 §2: the first colon ends the user name.
        (CredentialKind::Basic, _) if value.contains(':') => Some((FieldCode::InvalidFormat, "must not contain a colon")),
        _ => None,
    }
}

fn take_secret(fields: &mut Fields<'_>, field: CredentialField, kept: Option<&Credentials>, draft: &mut CredentialsDraft) -> bool {
    if !fields.has(field.name)
        && let Some(stored) = kept.and_then(|kept| kept.secrets.get(field.name))
    {
        draft.secrets.insert(field.name.to_owned(), SecretDraft::Kept(stored.clone()));
        return true;
    }
    let Some(value) = fields.take(field.name) else {
        fields.refuse(field.name, FieldCode::Required, format!("{} is required", field.name));
        return false;
    };
    let characters = value.as_str().map_or(0, |text| text.chars().count());
    // Only what fits into a header can be sent in one; a basic password is encoded first.
    let fits = |text: &str| draft.kind == CredentialKind::Basic || is_header_value(text);
    let (code, detail) = match value {
        Value::Object(members) if members.contains_key("set") => {
            (FieldCode::MaskedValue, "is a masked secret; leave it out to keep the stored one".to_owned())
        }
        Value::String(_) if characters == 0 => (FieldCode::TooShort, "must not be empty".to_owned()),
        Value::String(_) if characters > field.max => (FieldCode::TooLong, format!("must have at most {} characters", field.max)),
        Value::String(text) if text.chars().any(char::is_control) || !fits(&text) => {
            (FieldCode::InvalidFormat, "must be printable ASCII without spaces at its ends".to_owned())
        }
        Value::String(text) => {
            draft.secrets.insert(field.name.to_owned(), SecretDraft::Given(SecretString::from(text)));
            return true;
        }
        _ => (FieldCode::InvalidType, "must be a string".to_owned()),
    };
    fields.refuse(field.name, code, detail);
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;
    use domain::credentials::Sealed;
    use domain::input::{Errors, FieldError};
    use serde_json::json;

    fn read(credentials: Value, stored: Option<&Credentials>, signed: bool) -> Result<CredentialsDraft, Vec<FieldError>> {
        let errors = Errors::default();
        let mut body = serde_json::Map::new();
        if credentials != json!("absent") {
            body.insert("credentials".to_owned(), credentials);
        }
        let draft = take_credentials(&mut Fields::new("", body, &errors), stored, signed);
        errors.into_result(()).map(|()| draft.unwrap())
    }

    fn mistakes(result: Result<CredentialsDraft, Vec<FieldError>>) -> Vec<(String, FieldCode)> {
        result.unwrap_err().into_iter().map(|error| (error.pointer.unwrap(), error.code)).collect()
    }

    fn basic() -> Credentials {
        let field = SecretField { sealed: Sealed("ciphertext".to_owned()), hint: None, updated_at: Timestamp::from_millis(0) };
        Credentials {
            kind: CredentialKind::Basic,
            open: [("username".to_owned(), "ada".to_owned())].into(),
            secrets: [("password".to_owned(), field)].into(),
        }
    }

    #[test]
    fn left_out_they_are_none_while_signatures_are_on() {
        assert_eq!(read(json!("absent"), None, true).unwrap().kind, CredentialKind::None);
        assert_eq!(mistakes(read(json!("absent"), None, false)), [("/credentials".to_owned(), FieldCode::Required)]);
        assert_eq!(mistakes(read(json!(null), Some(&basic()), false)), [("/credentials".to_owned(), FieldCode::Required)]);
    }

    #[test]
    fn every_member_of_a_kind_is_required() {
        let expected = [("/credentials/header".to_owned(), FieldCode::Required), ("/credentials/value".to_owned(), FieldCode::Required)];
        assert_eq!(mistakes(read(json!({"kind": "api_key"}), None, true)), expected);
        assert_eq!(mistakes(read(json!({}), None, true)), [("/credentials/kind".to_owned(), FieldCode::Required)]);
        let unknown = mistakes(read(json!({"kind": "bearer", "token": "t", "user": "x"}), None, true));
        assert_eq!(unknown, [("/credentials/user".to_owned(), FieldCode::UnknownField)]);
    }

    #[test]
    fn what_clients_cannot_read_they_cannot_write_back_masked() {
        let masked = json!({"kind": "basic", "password": {"set": true, "hint": null}});
        assert_eq!(mistakes(read(masked, Some(&basic()), true)), [("/credentials/password".to_owned(), FieldCode::MaskedValue)]);
    }

    #[test]
    fn the_same_kind_merges_and_another_replaces() {
        let stored = basic();
        let renamed = read(json!({"username": "bob"}), Some(&stored), true).unwrap();
        assert_eq!(renamed.open["username"], "bob");
        assert!(renamed.differs_from(&stored));
        assert_eq!(renamed.kept_secrets().collect::<Vec<_>>(), ["password"]);
        assert!(!read(json!({"kind": "basic"}), Some(&stored), true).unwrap().differs_from(&stored));
        assert_eq!(
            mistakes(read(json!({"kind": "bearer"}), Some(&stored), true)),
            [("/credentials/token".to_owned(), FieldCode::Required)]
        );
    }

    #[test]
    fn a_value_that_no_header_can_carry_is_refused() {
        let found = mistakes(read(json!({"kind": "bearer", "token": "a\r\nx: y"}), None, true));
        assert_eq!(found, [("/credentials/token".to_owned(), FieldCode::InvalidFormat)]);
        let reserved = mistakes(read(json!({"kind": "api_key", "header": "Webhook-Id", "value": "v"}), None, true));
        assert_eq!(reserved, [("/credentials/header".to_owned(), FieldCode::Reserved)]);
        assert!(read(json!({"kind": "basic", "username": "ada", "password": "päss wörd"}), None, true).is_ok());
    }
}
