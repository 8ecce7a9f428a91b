//! The settings of object stores: Amazon S3 and S3-compatible stores, Google Cloud Storage, and
//! Azure Blob Storage.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Address, Anchor, NamedAnchor, TRANSFER_SECONDS, read_timeout};
use crate::credentials::Decides;
use crate::input::{FieldCode, Fields, pointer_token};
use crate::limits::URL;

/// The default template of an object's key.
pub const DEFAULT_KEY_TEMPLATE: &str =
    "{{ event_type }}/{{ created_at | date('%Y/%m/%d') }}/{{ message_id }}{{ filename | ext }}";
/// The maximum length of a key, in bytes, that all three stores accept.
pub const KEY_MAX_BYTES: usize = 1024;

/// The length of the template of an object's key, in characters.
pub const KEY_TEMPLATE: RangeInclusive<usize> = 1..=4096;
/// The length of the name of an Amazon S3 bucket.
pub const S3_BUCKET: RangeInclusive<usize> = 3..=63;
/// The length of the name of a Google Cloud Storage bucket.
pub const GCS_BUCKET: RangeInclusive<usize> = 3..=222;
/// The length of the name of an Azure storage account.
pub const AZURE_ACCOUNT: RangeInclusive<usize> = 3..=24;
/// The length of the name of an Azure Blob Storage container.
pub const AZURE_CONTAINER: RangeInclusive<usize> = 3..=63;
/// The length of the name of a region or of a storage class.
pub const WORD: RangeInclusive<usize> = 1..=40;
/// The length of the id, ARN or alias of a KMS key.
pub const KMS_KEY_ID: RangeInclusive<usize> = 1..=2048;
/// The maximum number of tags of one object in S3 and Azure.
pub const TAGS_MAX: usize = 10;
const TAG_NAME: RangeInclusive<usize> = 1..=128;
/// The maximum length of the value of a tag, in characters.
pub const TAG_VALUE_MAX: usize = 256;

/// The settings of a bucket of Amazon S3 or of an S3-compatible store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct S3Settings {
    /// The name of the bucket.
    pub bucket: String,
    /// The region of the bucket; `None` for the region in which Waybill runs.
    pub region: Option<String>,
    /// The URL of a store other than Amazon S3, `https://…`, without the bucket.
    pub endpoint: Option<String>,
    /// The encryption of the objects; `None` for the bucket's default.
    pub server_side_encryption: Option<ServerSideEncryption>,
    /// The customer's KMS key for `aws:kms`.
    pub kms_key_id: Option<String>,
    /// The tags of every object.
    pub tags: BTreeMap<String, String>,
    /// The settings that all object stores share.
    #[serde(flatten)]
    pub object: ObjectSettings,
}

/// The settings of a Google Cloud Storage bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GcsSettings {
    /// The name of the bucket.
    pub bucket: String,
    /// The URL that replaces `https://storage.googleapis.com`.
    pub endpoint: Option<String>,
    /// The settings that all object stores share.
    #[serde(flatten)]
    pub object: ObjectSettings,
}

/// The settings of an Azure Blob Storage container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AzureBlobSettings {
    /// The name of the storage account.
    pub account: String,
    /// The name of the container in the account.
    pub container: String,
    /// The URL that replaces `https://<account>.blob.core.windows.net`.
    pub endpoint: Option<String>,
    /// The tags of every blob.
    pub tags: BTreeMap<String, String>,
    /// The settings that all object stores share.
    #[serde(flatten)]
    pub object: ObjectSettings,
}

/// The settings that all object stores share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectSettings {
    /// The template of an object's key.
    pub key_template: String,
    /// What happens if another object already has the key.
    pub if_exists: IfExists,
    /// The storage class, in the notation of the provider; `None` for the bucket's default.
    pub storage_class: Option<String>,
    /// The time limit of the whole attempt, in seconds.
    pub timeout_seconds: u32,
}

/// What happens if another object already has the key. Repeating the same delivery always succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IfExists {
    /// The delivery fails, and the existing object stays.
    Fail,
    /// The existing object is replaced.
    Replace,
    /// The existing object stays, and the delivery succeeds.
    Skip,
}

/// The encryption of objects in S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerSideEncryption {
    /// Encryption with keys that S3 manages.
    #[serde(rename = "AES256")]
    Aes256,
    /// Encryption with a KMS key.
    #[serde(rename = "aws:kms")]
    AwsKms,
}

impl ServerSideEncryption {
    /// Returns the value of the request header.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aes256 => "AES256",
            Self::AwsKms => "aws:kms",
        }
    }
}

impl S3Settings {
    /// Returns the settings that determine which server receives the secrets of an S3 bucket. At
    /// Amazon, the host name contains the bucket and the region.
    pub(super) fn anchors(&self) -> Vec<NamedAnchor<'_>> {
        let Self {
            bucket,
            region,
            endpoint,
            ..
        } = self;
        let at_amazon = endpoint.is_none();
        vec![
            (
                "endpoint",
                Anchor::Address(endpoint.as_deref().map(Address::Url)),
            ),
            ("bucket", Anchor::Exactly(at_amazon.then(|| bucket.into()))),
            (
                "region",
                Anchor::Exactly(region.as_deref().filter(|_| at_amazon).map(Into::into)),
            ),
        ]
    }

    /// Reads the settings. Returns `None` if the bucket is missing or invalid; the mistake is
    /// recorded.
    pub fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.describe("bucket", Decides::Recipient, || {
            json!({"type": "string", "minLength": S3_BUCKET.start(), "maxLength": S3_BUCKET.end(),
                "pattern": r"^[a-z0-9]((\.?[a-z0-9-])*\.?[a-z0-9])?$",
                "description": "The name of the bucket."})
        });
        let bucket = take_s3_bucket(fields);
        fields.describe("region", Decides::Recipient, || {
            json!({"type": ["string", "null"], "minLength": WORD.start(), "maxLength": WORD.end(),
                "pattern": "^[a-z0-9-]+$", "default": null,
                "description": "The AWS Region of the bucket. Default: the Region that Waybill \
                     runs in."})
        });
        let region = formatted(
            fields,
            "region",
            WORD,
            is_region,
            "must be a region's name, such as eu-central-1",
        );
        let description =
            "The URL of an S3-compatible store other than Amazon S3, without the bucket.";
        let endpoint = endpoint(fields, description);
        let (server_side_encryption, kms_key_id) = read_encryption(fields);
        let tags = tags(fields, is_s3_tag);
        let object = ObjectSettings::read(fields);
        Some(Self {
            bucket: bucket?,
            region,
            endpoint,
            server_side_encryption,
            kms_key_id,
            tags,
            object,
        })
    }
}

fn read_encryption(fields: &mut Fields<'_>) -> (Option<ServerSideEncryption>, Option<String>) {
    let choices = [
        ("none", None),
        ("AES256", Some(ServerSideEncryption::Aes256)),
        ("aws:kms", Some(ServerSideEncryption::AwsKms)),
    ];
    fields.describe("server_side_encryption", Decides::Nothing, || {
        let words: Vec<Option<&str>> = choices
            .iter()
            .map(|(word, _)| Some(*word))
            .chain([None])
            .collect();
        json!({"enum": words, "default": null, "description": "How objects are encrypted on the \
             server. Default: the bucket's own setting."})
    });
    let server_side_encryption = fields.choice("server_side_encryption", &choices).flatten();
    fields.describe("kms_key_id", Decides::Nothing, || {
        json!({"type": ["string", "null"], "minLength": KMS_KEY_ID.start(),
            "maxLength": KMS_KEY_ID.end(), "pattern": "^[!-~]+$", "default": null,
            "description": "The KMS key that encrypts objects, for aws:kms."})
    });
    let kms_key_id = formatted(
        fields,
        "kms_key_id",
        KMS_KEY_ID,
        is_visible,
        "must be a KMS key's id, ARN or alias",
    );
    if kms_key_id.is_some() && server_side_encryption != Some(ServerSideEncryption::AwsKms) {
        fields.refuse(
            "kms_key_id",
            FieldCode::Conflict,
            "requires server_side_encryption aws:kms",
        );
    }
    (server_side_encryption, kms_key_id)
}

/// Takes the member `bucket`, which must be the name of an Amazon S3 bucket. An ARN is rejected,
/// because it could name the same bucket in another way.
pub fn take_s3_bucket(fields: &mut Fields<'_>) -> Option<String> {
    name(
        fields,
        "bucket",
        S3_BUCKET,
        is_s3_bucket,
        "must be a bucket's name: lower-case letters, digits, dots and hyphens",
    )
}

impl GcsSettings {
    /// Returns the settings that determine which server receives the secrets of a Google Cloud
    /// Storage bucket. The bucket is part of the path and not of the host name.
    pub(super) fn anchors(&self) -> Vec<NamedAnchor<'_>> {
        let Self { endpoint, .. } = self;
        vec![(
            "endpoint",
            Anchor::Address(endpoint.as_deref().map(Address::Url)),
        )]
    }

    /// Reads the settings. Returns `None` if the bucket is missing or invalid; the mistake is
    /// recorded.
    pub fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.describe("bucket", Decides::Nothing, || {
            json!({"type": "string", "minLength": GCS_BUCKET.start(),
                "maxLength": GCS_BUCKET.end(),
                "pattern": r"^[a-z0-9]((\.?[a-z0-9_-])*\.?[a-z0-9])?$",
                "description": "The name of the bucket."})
        });
        let detail =
            "must be a bucket's name: lower-case letters, digits, dots, hyphens and underscores";
        let bucket = name(fields, "bucket", GCS_BUCKET, is_gcs_bucket, detail);
        let description =
            "The URL of the storage service, in place of https://storage.googleapis.com.";
        let endpoint = endpoint(fields, description);
        let object = ObjectSettings::read(fields);
        Some(Self {
            bucket: bucket?,
            endpoint,
            object,
        })
    }
}

impl AzureBlobSettings {
    /// Returns the settings that determine which server receives the secrets of a container. The
    /// host name contains the account, and requests are signed with the account's name.
    pub(super) fn anchors(&self) -> Vec<NamedAnchor<'_>> {
        let Self {
            account, endpoint, ..
        } = self;
        vec![
            (
                "endpoint",
                Anchor::Address(endpoint.as_deref().map(Address::Url)),
            ),
            ("account", Anchor::Exactly(Some(account.into()))),
        ]
    }

    /// Reads the settings. Returns `None` if the account or the container is missing or invalid;
    /// the mistake is recorded.
    pub fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.describe("account", Decides::Recipient, || {
            json!({"type": "string", "minLength": AZURE_ACCOUNT.start(),
                "maxLength": AZURE_ACCOUNT.end(), "pattern": "^[a-z0-9]+$",
                "description": "The name of the Azure storage account."})
        });
        let account = name(
            fields,
            "account",
            AZURE_ACCOUNT,
            is_azure_account,
            "must be a storage account's name: lower-case letters and digits",
        );
        fields.describe("container", Decides::Nothing, || {
            json!({"type": "string", "minLength": AZURE_CONTAINER.start(),
                "maxLength": AZURE_CONTAINER.end(),
                "pattern": r"^(\$root|\$web|[a-z0-9]+(-[a-z0-9]+)*)$",
                "description": "The name of the container in the storage account."})
        });
        let detail = "must be a container's name: lower-case letters, digits and single hyphens";
        let container = name(
            fields,
            "container",
            AZURE_CONTAINER,
            is_azure_container,
            detail,
        );
        let description = "The URL of the storage service, in place of \
                           https://<account>.blob.core.windows.net.";
        let endpoint = endpoint(fields, description);
        let tags = tags(fields, is_azure_tag);
        let object = ObjectSettings::read(fields);
        Some(Self {
            account: account?,
            container: container?,
            endpoint,
            tags,
            object,
        })
    }
}

impl ObjectSettings {
    fn read(fields: &mut Fields<'_>) -> Self {
        fields.describe("key_template", Decides::Nothing, || {
            json!({"type": "string", "minLength": KEY_TEMPLATE.start(),
                "maxLength": KEY_TEMPLATE.end(), "default": DEFAULT_KEY_TEMPLATE,
                "description": "A template for the key of the object."})
        });
        let key_template = fields.text("key_template", KEY_TEMPLATE);
        if key_template
            .as_deref()
            .is_some_and(|template| template.split('/').any(|segment| segment == ".."))
        {
            fields.refuse(
                "key_template",
                FieldCode::InvalidValue,
                "must not contain the segment ..",
            );
        }
        let choices = [
            ("fail", IfExists::Fail),
            ("replace", IfExists::Replace),
            ("skip", IfExists::Skip),
        ];
        let description = "What happens if an object with this key exists already.";
        let if_exists = fields.word(
            "if_exists",
            Decides::Nothing,
            &choices,
            IfExists::Fail,
            Some(description),
        );
        fields.describe("storage_class", Decides::Nothing, || {
            json!({"type": ["string", "null"], "minLength": WORD.start(),
                "maxLength": WORD.end(), "pattern": "^[A-Za-z0-9_-]+$", "default": null,
                "description": "The storage class of the objects, by the provider's name for it."})
        });
        let storage_class = formatted(
            fields,
            "storage_class",
            WORD,
            is_word,
            "must be a storage class, such as STANDARD_IA, NEARLINE or Cool",
        );
        let timeout_seconds = read_timeout(fields, TRANSFER_SECONDS);
        Self {
            key_template: key_template.unwrap_or_else(|| DEFAULT_KEY_TEMPLATE.to_owned()),
            if_exists,
            storage_class,
            timeout_seconds,
        }
    }
}

/// Returns the reason why a rendered key cannot be used; `None` if it can. A key must have the same
/// meaning in every store and in every URL.
#[must_use]
pub fn key_refusal(key: &str) -> Option<&'static str> {
    if key.is_empty() {
        Some("the key is empty")
    } else if key.len() > KEY_MAX_BYTES {
        Some("the key has more than 1024 bytes")
    } else if key.chars().any(char::is_control) {
        Some("the key contains control characters")
    } else if key.split('/').any(|segment| matches!(segment, "." | "..")) {
        Some("the key contains . or .. as a segment")
    } else if key.split('/').any(str::is_empty) {
        Some("the key has an empty segment: it begins or ends with a slash, or has two in a row")
    } else {
        None
    }
}

fn name(
    fields: &mut Fields<'_>,
    name: &'static str,
    length: RangeInclusive<usize>,
    good: fn(&str) -> bool,
    message: &str,
) -> Option<String> {
    let text = fields.required_text(name, length)?;
    if good(&text) {
        return Some(text);
    }
    fields.refuse(name, FieldCode::InvalidFormat, message);
    None
}

fn formatted(
    fields: &mut Fields<'_>,
    name: &'static str,
    length: RangeInclusive<usize>,
    good: fn(&str) -> bool,
    message: &str,
) -> Option<String> {
    let text = fields.text(name, length)?;
    if good(&text) {
        return Some(text);
    }
    fields.refuse(name, FieldCode::InvalidFormat, message);
    None
}

/// Reads the endpoint. The egress policy checks its scheme and address.
fn endpoint(fields: &mut Fields<'_>, description: &str) -> Option<String> {
    fields.describe("endpoint", Decides::Recipient, || {
        json!({"type": ["string", "null"], "format": "uri", "minLength": URL.start(),
            "maxLength": URL.end(), "pattern": r##"^[!"$->@-~]+$"##, "default": null,
            "description": description})
    });
    let detail = "must be a URL without query and fragment";
    formatted(
        fields,
        "endpoint",
        URL,
        |text| is_visible(text) && !text.contains(['?', '#']),
        detail,
    )
}

fn tags(fields: &mut Fields<'_>, is_tag: fn(&str) -> bool) -> BTreeMap<String, String> {
    fields.describe("tags", Decides::Nothing, || {
        json!({"type": "object", "maxProperties": TAGS_MAX,
            "additionalProperties": {"type": "string", "maxLength": TAG_VALUE_MAX}, "default": {},
            "description": "Metadata that is set on every object."})
    });
    let Some(members) = fields.members("tags") else {
        return BTreeMap::new();
    };
    if members.len() > TAGS_MAX {
        fields.refuse(
            "tags",
            FieldCode::TooLong,
            format!("must have at most {TAGS_MAX} tags"),
        );
        return BTreeMap::new();
    }
    let errors = fields.errors();
    let mut tags = BTreeMap::new();
    for (name, value) in members {
        let pointer = format!("{}/{}", fields.pointer_to("tags"), pointer_token(&name));
        match value {
            _ if !is_tag(&name) || !TAG_NAME.contains(&name.chars().count()) => errors.add(
                &*pointer,
                FieldCode::InvalidFormat,
                "is not a valid tag name",
            ),
            Value::String(value) if is_tag(&value) && value.chars().count() <= TAG_VALUE_MAX => {
                tags.insert(name, value);
            }
            Value::String(_) => errors.add(
                &*pointer,
                FieldCode::InvalidFormat,
                "is not a valid tag value",
            ),
            _ => errors.add(&*pointer, FieldCode::InvalidType, "must be a string"),
        }
    }
    tags
}

/// Returns whether S3 accepts the text in a tag: letters, digits and spaces of any script, and `+ -
/// . : = _ / @`. Amazon reserves the prefix `aws:` (S3 User Guide, Categorizing your storage using
/// tags).
fn is_s3_tag(text: &str) -> bool {
    let is_space = |c: char| c.is_whitespace() && !c.is_control();
    let is_allowed =
        |c: char| c.is_alphabetic() || c.is_numeric() || is_space(c) || "+-.:=_/@".contains(c);
    text.chars().all(is_allowed) && !text.starts_with("aws:")
}

/// Returns whether Azure accepts the text in a tag: ASCII letters, digits, spaces and `+ - . : = _
/// /` (Set Blob Tags, Remarks).
fn is_azure_tag(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b" +-.:=_/".contains(&b))
}

fn is_lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_s3_bucket(text: &str) -> bool {
    text.bytes().all(|b| is_lower(b) || b".-".contains(&b))
        && has_plain_ends(text)
        && !text.contains("..")
}

fn is_gcs_bucket(text: &str) -> bool {
    text.bytes().all(|b| is_lower(b) || b".-_".contains(&b))
        && has_plain_ends(text)
        && !text.contains("..")
}

fn is_azure_account(text: &str) -> bool {
    text.bytes().all(is_lower)
}

fn is_azure_container(text: &str) -> bool {
    let named = text.bytes().all(|b| is_lower(b) || b == b'-')
        && has_plain_ends(text)
        && !text.contains("--");
    named || matches!(text, "$root" | "$web")
}

fn has_plain_ends(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|b| is_lower(*b)) && bytes.last().is_some_and(|b| is_lower(*b))
}

fn is_region(text: &str) -> bool {
    text.bytes().all(|b| is_lower(b) || b == b'-')
}

fn is_word(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Errors, parse_object};

    fn read<T>(
        json: &str,
        reader: fn(&mut Fields<'_>) -> Option<T>,
    ) -> Result<T, Vec<(String, FieldCode)>> {
        let errors = Errors::default();
        let mut fields = Fields::new("/settings", parse_object(json.as_bytes()).unwrap(), &errors);
        let settings = reader(&mut fields);
        fields.finish();
        let found = errors.into_result(()).map_err(|found| {
            found
                .into_iter()
                .map(|e| (e.pointer.unwrap(), e.code))
                .collect::<Vec<_>>()
        });
        found.map(|()| settings.expect("no mistakes"))
    }

    #[test]
    fn defaults_are_the_contract_s() {
        let s3 = read(r#"{"bucket": "reports"}"#, S3Settings::read).unwrap();
        assert_eq!(s3.object.key_template, DEFAULT_KEY_TEMPLATE);
        assert_eq!(
            (
                s3.object.if_exists,
                s3.object.timeout_seconds,
                s3.server_side_encryption
            ),
            (IfExists::Fail, 300, None)
        );
        let azure = read(
            r#"{"account": "acme1", "container": "$web", "if_exists": "skip"}"#,
            AzureBlobSettings::read,
        )
        .unwrap();
        assert_eq!(azure.object.if_exists, IfExists::Skip);
    }

    #[test]
    fn stored_items_read_back() {
        let json = r#"{"bucket": "b-1", "region": "eu-west-1", "endpoint": "https://s3.example", "server_side_encryption": "aws:kms",
            "kms_key_id": "alias/x", "tags": {"team": "billing"}, "if_exists": "replace", "storage_class": "STANDARD_IA", "timeout_seconds": 9}"#;
        let settings = read(json, S3Settings::read).unwrap();
        let stored = serde_json::to_value(&settings).unwrap();
        assert_eq!(stored["if_exists"], "replace");
        assert_eq!(
            serde_json::from_value::<S3Settings>(stored).unwrap(),
            settings
        );
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let json = r#"{"bucket": "No", "region": "EU", "endpoint": "https://x?y", "server_side_encryption": "rot13", "kms_key_id": "k",
            "tags": {"a&b": "c", "d": 1}, "if_exists": "maybe", "key_template": "a/../b", "storage_class": "a b", "timeout_seconds": 601, "prefix": "x"}"#;
        let mut found: Vec<String> = read(json, S3Settings::read)
            .unwrap_err()
            .into_iter()
            .map(|(pointer, _)| pointer)
            .collect();
        found.sort();
        let mut expected = [
            "bucket",
            "region",
            "endpoint",
            "server_side_encryption",
            "kms_key_id",
            "tags/a&b",
            "tags/d",
            "if_exists",
            "key_template",
            "storage_class",
            "timeout_seconds",
            "prefix",
        ]
        .map(|name| format!("/settings/{name}"));
        expected.sort();
        assert_eq!(found, expected);
        let found = read(r#"{"tags": {}}"#, GcsSettings::read).unwrap_err();
        assert_eq!(
            found,
            [
                ("/settings/bucket".to_owned(), FieldCode::Required),
                ("/settings/tags".to_owned(), FieldCode::UnknownField)
            ]
        );
        assert_eq!(read("{}", AzureBlobSettings::read).unwrap_err().len(), 2);
    }

    #[test]
    fn tags_hold_what_their_store_allows() {
        for value in ["ops@example.com", "Zürich 東京", "a+b-c.d:e=f_g/h", ""] {
            let json =
                serde_json::json!({"bucket": "reports", "tags": {"owner": value}}).to_string();
            assert_eq!(read(&json, S3Settings::read).unwrap().tags["owner"], value);
        }
        for (name, value) in [
            ("a&b", "c"),
            ("a", "b\nc"),
            ("a", "<b>"),
            ("aws:a", "b"),
            ("a", &"x".repeat(257)),
        ] {
            let json = serde_json::json!({"bucket": "reports", "tags": {name: value}}).to_string();
            assert!(read(&json, S3Settings::read).is_err(), "{name}: {value}");
        }
        let json =
            r#"{"account": "acme1", "container": "reports", "tags": {"owner": "ops@example.com"}}"#;
        assert!(read(json, AzureBlobSettings::read).is_err());
    }

    #[test]
    fn keys_mean_one_thing() {
        for good in ["a", "a/b.json", "…/ü", "..a/b..", "a b/%2e%2e", "a\\b"] {
            assert_eq!(key_refusal(good), None, "{good:?}");
        }
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            "..",
            "a/../b",
            "./a",
            "a/.",
            "a\nb",
            "a\0",
            &"x".repeat(1025),
        ] {
            assert!(key_refusal(bad).is_some(), "{bad:?}");
        }
    }
}
