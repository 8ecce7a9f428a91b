//! What the engines hold, as plain data: the template reader of `infra/local` produces it, tests write it by hand.

use crate::sqs::QueueSpec;

/// Everything the engines are to create and keep.
#[derive(Debug, Clone)]
pub struct Resources {
    /// Twelve digits.
    pub account: String,
    /// For ARNs and addresses; nothing is there.
    pub region: String,
    /// DynamoDB tables.
    pub tables: Vec<TableSpec>,
    /// SQS queues.
    pub queues: Vec<QueueSpec>,
    /// S3 buckets.
    pub buckets: Vec<BucketSpec>,
    /// KMS keys.
    pub keys: Vec<KeySpec>,
    /// Secrets Manager secrets.
    pub secrets: Vec<SecretSpec>,
    /// EventBridge buses, by name.
    pub event_buses: Vec<String>,
    /// Lambda functions, by name. Their handlers arrive later, in [`crate::Functions`].
    pub functions: Vec<String>,
}

impl Resources {
    /// No resources yet, in the account and region that local mode uses.
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

/// A DynamoDB table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// The physical name.
    pub name: String,
    /// The types of all key attributes, the table's and its indexes'.
    pub attributes: Vec<(String, AttributeType)>,
    /// The table's own keys.
    pub key: KeySchema,
    /// Global secondary indexes.
    pub indexes: Vec<IndexSpec>,
    /// The attribute that holds an item's expiry, in epoch seconds.
    pub ttl_attribute: Option<String>,
}

/// A partition key and perhaps a sort key, by attribute name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySchema {
    /// The partition key.
    pub hash: String,
    /// The sort key.
    pub range: Option<String>,
}

/// The type of a key attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeType {
    /// `S`
    Text,
    /// `N`
    Number,
    /// `B`
    Binary,
}

/// A global secondary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSpec {
    /// The index's name.
    pub name: String,
    /// Its keys.
    pub key: KeySchema,
    /// What it holds besides the keys.
    pub projection: Projection,
}

/// What an index copies from its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Projection {
    /// `KEYS_ONLY`
    KeysOnly,
    /// `INCLUDE`: the keys and these attributes.
    Include(Vec<String>),
    /// `ALL`
    All,
}

/// An S3 bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketSpec {
    /// The physical name.
    pub name: String,
    /// Whether the template asks for versioning.
    pub versioned: bool,
}

/// A KMS key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySpec {
    /// The name that leads to the key id, `alias/<name>` on the wire.
    pub name: String,
}

/// A secret in Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSpec {
    /// The physical name.
    pub name: String,
    /// How its value comes about; none leaves it without one.
    pub value: Option<SecretValue>,
}

/// How a secret's value comes about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretValue {
    /// Made up when the secret is.
    Generated(GenerateSecretString),
    /// Given, each time anew.
    Given(String),
}

/// CloudFormation's `GenerateSecretString`: a JSON object with one random member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerateSecretString {
    /// The object the random member is added to; without it, the secret is the random string itself.
    pub template: Option<String>,
    /// The member's name.
    pub key: Option<String>,
    /// The random string's length in characters.
    pub length: usize,
    /// Leave out punctuation.
    pub exclude_punctuation: bool,
}
