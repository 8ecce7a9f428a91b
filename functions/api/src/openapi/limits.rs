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
type Limit = (String, Value);

/// Returns limits of members that several schemas, or several members of schemas, have in common.
fn shared<const N: usize>(paths: &[&str], members: [(&str, Value); N]) -> Vec<Limit> {
    paths
        .iter()
        .flat_map(|path| {
            members
                .iter()
                .map(move |(member, limit)| (format!("{path}{member}"), limit.clone()))
        })
        .collect()
}

/// Returns the limits of one schema.
fn of<const N: usize>(schema: &str, members: [(&str, Value); N]) -> Vec<Limit> {
    shared(&[&format!("{schema}/")], members)
}

/// Adds the limits and defaults to the schemas.
pub(super) fn enter(schemas: &mut Map<String, Value>) {
    for (name, members) in numbers() {
        for (member, limit) in members {
            add(schemas, &format!("{name}/{member}"), limit);
        }
    }
    for (path, limit) in [
        destinations(),
        messages(),
        organizations(),
        other_requests(),
    ]
    .into_iter()
    .flatten()
    {
        add(schemas, &path, limit);
    }
}

fn add(schemas: &mut Map<String, Value>, path: &str, mut limit: Value) {
    // The structure says whether the member may be null.
    limit.as_object_mut().map(|limit| limit.remove("type"));
    let (name, member) = path.split_once('/').unwrap_or((path, ""));
    let schema = schemas
        .get_mut(name)
        .and_then(|schema| find(schema, &format!("/{member}")));
    merge(
        schema.unwrap_or_else(|| panic!("the document has {path}")),
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
    [
        shared(
            &["CreateDestination/", "PatchDestination/"],
            [
                ("name", text(&NAME)),
                ("description", text(&DESCRIPTION)),
                ("external_id", text(&REFERENCE)),
                ("event_types", list(&(0..=EVENT_PATTERNS_MAX))),
                ("event_types/items", text(&EVENT_TYPE)),
            ],
        ),
        shared(
            &["CreateDestination/signing_secret", "RotateSecret/secret"],
            [
                ("/oneOf/0", text(&SIGNING_SECRET)),
                ("/oneOf/1/properties/secret_arn", text(&SECRET_ARN)),
                ("/oneOf/1/properties/role_arn", text(&ROLE_ARN)),
            ],
        ),
        shared(
            &["DisableDestination/", "PauseDestination/"],
            [("reason", text(&DESCRIPTION))],
        ),
        of(
            "RotateSecret",
            [("overlap_seconds", OVERLAP_SECONDS.schema())],
        ),
        of("TestDestination", [("event_type", text(&EVENT_TYPE))]),
        of(
            "PreviewDestination/sample/properties",
            [
                ("event_type", text(&EVENT_TYPE)),
                ("reference", text(&REFERENCE)),
                ("filename", text(&FILENAME)),
                ("content_type", text(&MEDIA_TYPE)),
            ],
        ),
        of(
            "OnExhausted",
            [("destination_ids", list(&(1..=OnExhausted::MAX)))],
        ),
        of(
            "RetryPolicy/schedule_seconds",
            [("items", SCHEDULE_SECONDS.schema())],
        ),
        of("RetryPolicy", [("schedule_seconds", list(&SCHEDULE))]),
        of(
            "AskHostKeys",
            [("host", text(&HOST)), ("port", SFTP_PORT.schema())],
        ),
    ]
    .concat()
}

fn messages() -> Vec<Limit> {
    let destination_ids = || list(&(1..=NAMED_DESTINATIONS_MAX));
    [
        shared(
            &["SubmitMessage/", "ResendMessage/"],
            [("destination_ids", destination_ids())],
        ),
        shared(
            &["SubmitMessage/", "JobFilter/"],
            [
                ("event_type", text(&EVENT_TYPE)),
                ("reference", text(&REFERENCE)),
            ],
        ),
        shared(
            &["Content/", "CreateUpload/"],
            [
                ("content_type", text(&MEDIA_TYPE)),
                ("filename", text(&FILENAME)),
            ],
        ),
        of(
            "SubmitMessage/metadata",
            [
                ("propertyNames", text(&METADATA_KEY)),
                (
                    "additionalProperties",
                    json!({"maxLength": METADATA_VALUE_MAX}),
                ),
            ],
        ),
        of(
            "SubmitMessage",
            [("metadata", json!({"maxProperties": METADATA_MAX}))],
        ),
        of(
            "SubmitMessage/source/properties/s3/properties",
            [
                ("bucket", text(&S3_BUCKET)),
                ("key", text(&SOURCE_KEY)),
                ("version_id", text(&SOURCE_KEY)),
                ("role_arn", text(&SOURCE_ROLE_ARN)),
            ],
        ),
        of(
            "SubmitMessage/status_callback/oneOf/1/properties",
            [("url", text(&URL))],
        ),
        of("SubmitBatch", [("messages", list(&(1..=BATCH_MAX)))]),
        of(
            "BatchMessage",
            [("idempotency_key", text(&IDEMPOTENCY_KEY))],
        ),
        of("CreateUpload", [("size_bytes", UPLOAD_BYTES.schema())]),
    ]
    .concat()
}

fn organizations() -> Vec<Limit> {
    let destinations = || list(&(0..=SETTINGS_DESTINATIONS_MAX));
    [
        shared(
            &[
                "CreateOrganization/",
                "PatchOrganization/",
                "PatchOwnOrganization/",
            ],
            [("name", text(&NAME))],
        ),
        shared(
            &["CreateOrganization/", "PatchOrganization/"],
            [("external_id", text(&REFERENCE))],
        ),
        of(
            "OrganizationSettings",
            [
                ("alert_emails", list(&(0..=ALERT_EMAILS_MAX))),
                ("alert_emails/items", json!({"maxLength": ADDRESS_MAX})),
                ("status_events", list(&(0..=STATUS_EVENTS_MAX))),
                ("default_destination_ids", destinations()),
                ("alert_destination_ids", destinations()),
                ("status_destination_ids", destinations()),
            ],
        ),
        shared(
            &[
                "Grants/buckets",
                "Grants/databases",
                "Grants/secret_arns",
                "Grants/ses_identities",
            ],
            [("", list(&(0..=GRANTS_MAX))), ("/items", text(&GRANT))],
        ),
    ]
    .concat()
}

fn other_requests() -> Vec<Limit> {
    [
        of("CreateApiKey", [("name", text(&NAME))]),
        of(
            "CreateAuthorization",
            [
                ("client_id", text(&CLIENT_ID_LENGTH)),
                ("client_secret", text(&CLIENT_SECRET_LENGTH)),
                ("authorize_url", text(&URL)),
                ("token_url", text(&URL)),
                ("scope", text(&SCOPE_LENGTH)),
                ("mail_servers", list(&(1..=MAIL_SERVERS_MAX))),
                ("mail_servers/items", json!({"minLength": 1})),
            ],
        ),
        of(
            "CreatePortalLink",
            [
                ("expires_in_seconds", LINK_SECONDS.schema()),
                ("session_seconds", LINK_SECONDS.schema()),
                ("path", text(&PAGE_PATH)),
            ],
        ),
        of(
            "Subject",
            [
                ("id", text(&REFERENCE)),
                ("name", text(&REFERENCE)),
                ("email", text(&REFERENCE)),
            ],
        ),
    ]
    .concat()
}
