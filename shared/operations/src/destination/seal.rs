//! Seals the new secrets of a draft, each for its organization, its destination and its own field.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::credentials::{CredentialKind, Credentials, SecretField, hint, sealed_name};
use domain::destination::Destination;
use domain::id::{DestinationId, OrganizationId, SecretId};
use domain::input::{FieldCode, FieldError};
use domain::role_arn::RoleArn;
use domain::secret_arn::SecretArn;
use domain::settings::Settings;
use domain::signing_secret::{SecretRole, SecretSource, SigningSecret};
use egress::{Schemes, Target};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use signing::SigningKey;
use vault::Recipient;

use super::credentials::{CredentialsDraft, SecretDraft};
use super::secret_input::SecretInput;
use super::together::connection_string;
use super::x509;
use crate::{Operations, Refusal};

/// A signing secret to store, and its text if it was generated, which is shown once.
pub(crate) struct NewSecret {
    pub(crate) stored: SigningSecret,
    pub(crate) generated: Option<SecretString>,
}

impl Operations {
    /// Seals the new secrets of credentials. Kept secrets are not sealed again.
    pub(crate) async fn seal_credentials(
        &self,
        organization: OrganizationId,
        destination: DestinationId,
        settings: &Settings,
        draft: CredentialsDraft,
        now: Timestamp,
    ) -> Result<Credentials, Refusal> {
        let shown = shown(settings, &draft);
        let mut secrets = BTreeMap::new();
        let mut names = Vec::new();
        let mut plain: Vec<(String, SecretString)> = Vec::new();
        for (name, secret) in draft.secrets {
            match secret {
                SecretDraft::Kept(field) => {
                    secrets.insert(name, field);
                }
                SecretDraft::Given(secret) => {
                    plain.push((sealed_name(&name), secret));
                    names.push(name);
                }
            }
        }
        if !plain.is_empty() {
            let fields: Vec<(&str, SecretString)> = plain
                .iter()
                .map(|(name, secret)| (&**name, secret.clone()))
                .collect();
            let recipient = Recipient::new(settings, draft.kind, &draft.open);
            let sealed = self
                .vault
                .seal_for(&recipient, organization, destination, &fields)
                .await?;
            for ((name, (_, secret)), sealed) in names.into_iter().zip(&plain).zip(sealed) {
                let hint = secret_hint(draft.kind, secret.expose_secret());
                secrets.insert(
                    name,
                    SecretField {
                        sealed,
                        hint,
                        updated_at: now,
                    },
                );
            }
        }
        Ok(Credentials {
            kind: draft.kind,
            open: draft.open,
            secrets,
            shown,
        })
    }

    /// Makes a signing secret to store: the one that the client sent, or a new one. `pointer` names
    /// its place in the request.
    pub(crate) async fn new_signing_secret(
        &self,
        organization: OrganizationId,
        destination: DestinationId,
        brought: Option<SecretInput>,
        pointer: &str,
        now: Timestamp,
    ) -> Result<NewSecret, Refusal> {
        let id: SecretId = self.ids.mint(organization, 1);
        let (source, hint, generated) = match brought {
            Some(SecretInput::Referenced { arn, role }) => (
                self.referenced(organization, &arn, role, pointer).await?,
                None,
                None,
            ),
            Some(SecretInput::Inline(secret)) => {
                let sealed = self
                    .vault
                    .seal(
                        organization,
                        destination,
                        &SigningSecret::sealed_name(id),
                        &secret,
                    )
                    .await?;
                (
                    SecretSource::Provided { sealed },
                    hint(secret.expose_secret()),
                    None,
                )
            }
            None => {
                let secret = SigningKey::generate(|buffer| {
                    buffer.copy_from_slice(&self.random.bytes::<32>())
                })
                .to_secret_string();
                let sealed = self
                    .vault
                    .seal(
                        organization,
                        destination,
                        &SigningSecret::sealed_name(id),
                        &secret,
                    )
                    .await?;
                (
                    SecretSource::Generated { sealed },
                    hint(secret.expose_secret()),
                    Some(secret),
                )
            }
        };
        let stored = SigningSecret {
            id,
            source,
            hint,
            created_at: now,
            valid_until: None,
        };
        Ok(NewSecret { stored, generated })
    }

    /// Checks a reference to a secret in Secrets Manager. Such a secret is read with a role of the
    /// customer's own, or with the deployment's role if the operator has granted it to the
    /// organization. A secret of the deployment's own is refused.
    async fn referenced(
        &self,
        organization: OrganizationId,
        arn: &SecretArn,
        role: Option<RoleArn>,
        pointer: &str,
    ) -> Result<SecretSource, Refusal> {
        let refused = |code, detail| {
            Err(Refusal::invalid(vec![FieldError::at(
                format!("{pointer}/secret_arn"),
                code,
                detail,
            )]))
        };
        if self.is_own_secret(arn) {
            return refused(
                FieldCode::Reserved,
                "is Waybill's own; name a secret of your own",
            );
        }
        let organization = self.existing_organization(organization).await?;
        let external_id = organization.aws_external_id;
        let role = role.map(|role| SecretRole {
            role_arn: role.as_str().to_owned(),
            external_id,
        });
        if role.is_none()
            && !organization
                .grants
                .secret_arns
                .iter()
                .any(|granted| granted == arn.as_str())
        {
            let detail = "this secret has not been granted to the organization; ask the operator, \
                 or name a role_arn that may read it";
            return refused(FieldCode::InvalidValue, detail);
        }
        Ok(SecretSource::SecretsManager {
            arn: arn.as_str().to_owned(),
            role,
        })
    }

    /// Whether an ARN, complete or partial, refers to a secret of the deployment's own.
    pub(crate) fn is_own_secret(&self, arn: &SecretArn) -> bool {
        // The operator may also have named one of them by a partial ARN.
        let is_led_to = |own: &String| {
            own.parse()
                .is_ok_and(|own: SecretArn| own.leads_to(arn.as_str()))
        };
        self.settings
            .own_secret_arns
            .iter()
            .any(|own| arn.leads_to(own) || is_led_to(own))
    }
}

/// Returns the hint that reads show of a secret.
pub(super) fn secret_hint(kind: CredentialKind, secret: &str) -> Option<String> {
    match kind {
        // The address of a chat service is secret, except for its host.
        CredentialKind::SecretUrl => {
            Target::parse(secret, Schemes::HttpAndHttps)
                .ok()
                .map(|target| {
                    let url = target.url();
                    format!(
                        "{}/…",
                        url[..url::Position::BeforePath].trim_end_matches('/')
                    )
                })
        }
        // Private keys, key files and connection strings all end in the same way.
        CredentialKind::ServiceAccount
        | CredentialKind::ConnectionString
        | CredentialKind::ClientCertificate
        | CredentialKind::PrivateKey => None,
        _ if secret.starts_with("-----BEGIN") => None,
        _ => hint(secret),
    }
}

/// Returns what reads show in addition to hints: the properties of certificates, and where a
/// connection string leads.
fn shown(settings: &Settings, draft: &CredentialsDraft) -> BTreeMap<String, Value> {
    let mut shown = draft.shown.clone();
    for (name, value) in draft
        .open
        .iter()
        .filter(|(name, _)| name.ends_with("certificate_pem") || name.ends_with("ca_pem"))
    {
        shown.extend(x509::described(value).map(|described| (name.clone(), described)));
    }
    shown.retain(|name, _| !name.ends_with("_pem") || draft.open.contains_key(name));
    if let Some(said) = draft
        .given("connection_string")
        .and_then(|text| connection_string(settings, text))
    {
        let members: [(&str, Value); 4] = [
            ("host", said.host.into()),
            ("port", said.port.into()),
            ("database", said.database.into()),
            ("username", said.username.into()),
        ];
        shown.extend(members.map(|(name, value)| (name.to_owned(), value)));
    }
    shown
}

/// Returns what an audit event shows of a destination. It contains no ciphertext, and the word
/// `secret` in place of a secret.
pub(crate) fn auditable(destination: &Destination) -> serde_json::Value {
    let mut credentials = serde_json::Map::new();
    credentials.insert(
        "kind".to_owned(),
        destination.credentials.kind.as_str().into(),
    );
    for (name, value) in &destination.credentials.open {
        credentials.insert(name.clone(), value.as_str().into());
    }
    for (name, secret) in &destination.credentials.secrets {
        // The time makes a replaced secret visible as a change; the value is never shown.
        credentials.insert(
            name.clone(),
            format!("secret, set {}", secret.updated_at).into(),
        );
    }
    serde_json::json!({
        "external_id": destination.external_id,
        "name": destination.name,
        "description": destination.description,
        "settings": destination.settings.to_json(),
        "credentials": credentials,
        "event_types": destination.event_types,
        "retry_policy": destination.retry_policy,
        "failure_policy": destination.failure_policy,
        "delivery_limits": destination.delivery_limits,
        "on_exhausted": destination.on_exhausted,
        "state": destination.state,
    })
}
