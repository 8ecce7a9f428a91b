//! Reads credentials. New secrets are accepted, secrets that are kept stay sealed, and masked ones
//! are refused.

use std::collections::BTreeMap;

use domain::credentials::{CredentialField, CredentialKind, Credentials, SecretField, Shape};
use domain::input::{FieldCode, Fields, pointer_token};
use domain::settings::DestinationType;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use super::credential_rules::{Mistake, open_mistake, secret_mistake};

/// Credentials as a request defines them, before their new secrets are sealed.
#[derive(Clone, Debug)]
pub(crate) struct CredentialsDraft {
    pub(crate) kind: CredentialKind,
    pub(crate) open: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, SecretDraft>,
    pub(crate) shown: BTreeMap<String, Value>,
}

/// A secret that is kept as it is stored, or a new one.
#[derive(Clone, Debug)]
pub(crate) enum SecretDraft {
    Kept(SecretField),
    Given(SecretString),
}

impl CredentialsDraft {
    fn none() -> Self {
        Self::stored(&Credentials::none())
    }

    fn of(kind: CredentialKind) -> Self {
        Self {
            kind,
            ..Self::none()
        }
    }

    fn stored(stored: &Credentials) -> Self {
        let secrets = stored
            .secrets
            .iter()
            .map(|(name, field)| (name.clone(), SecretDraft::Kept(field.clone())))
            .collect();
        Self {
            kind: stored.kind,
            open: stored.open.clone(),
            secrets,
            shown: stored.shown.clone(),
        }
    }

    /// Returns the names of the secrets that are kept.
    pub(crate) fn kept_secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets
            .iter()
            .filter(|(_, secret)| matches!(secret, SecretDraft::Kept(_)))
            .map(|(name, _)| &**name)
    }

    /// Returns the text of a secret that this request sent; `None` if it did not.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        match self.secrets.get(name)? {
            SecretDraft::Given(secret) => Some(secret.expose_secret()),
            SecretDraft::Kept(_) => None,
        }
    }

    /// Whether anything differs from the stored credentials. A secret that was sent counts as a
    /// difference.
    pub(crate) fn differs_from(&self, stored: &Credentials) -> bool {
        let given = self
            .secrets
            .values()
            .any(|secret| matches!(secret, SecretDraft::Given(_)));
        given
            || self.secrets.len() != stored.secrets.len()
            || self.kind != stored.kind
            || self.open != stored.open
    }
}

/// Takes `credentials`. If they are left out, the stored ones are kept. If they are null, or left
/// out and none are stored, the destination has none, which only a signed destination may.
/// Credentials of the stored kind are merged with the stored ones; those of another kind replace
/// them.
pub(crate) fn take_credentials(
    fields: &mut Fields<'_>,
    kind: DestinationType,
    stored: Option<&Credentials>,
    signed: bool,
) -> Option<CredentialsDraft> {
    match (fields.take_nullable("credentials"), stored) {
        (Some(Some(Value::Object(members))), _) => {
            let mut inner = Fields::new(fields.pointer_to("credentials"), members, fields.errors());
            let draft = read_credentials(&mut inner, kind, stored);
            inner.finish();
            draft
        }
        (Some(Some(_)), _) => {
            fields.refuse("credentials", FieldCode::InvalidType, "must be an object");
            None
        }
        (None, Some(stored)) => Some(CredentialsDraft::stored(stored)),
        (Some(None) | None, _) if signed => Some(CredentialsDraft::none()),
        (Some(None) | None, _) if kind == DestinationType::Webhook => {
            fields.refuse(
                "credentials",
                FieldCode::Required,
                "credentials are required while signatures are off",
            );
            None
        }
        (Some(None) | None, _) => {
            fields.refuse(
                "credentials",
                FieldCode::Required,
                "credentials is required",
            );
            None
        }
    }
}

fn read_credentials(
    fields: &mut Fields<'_>,
    destination: DestinationType,
    stored: Option<&Credentials>,
) -> Option<CredentialsDraft> {
    let kind = match (fields.given("kind"), stored) {
        (false, Some(stored)) => stored.kind,
        (given, _) => {
            let kind = fields.choice("kind", CredentialKind::of(destination));
            // Without a valid kind, it is not known which members belong to it.
            match fields.require("kind", given, kind) {
                Some(kind) => kind,
                None => return drop_members(fields),
            }
        }
    };
    let stored = stored.filter(|stored| stored.kind == kind);
    let mut reading = Reading {
        destination,
        stored,
        draft: CredentialsDraft::of(kind),
        complete: true,
    };
    let (grouped, plain): (Vec<_>, Vec<_>) = kind
        .fields(destination)
        .partition(|field| field.path().0.is_some());
    for field in plain {
        reading.take(fields, field);
    }
    reading.take_groups(fields, &grouped);
    reading.complete.then_some(reading.draft)
}

/// Takes all members, so that none of them is reported as unknown.
fn drop_members(fields: &mut Fields<'_>) -> Option<CredentialsDraft> {
    fields.take_rest();
    None
}

struct Reading<'c> {
    destination: DestinationType,
    stored: Option<&'c Credentials>,
    draft: CredentialsDraft,
    complete: bool,
}

impl Reading<'_> {
    fn take(&mut self, fields: &mut Fields<'_>, field: &CredentialField) {
        let taken = match field.shape {
            Shape::SecretMap => self.take_map(fields, field),
            shape if shape.is_secret() => self.take_secret(fields, field),
            _ => self.take_open(fields, field),
        };
        self.complete &= taken;
    }

    /// Takes the members that are grouped in objects. An object must have all of its members; if it
    /// is left out, the stored members are kept, and null removes them.
    fn take_groups(&mut self, fields: &mut Fields<'_>, grouped: &[&CredentialField]) {
        let mut groups: Vec<&str> = grouped.iter().filter_map(|field| field.path().0).collect();
        groups.dedup();
        for group in groups {
            let members: Vec<CredentialField> = grouped
                .iter()
                .filter(|field| field.path().0 == Some(group))
                .map(|field| **field)
                .collect();
            match fields.take_nullable(group) {
                Some(None) => {}
                None => members.iter().for_each(|field| self.keep(field.name)),
                Some(Some(Value::Object(values))) => {
                    let mut inner = Fields::new(fields.pointer_to(group), values, fields.errors());
                    for field in &members {
                        self.take(
                            &mut inner,
                            &CredentialField {
                                required: true,
                                ..*field
                            },
                        );
                    }
                    inner.finish();
                }
                Some(Some(_)) => {
                    fields.refuse(group, FieldCode::InvalidType, "must be an object");
                    self.complete = false;
                }
            }
        }
    }

    /// Keeps a member as it is stored, if it is stored.
    fn keep(&mut self, name: &str) {
        let Some(stored) = self.stored else { return };
        if let Some(value) = stored.open.get(name) {
            self.draft.open.insert(name.to_owned(), value.clone());
        }
        if let Some(secret) = stored.secrets.get(name) {
            self.draft
                .secrets
                .insert(name.to_owned(), SecretDraft::Kept(secret.clone()));
        }
        // What reads show of the stored secrets is kept as well.
        self.draft.shown.extend(stored.shown.clone());
    }

    fn is_stored(&self, name: &str) -> bool {
        self.stored.is_some_and(|stored| {
            stored.open.contains_key(name) || stored.secrets.contains_key(name)
        })
    }

    fn take_open(&mut self, fields: &mut Fields<'_>, field: &CredentialField) -> bool {
        let name = field.path().1;
        if !fields.has(name) && self.is_stored(field.name) {
            self.keep(field.name);
            return true;
        }
        let value = match fields.take_nullable(name) {
            Some(Some(Value::String(text))) => text,
            Some(Some(Value::Object(members))) if is_masked(&members) => {
                fields.refuse(
                    name,
                    FieldCode::MaskedValue,
                    "is masked; leave it out to keep the stored one",
                );
                return false;
            }
            Some(Some(_)) => {
                fields.refuse(name, FieldCode::InvalidType, "must be a string");
                return false;
            }
            Some(None) | None => return missing(fields, field),
        };
        let shape = field.shape;
        match length_mistake(&value, field.max)
            .or_else(|| open_mistake(self.destination, self.draft.kind, field.name, shape, &value))
        {
            Some((code, detail)) => {
                fields.refuse(name, code, detail);
                false
            }
            None => {
                self.draft.open.insert(field.name.to_owned(), value);
                true
            }
        }
    }

    fn take_secret(&mut self, fields: &mut Fields<'_>, field: &CredentialField) -> bool {
        let name = field.path().1;
        if !fields.has(name) && self.is_stored(field.name) {
            self.keep(field.name);
            return true;
        }
        let Some(Some(value)) = fields.take_nullable(name) else {
            return missing(fields, field);
        };
        match self.given(field, field.name, value) {
            Ok(secret) => {
                self.draft.secrets.insert(field.name.to_owned(), secret);
                true
            }
            Err((code, detail)) => {
                fields.refuse(name, code, detail);
                false
            }
        }
    }

    /// Takes a map of secrets. A patch names the secrets that change; null removes one.
    fn take_map(&mut self, fields: &mut Fields<'_>, field: &CredentialField) -> bool {
        let prefix = format!("{}/", field.name);
        let stored = self
            .stored
            .into_iter()
            .flat_map(|stored| stored.secrets.keys())
            .filter(|name| name.starts_with(&prefix));
        let stored: Vec<String> = stored.cloned().collect();
        if !fields.has(field.name) && !stored.is_empty() {
            stored.iter().for_each(|name| self.keep(name));
            return true;
        }
        let Some(members) = fields.members(field.name) else {
            return missing(fields, field);
        };
        stored
            .iter()
            .filter(|name| !members.contains_key(&name[prefix.len()..]))
            .for_each(|name| self.keep(name));
        let mut complete = true;
        for (name, value) in members.into_iter().filter(|(_, value)| !value.is_null()) {
            let full = format!("{prefix}{name}");
            match self.given(field, &full, value) {
                Ok(secret) => drop(self.draft.secrets.insert(full, secret)),
                Err((code, detail)) => {
                    let pointer =
                        format!("{}/{}", fields.pointer_to(field.name), pointer_token(&name));
                    fields.errors().add(pointer, code, detail);
                    complete = false;
                }
            }
        }
        let count = self
            .draft
            .secrets
            .keys()
            .filter(|name| name.starts_with(&prefix))
            .count();
        if count == 0 || count > Shape::MAP_MAX {
            fields.refuse(
                field.name,
                FieldCode::OutOfRange,
                format!("must have from 1 to {} members", Shape::MAP_MAX),
            );
            return false;
        }
        complete
    }

    /// Reads a secret that was sent. Returns a mistake if it is invalid, which does not contain the
    /// secret.
    fn given(
        &self,
        field: &CredentialField,
        name: &str,
        value: Value,
    ) -> Result<SecretDraft, Mistake> {
        let text = match (field.shape, value) {
            (_, Value::Object(members)) if is_masked(&members) => {
                return Err((
                    FieldCode::MaskedValue,
                    "is a masked secret; leave it out to keep the stored one".to_owned(),
                ));
            }
            (Shape::SecretObject, Value::Object(members)) => Value::Object(members).to_string(),
            (Shape::SecretObject, _) => {
                return Err((FieldCode::InvalidType, "must be an object".to_owned()));
            }
            (_, Value::String(text)) => text,
            (_, _) => return Err((FieldCode::InvalidType, "must be a string".to_owned())),
        };
        let mistake = length_mistake(&text, field.max).or_else(|| {
            secret_mistake(self.destination, self.draft.kind, name, field.shape, &text)
        });
        mistake.map_or_else(|| Ok(SecretDraft::Given(SecretString::from(text))), Err)
    }
}

/// Records a mistake for a missing member if the member is required. Returns whether it is
/// optional.
fn missing(fields: &mut Fields<'_>, field: &CredentialField) -> bool {
    if field.required {
        let name = field.path().1;
        fields.refuse(name, FieldCode::Required, format!("{name} is required"));
    }
    !field.required
}

/// Whether an object is what reads show in place of a secret.
fn is_masked(members: &Map<String, Value>) -> bool {
    members.contains_key("set")
}

fn length_mistake(text: &str, max: usize) -> Option<Mistake> {
    match text.chars().count() {
        0 => Some((FieldCode::TooShort, "must not be empty".to_owned())),
        characters if characters > max => Some((
            FieldCode::TooLong,
            format!("must have at most {max} characters"),
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;
    use domain::credentials::Sealed;
    use domain::input::{Errors, FieldError};
    use serde_json::json;

    fn read(
        credentials: Value,
        stored: Option<&Credentials>,
        signed: bool,
    ) -> Result<CredentialsDraft, Vec<FieldError>> {
        let errors = Errors::default();
        let mut body = serde_json::Map::new();
        if credentials != json!("absent") {
            body.insert("credentials".to_owned(), credentials);
        }
        let draft = take_credentials(
            &mut Fields::new("", body, &errors),
            DestinationType::Webhook,
            stored,
            signed,
        );
        errors.into_result(()).map(|()| draft.unwrap())
    }

    fn mistakes(result: Result<CredentialsDraft, Vec<FieldError>>) -> Vec<(String, FieldCode)> {
        result
            .unwrap_err()
            .into_iter()
            .map(|error| (error.pointer.unwrap(), error.code))
            .collect()
    }

    fn basic() -> Credentials {
        let field = SecretField {
            sealed: Sealed("ciphertext".to_owned()),
            hint: None,
            updated_at: Timestamp::from_millis(0),
        };
        Credentials {
            kind: CredentialKind::Basic,
            open: [("username".to_owned(), "ada".to_owned())].into(),
            secrets: [("password".to_owned(), field)].into(),
            shown: BTreeMap::new(),
        }
    }

    #[test]
    fn absent_credentials_of_a_signed_webhook_are_of_the_kind_none() {
        assert_eq!(
            read(json!("absent"), None, true).unwrap().kind,
            CredentialKind::None
        );
        assert_eq!(
            mistakes(read(json!("absent"), None, false)),
            [("/credentials".to_owned(), FieldCode::Required)]
        );
        assert_eq!(
            mistakes(read(json!(null), Some(&basic()), false)),
            [("/credentials".to_owned(), FieldCode::Required)]
        );
    }

    #[test]
    fn every_member_of_a_kind_is_required() {
        let expected = [
            ("/credentials/header".to_owned(), FieldCode::Required),
            ("/credentials/value".to_owned(), FieldCode::Required),
        ];
        assert_eq!(
            mistakes(read(json!({"kind": "api_key"}), None, true)),
            expected
        );
        assert_eq!(
            mistakes(read(json!({}), None, true)),
            [("/credentials/kind".to_owned(), FieldCode::Required)]
        );
        let unknown = mistakes(read(
            json!({"kind": "bearer", "token": "t", "user": "x"}),
            None,
            true,
        ));
        assert_eq!(
            unknown,
            [("/credentials/user".to_owned(), FieldCode::UnknownField)]
        );
    }

    #[test]
    fn masked_secrets_cannot_be_written_back() {
        let masked = json!({"kind": "basic", "password": {"set": true, "hint": null}});
        assert_eq!(
            mistakes(read(masked, Some(&basic()), true)),
            [("/credentials/password".to_owned(), FieldCode::MaskedValue)]
        );
    }

    #[test]
    fn the_same_kind_merges_and_another_replaces() {
        let stored = basic();
        let renamed = read(json!({"username": "bob"}), Some(&stored), true).unwrap();
        assert_eq!(renamed.open["username"], "bob");
        assert!(renamed.differs_from(&stored));
        assert_eq!(renamed.kept_secrets().collect::<Vec<_>>(), ["password"]);
        assert!(
            !read(json!({"kind": "basic"}), Some(&stored), true)
                .unwrap()
                .differs_from(&stored)
        );
        assert_eq!(
            mistakes(read(json!({"kind": "bearer"}), Some(&stored), true)),
            [("/credentials/token".to_owned(), FieldCode::Required)]
        );
    }

    #[test]
    fn a_value_that_no_header_can_carry_is_refused() {
        let found = mistakes(read(
            json!({"kind": "bearer", "token": "a\r\nx: y"}),
            None,
            true,
        ));
        assert_eq!(
            found,
            [("/credentials/token".to_owned(), FieldCode::InvalidFormat)]
        );
        let reserved = mistakes(read(
            json!({"kind": "api_key", "header": "Webhook-Id", "value": "v"}),
            None,
            true,
        ));
        assert_eq!(
            reserved,
            [("/credentials/header".to_owned(), FieldCode::Reserved)]
        );
        assert!(
            read(
                json!({"kind": "basic", "username": "ada", "password": "päss wörd"}),
                None,
                true
            )
            .is_ok()
        );
    }
}
