//! Changes of where secrets are sent. Whoever makes one must know the secrets.

use domain::credentials::{CredentialKind, Decides};
use domain::destination::Destination;
use domain::input::{FieldCode, FieldError, pointer_token};
use domain::settings::{Anchor, Settings};
use vault::Recipient;

use super::input::DestinationDraft;
use super::seal::secret_hint;
use crate::Refusal;

/// Refuses a patch that would send stored secrets elsewhere: to another recipient, or to one whose
/// identity is verified less strictly. `named` is whether the patch sends the authorization's id,
/// whose mail servers are compared when it is resolved.
pub(super) fn must_carry_secrets(
    stored: &Destination,
    draft: &DestinationDraft,
    named: bool,
) -> Result<(), Refusal> {
    let weaker = is_weaker(&stored.settings, &draft.settings);
    let credentials = &draft.credentials;
    let recipient = Recipient::new(&draft.settings, credentials.kind, &credentials.open);
    if !weaker && recipient == Recipient::of(stored) && !secret_address_changes(stored, draft) {
        return Ok(());
    }
    // An authorization contains a secret, but its id is not one, so repeating the id proves
    // nothing.
    let is_consent = credentials.kind == CredentialKind::Oauth2Authorization;
    let is_same =
        credentials.open.get("authorization_id") == stored.credentials.open.get("authorization_id");
    let consent = Some("authorization_id").filter(|_| is_consent && is_same && (weaker || !named));
    let reused: Vec<FieldError> = credentials
        .kept_secrets()
        .chain(consent)
        .map(|name| {
            FieldError::at(
                pointer(name),
                FieldCode::Required,
                "must be sent again, because it would go to another server",
            )
        })
        .collect();
    if reused.is_empty() {
        return Ok(());
    }
    let detail = "the change decides where secrets are sent or how the server proves its \
         identity; send every secret again";
    Err(Refusal {
        errors: reused,
        ..Refusal::credentials_required(detail)
    })
}

fn pointer(name: &str) -> String {
    match name.split_once('/') {
        Some((group, name)) => format!("/credentials/{group}/{}", pointer_token(name)),
        None => format!("/credentials/{name}"),
    }
}

fn is_weaker(before: &Settings, after: &Settings) -> bool {
    let level = |settings: &Settings| -> Vec<u8> {
        let levels = settings
            .anchors()
            .into_iter()
            .filter_map(|(_, anchor)| match anchor {
                Anchor::AtLeast(level) => Some(level),
                Anchor::Address(_) | Anchor::Exactly(_) => None,
            });
        levels.collect()
    };
    level(before)
        .into_iter()
        .zip(level(after))
        .any(|(before, after)| after < before)
}

/// Whether an address that is itself a secret is replaced by one that leads elsewhere, as far as
/// its hint shows.
fn secret_address_changes(stored: &Destination, draft: &DestinationDraft) -> bool {
    let credentials = &draft.credentials;
    let mut deciding = credentials
        .kind
        .fields(stored.kind())
        .filter(|field| field.decides == Decides::Recipient && field.shape.is_secret());
    deciding.any(|field| {
        let Some(given) = credentials.given(field.name) else {
            return false;
        };
        let hint = stored
            .credentials
            .secrets
            .get(field.name)
            .and_then(|secret| secret.hint.clone());
        hint.is_none() || hint != secret_hint(credentials.kind, given)
    })
}
