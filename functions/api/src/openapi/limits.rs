//! The limits and defaults in the document: those that the readers of requests declare.

use domain::authorization::{
    CLIENT_ID_LENGTH, CLIENT_SECRET_LENGTH, MAIL_SERVERS_MAX, SCOPE_LENGTH,
};
use domain::bounds::{list, text};
use domain::destination::OnExhausted;
use domain::event_type::EVENT_TYPE;
use domain::failure_rate::FailureRate;
use domain::limits::{
    BATCH_MAX, DESCRIPTION, EVENT_PATTERNS_MAX, FILENAME, HOST, IDEMPOTENCY_KEY, MEDIA_TYPE,
    METADATA_KEY, METADATA_MAX, METADATA_VALUE_MAX, NAME, NAMED_DESTINATIONS_MAX, PAGE_SIZE,
    REFERENCE, SETTINGS_DESTINATIONS_MAX, SOURCE_KEY, SOURCE_ROLE_ARN, UPLOAD_BYTES, URL,
};
use domain::organization::{
    ALERT_EMAILS_MAX, FailurePolicy, GRANT, GRANTS_MAX, OrganizationSettings, STATUS_EVENTS_MAX,
};
use domain::portal_link::{LINK_SECONDS, PAGE_PATH};
use domain::quota::Quotas;
use domain::retry::{RetryPolicy, SCHEDULE, SCHEDULE_SECONDS};
use domain::role_arn::ROLE_ARN;
use domain::secret_arn::SECRET_ARN;
use domain::settings::email::ADDRESS_MAX;
use domain::settings::sftp::SFTP_PORT;
use domain::settings::storage::S3_BUCKET;
use domain::signing_secret::OVERLAP_SECONDS;
use domain::waiting::DeliveryLimits;
use operations::{CURSOR, SIGNING_SECRET};
use serde_json::{Map, Value, json};

use super::refine::merge;

/// A member of a schema, as `Schema/member` or as a longer pointer into it, and its limits as
/// keywords.
type Limit = (&'static str, Value);

/// Adds the limits and defaults to the schemas.
pub(super) fn enter(schemas: &mut Map<String, Value>) {
    for (name, members) in numbers() {
        for (member, limit) in members {
            add(schemas, &format!("{name}/{member}"), limit);
        }
    }
    for (place, limit) in [
        destinations(),
        messages(),
        organizations(),
        other_requests(),
    ]
    .into_iter()
    .flatten()
    {
        add(schemas, place, limit);
    }
}

fn add(schemas: &mut Map<String, Value>, place: &str, mut limit: Value) {
    // The structure says whether the member may be null.
    limit.as_object_mut().map(|limit| limit.remove("type"));
    let (name, member) = place.split_once('/').unwrap_or((place, ""));
    let schema = schemas
        .get_mut(name)
        .and_then(|schema| find(schema, &format!("/{member}")));
    merge(
        schema.unwrap_or_else(|| panic!("the document has {place}")),
        &limit,
    );
}

/// The member of a schema, or of one of the structures that it is composed of.
fn find<'s>(schema: &'s mut Value, pointer: &str) -> Option<&'s mut Value> {
    if schema.get("allOf").is_some() {
        let parts = schema.get_mut("allOf")?.as_array_mut()?;
        return parts
            .iter_mut()
            .find_map(|part| part.get_mut("properties")?.pointer_mut(pointer));
    }
    schema.get_mut("properties")?.pointer_mut(pointer)
}

/// The limits and defaults of parameters, by their names.
pub(super) fn of_parameters() -> [(&'static str, Value); 6] {
    [
        ("limit", PAGE_SIZE.schema()),
        ("cursor", text(&CURSOR)),
        ("Idempotency-Key", text(&IDEMPOTENCY_KEY)),
        ("event_type", text(&EVENT_TYPE)),
        ("reference", text(&REFERENCE)),
        ("/v1/organizations#name", text(&REFERENCE)),
    ]
}

/// Structures and the schemas of their numbers.
fn numbers() -> [(&'static str, Map<String, Value>); 6] {
    let mut retry_policy = RetryPolicy::numbers();
    // A schedule has as many retries as it lists.
    retry_policy["max_retries"]["maximum"] = (*SCHEDULE.end()).into();
    [
        ("RetryPolicy", retry_policy),
        ("DeliveryLimits", DeliveryLimits::numbers()),
        ("FailurePolicy", FailurePolicy::numbers()),
        ("FailureRate", FailureRate::numbers()),
        ("OrganizationSettings", OrganizationSettings::numbers()),
        ("Quotas", Quotas::schemas()),
    ]
}

fn destinations() -> Vec<Limit> {
    vec![
        ("CreateDestination/name", text(&NAME)),
        ("CreateDestination/description", text(&DESCRIPTION)),
        ("CreateDestination/external_id", text(&REFERENCE)),
        (
            "CreateDestination/event_types",
            list(&(0..=EVENT_PATTERNS_MAX)),
        ),
        ("CreateDestination/event_types/items", text(&EVENT_TYPE)),
        (
            "CreateDestination/signing_secret/oneOf/0",
            text(&SIGNING_SECRET),
        ),
        (
            "CreateDestination/signing_secret/oneOf/1/properties/secret_arn",
            text(&SECRET_ARN),
        ),
        (
            "CreateDestination/signing_secret/oneOf/1/properties/role_arn",
            text(&ROLE_ARN),
        ),
        ("PatchDestination/name", text(&NAME)),
        ("PatchDestination/description", text(&DESCRIPTION)),
        ("PatchDestination/external_id", text(&REFERENCE)),
        (
            "PatchDestination/event_types",
            list(&(0..=EVENT_PATTERNS_MAX)),
        ),
        ("PatchDestination/event_types/items", text(&EVENT_TYPE)),
        ("RotateSecret/secret/oneOf/0", text(&SIGNING_SECRET)),
        (
            "RotateSecret/secret/oneOf/1/properties/secret_arn",
            text(&SECRET_ARN),
        ),
        (
            "RotateSecret/secret/oneOf/1/properties/role_arn",
            text(&ROLE_ARN),
        ),
        ("RotateSecret/overlap_seconds", OVERLAP_SECONDS.schema()),
        ("DisableDestination/reason", text(&DESCRIPTION)),
        ("PauseDestination/reason", text(&DESCRIPTION)),
        ("TestDestination/event_type", text(&EVENT_TYPE)),
        (
            "PreviewDestination/sample/properties/event_type",
            text(&EVENT_TYPE),
        ),
        (
            "PreviewDestination/sample/properties/reference",
            text(&REFERENCE),
        ),
        (
            "PreviewDestination/sample/properties/filename",
            text(&FILENAME),
        ),
        (
            "PreviewDestination/sample/properties/content_type",
            text(&MEDIA_TYPE),
        ),
        ("OnExhausted/destination_ids", list(&(1..=OnExhausted::MAX))),
        ("RetryPolicy/schedule_seconds", list(&SCHEDULE)),
        (
            "RetryPolicy/schedule_seconds/items",
            SCHEDULE_SECONDS.schema(),
        ),
        ("AskHostKeys/host", text(&HOST)),
        ("AskHostKeys/port", SFTP_PORT.schema()),
    ]
}

fn messages() -> Vec<Limit> {
    vec![
        ("SubmitMessage/event_type", text(&EVENT_TYPE)),
        (
            "SubmitMessage/destination_ids",
            list(&(1..=NAMED_DESTINATIONS_MAX)),
        ),
        ("SubmitMessage/reference", text(&REFERENCE)),
        (
            "SubmitMessage/metadata",
            json!({"maxProperties": METADATA_MAX}),
        ),
        ("SubmitMessage/metadata/propertyNames", text(&METADATA_KEY)),
        (
            "SubmitMessage/metadata/additionalProperties",
            json!({"maxLength": METADATA_VALUE_MAX}),
        ),
        (
            "SubmitMessage/source/properties/s3/properties/bucket",
            text(&S3_BUCKET),
        ),
        (
            "SubmitMessage/source/properties/s3/properties/key",
            text(&SOURCE_KEY),
        ),
        (
            "SubmitMessage/source/properties/s3/properties/version_id",
            text(&SOURCE_KEY),
        ),
        (
            "SubmitMessage/source/properties/s3/properties/role_arn",
            text(&SOURCE_ROLE_ARN),
        ),
        (
            "SubmitMessage/status_callback/oneOf/1/properties/url",
            text(&URL),
        ),
        ("SubmitBatch/messages", list(&(1..=BATCH_MAX))),
        ("BatchMessage/idempotency_key", text(&IDEMPOTENCY_KEY)),
        ("Content/content_type", text(&MEDIA_TYPE)),
        ("Content/filename", text(&FILENAME)),
        (
            "ResendMessage/destination_ids",
            list(&(1..=NAMED_DESTINATIONS_MAX)),
        ),
        ("CreateUpload/content_type", text(&MEDIA_TYPE)),
        ("CreateUpload/filename", text(&FILENAME)),
        ("CreateUpload/size_bytes", UPLOAD_BYTES.schema()),
        ("JobFilter/event_type", text(&EVENT_TYPE)),
        ("JobFilter/reference", text(&REFERENCE)),
    ]
}

fn organizations() -> Vec<Limit> {
    let destinations = || list(&(0..=SETTINGS_DESTINATIONS_MAX));
    vec![
        ("CreateOrganization/name", text(&NAME)),
        ("CreateOrganization/external_id", text(&REFERENCE)),
        ("PatchOrganization/name", text(&NAME)),
        ("PatchOrganization/external_id", text(&REFERENCE)),
        ("PatchOwnOrganization/name", text(&NAME)),
        (
            "OrganizationSettings/alert_emails",
            list(&(0..=ALERT_EMAILS_MAX)),
        ),
        (
            "OrganizationSettings/alert_emails/items",
            json!({"maxLength": ADDRESS_MAX}),
        ),
        (
            "OrganizationSettings/status_events",
            list(&(0..=STATUS_EVENTS_MAX)),
        ),
        (
            "OrganizationSettings/default_destination_ids",
            destinations(),
        ),
        ("OrganizationSettings/alert_destination_ids", destinations()),
        (
            "OrganizationSettings/status_destination_ids",
            destinations(),
        ),
        ("Grants/buckets", list(&(0..=GRANTS_MAX))),
        ("Grants/buckets/items", text(&GRANT)),
        ("Grants/databases", list(&(0..=GRANTS_MAX))),
        ("Grants/databases/items", text(&GRANT)),
        ("Grants/secret_arns", list(&(0..=GRANTS_MAX))),
        ("Grants/secret_arns/items", text(&GRANT)),
        ("Grants/ses_identities", list(&(0..=GRANTS_MAX))),
        ("Grants/ses_identities/items", text(&GRANT)),
    ]
}

fn other_requests() -> Vec<Limit> {
    vec![
        ("CreateApiKey/name", text(&NAME)),
        ("CreateAuthorization/client_id", text(&CLIENT_ID_LENGTH)),
        (
            "CreateAuthorization/client_secret",
            text(&CLIENT_SECRET_LENGTH),
        ),
        ("CreateAuthorization/authorize_url", text(&URL)),
        ("CreateAuthorization/token_url", text(&URL)),
        ("CreateAuthorization/scope", text(&SCOPE_LENGTH)),
        (
            "CreateAuthorization/mail_servers",
            list(&(1..=MAIL_SERVERS_MAX)),
        ),
        (
            "CreateAuthorization/mail_servers/items",
            json!({"minLength": 1}),
        ),
        ("CreatePortalLink/expires_in_seconds", LINK_SECONDS.schema()),
        ("CreatePortalLink/session_seconds", LINK_SECONDS.schema()),
        ("CreatePortalLink/path", text(&PAGE_PATH)),
        ("Subject/id", text(&REFERENCE)),
        ("Subject/name", text(&REFERENCE)),
        ("Subject/email", text(&REFERENCE)),
    ]
}
