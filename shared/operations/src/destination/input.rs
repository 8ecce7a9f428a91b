//! Reads a destination: the whole body of a create, or a patch that is merged onto the stored
//! destination. Nothing is sealed or saved here.

use std::ops::RangeInclusive;

use domain::destination::{Destination, OnExhausted};
use domain::event_type::EventPattern;
use domain::input::{Errors, FieldCode, FieldError, Fields};
use domain::limits::{DESCRIPTION, EVENT_PATTERNS_MAX, NAME, REFERENCE};
use domain::organization::FailurePolicy;
use domain::retry::RetryPolicy;
use domain::settings::{Address, DestinationType, Settings, TemplateKind, TemplateText};
use domain::waiting::DeliveryLimits;
use egress::{Host, Policy, Schemes, Target};
use serde_json::{Map, Value};
use template::{Limits, Template, TemplateError};

use super::credentials::{CredentialsDraft, take_credentials};
use super::moved;
use super::secret_input::{SecretInput, take_secret};
use super::together;
use crate::body::read_members;
use crate::{Body, MergePatch, Query, Refusal};

const READ_ONLY: &[&str] = &[
    "id",
    "organization_id",
    "status",
    "disabled",
    "paused",
    "signing_secrets",
    "revision",
    "verified_at",
    "health",
    "created_at",
    "updated_at",
    "url",
];

/// A destination as a request defines it, before its new secrets are sealed.
#[derive(Clone, Debug)]
pub struct DestinationDraft {
    pub(crate) external_id: Option<String>,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) settings: Settings,
    pub(crate) credentials: CredentialsDraft,
    pub(crate) event_types: Option<Vec<EventPattern>>,
    pub(crate) retry_policy: Option<RetryPolicy>,
    pub(crate) failure_policy: Option<FailurePolicy>,
    pub(crate) delivery_limits: Option<DeliveryLimits>,
    pub(crate) on_exhausted: Option<OnExhausted>,
    pub(crate) signing_secret: Option<SecretInput>,
}

/// A destination to create.
#[derive(Debug)]
pub struct DestinationToCreate {
    pub(crate) draft: DestinationDraft,
    /// Whether it is saved without a check of its connection.
    pub(crate) skip_check: bool,
}

/// A change of a destination.
#[derive(Debug)]
pub struct DestinationPatch {
    pub(crate) patch: MergePatch,
    /// Whether it is saved without a check of the connection.
    pub(crate) skip_check: bool,
    /// The mistakes in the query, which are reported together with those in the patch.
    pub(crate) mistakes: Vec<FieldError>,
}

impl DestinationPatch {
    pub(crate) fn read(query: Query, body: Body) -> Result<Self, Refusal> {
        let patch = MergePatch(body.object()?);
        let errors = Errors::default();
        let skip_check = take_skip_check(query, &errors);
        let mistakes = errors.into_result(()).err().unwrap_or_default();
        Ok(Self {
            patch,
            skip_check,
            mistakes,
        })
    }
}

/// Takes the only parameter of a create and of a patch: whether the check is skipped.
pub(crate) fn take_skip_check(mut query: Query, errors: &Errors) -> bool {
    let skip_check = query.flag("skip_check", errors);
    query.finish(errors);
    skip_check
}

/// What a deployment permits as the address of a destination.
#[derive(Clone, Debug)]
pub(crate) struct Addresses<'p> {
    pub(crate) policy: &'p Policy,
    pub(crate) plain_http: bool,
    /// The AWS account that the deployment runs in.
    pub(crate) account_id: &'p str,
}

/// Reads the body of a create. `errors` has the mistakes that were found in the query.
pub(crate) fn read_new(
    body: Map<String, Value>,
    errors: Errors,
    addresses: &Addresses<'_>,
) -> Result<DestinationDraft, Vec<FieldError>> {
    read_members(body, errors, |fields| {
        let given = fields.given("type");
        let kind = fields.choice("type", DestinationType::ALL);
        let kind = fields.require("type", given, kind);
        let signing_secret = match kind {
            Some(kind) if kind != DestinationType::Webhook => {
                if fields.given("signing_secret") {
                    fields.refuse(
                        "signing_secret",
                        FieldCode::Conflict,
                        "is allowed only for webhooks: other destinations are not signed",
                    );
                }
                fields.take("signing_secret").and(None)
            }
            _ => take_secret(fields, "signing_secret", addresses.account_id),
        };
        let draft = read(fields, kind, None, addresses)?;
        Some(DestinationDraft {
            signing_secret,
            ..draft
        })
    })
}

/// Reads a merge patch (RFC 7396) of a stored destination.
pub(crate) fn read_patch(
    patch: Map<String, Value>,
    errors: Errors,
    stored: &Destination,
    addresses: &Addresses<'_>,
) -> Result<DestinationDraft, Refusal> {
    let named = patch
        .get("credentials")
        .is_some_and(|credentials| credentials.get("authorization_id").is_some());
    let draft = read_members(patch, errors, |fields| {
        if fields
            .take("type")
            .is_some_and(|kind| kind != stored.kind().as_str())
        {
            fields.refuse(
                "type",
                FieldCode::ReadOnly,
                "a destination's type cannot change",
            );
        }
        fields.read_only(&["signing_secret"]);
        read(fields, Some(stored.kind()), Some(stored), addresses)
    })?;
    moved::must_carry_secrets(stored, &draft, named)?;
    Ok(draft)
}

fn read(
    fields: &mut Fields<'_>,
    kind: Option<DestinationType>,
    stored: Option<&Destination>,
    addresses: &Addresses<'_>,
) -> Option<DestinationDraft> {
    fields.read_only(READ_ONLY);
    let stored_name = stored
        .filter(|_| !fields.has("name"))
        .map(|stored| stored.name.clone());
    let name = stored_name.or_else(|| fields.required_name("name", NAME));
    let external_id = optional_text(
        fields,
        "external_id",
        REFERENCE,
        stored.map(|stored| &stored.external_id),
    );
    let description = optional_text(
        fields,
        "description",
        DESCRIPTION,
        stored.map(|stored| &stored.description),
    );
    let settings = read_settings(fields, kind, stored, addresses);
    let signed = settings.as_ref().is_none_or(is_signed);
    let credentials = match kind {
        Some(kind) => take_credentials(
            fields,
            kind,
            stored.map(|stored| &stored.credentials),
            signed,
        ),
        None => fields.take("credentials").and(None),
    };
    if let (Some(settings), Some(credentials)) = (&settings, &credentials) {
        together::check(settings, credentials, addresses, fields);
    }
    let event_types = match (fields.has("event_types"), stored) {
        (false, Some(stored)) => stored.event_types.clone(),
        _ => fields.parsed_list("event_types", EVENT_PATTERNS_MAX, EventPattern::parse),
    };
    let stored_retries = stored.and_then(|stored| stored.retry_policy.as_ref());
    let retry_policy = take_policy(fields, "retry_policy", stored_retries, RetryPolicy::read);
    let stored_policy = stored.and_then(|stored| stored.failure_policy.as_ref());
    let failure_policy = take_policy(fields, "failure_policy", stored_policy, FailurePolicy::read);
    let stored_limits = stored.and_then(|stored| stored.delivery_limits.as_ref());
    let delivery_limits = take_policy(
        fields,
        "delivery_limits",
        stored_limits,
        DeliveryLimits::read,
    );
    let on_exhausted = take_fallbacks(fields, stored);
    Some(DestinationDraft {
        external_id,
        name: name?,
        description,
        settings: settings?,
        credentials: credentials?,
        event_types,
        retry_policy,
        failure_policy,
        delivery_limits,
        on_exhausted,
        signing_secret: None,
    })
}

/// Takes the fallback destinations. A list replaces the stored one as a whole; if none is given,
/// the stored one is kept.
fn take_fallbacks(fields: &mut Fields<'_>, stored: Option<&Destination>) -> Option<OnExhausted> {
    if !fields.has("on_exhausted") {
        return stored.and_then(|stored| stored.on_exhausted.clone());
    }
    let wanted = fields.object("on_exhausted", OnExhausted::read).flatten()?;
    if let Some(position) = stored.and_then(|stored| {
        wanted
            .destination_ids
            .iter()
            .position(|id| *id == stored.id)
    }) {
        let pointer = format!("/on_exhausted/destination_ids/{position}");
        fields.errors().add(
            pointer,
            FieldCode::InvalidValue,
            "a destination cannot be its own fallback",
        );
    }
    Some(wanted)
}

/// Takes an optional text. A patch that does not name it keeps the stored text; null removes it.
fn optional_text(
    fields: &mut Fields<'_>,
    name: &str,
    length: RangeInclusive<usize>,
    stored: Option<&Option<String>>,
) -> Option<String> {
    match stored {
        Some(stored) if !fields.has(name) => stored.clone(),
        _ => fields.text(name, length),
    }
}

/// Takes a policy of the destination's own. Members that are left out keep their stored values or
/// the defaults. A policy that is null is removed, so that the organization's applies.
fn take_policy<'e, T: Default + Clone>(
    fields: &mut Fields<'e>,
    name: &str,
    stored: Option<&T>,
    read: impl FnOnce(&T, &mut Fields<'e>) -> T,
) -> Option<T> {
    if !fields.has(name) {
        return stored.cloned();
    }
    fields.object(name, |inner| {
        read(&stored.cloned().unwrap_or_default(), inner)
    })
}

/// Takes `settings`, merged onto the stored ones if there are any, and checks their addresses and
/// templates.
pub(super) fn read_settings(
    fields: &mut Fields<'_>,
    kind: Option<DestinationType>,
    stored: Option<&Destination>,
    addresses: &Addresses<'_>,
) -> Option<Settings> {
    let given = fields.has("settings");
    if let Some(stored) = stored
        && !given
    {
        return Some(stored.settings.clone());
    }
    let patch = fields.take("settings");
    let merged = match (stored, patch) {
        (_, None) => {
            fields.refuse("settings", FieldCode::Required, "settings is required");
            return None;
        }
        (Some(stored), Some(patch)) => merge(patchable(&stored.settings, &patch), patch),
        (None, Some(settings)) => settings,
    };
    let Value::Object(members) = merged else {
        fields.refuse("settings", FieldCode::InvalidType, "must be an object");
        return None;
    };
    let mut inner = Fields::new(fields.pointer_to("settings"), members, fields.errors());
    let settings = Settings::read(kind?, &mut inner);
    inner.finish();
    let settings = settings?;
    for (name, address) in settings.addresses() {
        if let Err(refusal) = admit(address, addresses) {
            fields.errors().add(
                format!("/settings/{name}"),
                refused(&refusal),
                refusal.to_string(),
            );
        }
    }
    for template in settings.templates() {
        if let Err(mistake) = compiled(template) {
            fields.errors().add(
                format!("/settings/{}", template.name),
                FieldCode::InvalidFormat,
                mistake.to_string(),
            );
        }
    }
    Some(settings)
}

/// Returns the stored settings that a patch is merged onto. A `host_key` replaces the stored
/// `host_keys`, which would otherwise conflict with it.
fn patchable(stored: &Settings, patch: &Value) -> Value {
    let mut json = stored.to_json();
    let replaces =
        patch.get("host_key").is_some_and(|key| !key.is_null()) && patch.get("host_keys").is_none();
    if let Value::Object(members) = &mut json
        && replaces
    {
        members.remove("host_keys");
    }
    json
}

/// Returns an error if the address itself shows that deliveries may not be sent to it.
pub(crate) fn admit(
    address: Address<'_>,
    addresses: &Addresses<'_>,
) -> Result<(), egress::Refusal> {
    match address {
        Address::Url(url) => {
            let target = Target::parse(url, Schemes::with_plain_http(addresses.plain_http))?;
            addresses.policy.admit(target.host())
        }
        Address::Host { host, .. } => addresses.policy.admit(&Host::parse(host)?),
    }
}

/// Returns the code of the mistake for a refused address.
pub(crate) fn refused(refusal: &egress::Refusal) -> FieldCode {
    if refusal.is_blocked_address() {
        FieldCode::BlockedAddress
    } else {
        FieldCode::InvalidFormat
    }
}

fn compiled(text: TemplateText<'_>) -> Result<Template, TemplateError> {
    match text.makes {
        TemplateKind::Line => Template::compile(text.source, Limits::LINE),
        TemplateKind::Text => Template::compile(text.source, Limits::BODY),
        TemplateKind::MailText => Template::compile_mail_text(text.source, Limits::BODY),
        TemplateKind::MailHtml => Template::compile_mail_html(text.source, Limits::BODY),
    }
}

fn is_signed(settings: &Settings) -> bool {
    matches!(settings, Settings::Webhook(webhook) if webhook.signature.enabled)
}

/// Merges a patch onto a value, as RFC 7396, section 2, specifies.
fn merge(target: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch;
    };
    let mut members = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(&name);
        } else {
            let old = members.remove(&name).unwrap_or(Value::Null);
            members.insert(name, merge(old, value));
        }
    }
    Value::Object(members)
}
