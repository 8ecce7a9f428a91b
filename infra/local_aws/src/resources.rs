//! The resources of the engines as plain data. The template reader of `infra/local` produces them;
//! tests write them directly.

use crate::sqs::QueueSpec;

/// Everything that the engines create and store.
#[derive(Debug, Clone)]
pub struct Resources {
    /// The account id of twelve digits.
    pub account: String,
    /// The region in ARNs and addresses. No requests are sent there.
    pub region: String,
    /// The tables of DynamoDB.
    pub tables: Vec<TableSpec>,
    /// The queues of SQS.
    pub queues: Vec<QueueSpec>,
    /// The buckets of S3.
    pub buckets: Vec<BucketSpec>,
    /// The keys of KMS.
    pub keys: Vec<KeySpec>,
    /// The secrets of Secrets Manager.
    pub secrets: Vec<SecretSpec>,
    /// EventBridge buses by name.
    pub event_buses: Vec<String>,
    /// Lambda functions by name. Their handlers are registered later, in [`crate::Functions`].
    pub functions: Vec<String>,
}

impl Resources {
    /// No resources, in the account and region of local mode.
    pub fn empty() -> Self {
        Self {
            account: "000000000000".into(),
            region: "us-east-1".into(),
            tables: Vec::new(),
            queues: Vec::new(),
            buckets: Vec::new(),
            keys: Vec::new(),
            secrets: Vec::new(),
            event_buses: Vec::new(),
            functions: Vec::new(),
        }
    }
}

/// The specification of a DynamoDB table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// The name of the table on AWS.
    pub name: String,
    /// The types of all key attributes, the table's and its indexes'.
    pub attributes: Vec<(String, AttributeType)>,
    /// The keys of the table.
    pub key: KeySchema,
    /// The global secondary indexes of the table.
    pub indexes: Vec<IndexSpec>,
    /// The attribute that holds an item's expiry, in epoch seconds.
    pub ttl_attribute: Option<String>,
}

/// A partition key and an optional sort key, by attribute name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySchema {
    /// The attribute of the partition key.
    pub hash: String,
    /// The attribute of the sort key, if there is one.
    pub range: Option<String>,
}

/// The type of a key attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeType {
    /// A string, written `S` in templates.
    Text,
    /// A number, written `N` in templates.
    Number,
    /// Binary data, written `B` in templates.
    Binary,
}

/// A global secondary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSpec {
    /// The name of the index.
    pub name: String,
    /// The keys of the index.
    pub key: KeySchema,
    /// What the index contains in addition to the keys.
    pub projection: Projection,
}

/// What an index copies from its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Projection {
    /// Only the keys, `KEYS_ONLY`.
    KeysOnly,
    /// The keys and these attributes, `INCLUDE`.
    Include(Vec<String>),
    /// All attributes of the items, written `ALL` in templates.
    All,
}

/// The specification of an S3 bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketSpec {
    /// The name of the bucket on AWS.
    pub name: String,
    /// Whether the bucket has versioning in the template.
    pub versioned: bool,
}

/// The specification of a KMS key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySpec {
    /// The name that resolves to the key id, `alias/<name>` in requests.
    pub name: String,
}

/// A secret in Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSpec {
    /// The name of the secret on AWS.
    pub name: String,
    /// The value of the secret; `None` for a secret without one.
    pub value: Option<SecretValue>,
}

/// The value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretValue {
    /// A random value, generated when the secret is created.
    Generated(GenerateSecretString),
    /// A given value, set at every start.
    Given(String),
}

/// CloudFormation's `GenerateSecretString`: a JSON object with one random property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerateSecretString {
    /// The object that the random property is added to. Without it, the secret is the random string
    /// itself.
    pub template: Option<String>,
    /// The name of the random property.
    pub key: Option<String>,
    /// The length of the random string in characters.
    pub length: usize,
    /// Whether to leave out punctuation.
    pub exclude_punctuation: bool,
}
