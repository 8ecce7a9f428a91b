//! A call of a service, as policies, faults and observers see it.

use std::collections::BTreeMap;

/// The services that the engines implement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Amazon DynamoDB, on SQLite.
    DynamoDb,
    /// Amazon SQS, on SQLite.
    Sqs,
    /// Amazon S3, in a folder.
    S3,
    /// AWS Key Management Service (KMS).
    Kms,
    /// AWS Secrets Manager, which stores secrets.
    SecretsManager,
    /// AWS Lambda, which invokes functions.
    Lambda,
    /// Amazon Simple Email Service (SES).
    Ses,
    /// Amazon EventBridge, which publishes events.
    EventBridge,
}

impl Service {
    /// Returns the name in IAM actions, ARNs and credential scopes.
    pub fn name(self) -> &'static str {
        match self {
            Self::DynamoDb => "dynamodb",
            Self::Sqs => "sqs",
            Self::S3 => "s3",
            Self::Kms => "kms",
            Self::SecretsManager => "secretsmanager",
            Self::Lambda => "lambda",
            Self::Ses => "ses",
            Self::EventBridge => "events",
        }
    }

    /// Returns the service that a credential scope names.
    pub(crate) fn of_scope(scope: &str) -> Option<Self> {
        [
            Self::DynamoDb,
            Self::Sqs,
            Self::S3,
            Self::Kms,
            Self::SecretsManager,
            Self::Lambda,
            Self::Ses,
            Self::EventBridge,
        ]
        .into_iter()
        .find(|service| service.name() == scope)
    }
}

/// A call, before or after its engine responded.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The caller, by its name in [`crate::Caller`].
    pub caller: String,
    /// The service that is called.
    pub service: Service,
    /// The operation, as the SDK names it: `PutItem`, `SendMessageBatch`.
    pub operation: String,
    /// The actions of the call and their resources: one for most calls, one per item for
    /// transactions.
    pub targets: Vec<Target>,
    /// The HTTP status of the response; 0 before there is one.
    pub status: u16,
    /// The capacity units of a DynamoDB call that reached the engine. Refused conditional writes
    /// report none, as on AWS.
    pub consumed: Vec<Consumed>,
}

impl Call {
    /// Returns the write units over all tables and indexes.
    pub fn write_units(&self) -> f64 {
        self.consumed.iter().map(|consumed| consumed.write).sum()
    }

    /// Returns the read units over all tables and indexes.
    pub fn read_units(&self) -> f64 {
        self.consumed.iter().map(|consumed| consumed.read).sum()
    }
}

/// An IAM action on a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The action, such as `dynamodb:PutItem`.
    pub action: String,
    /// The ARN of the resource.
    pub resource: String,
    /// Condition keys and their values: `kms:EncryptionContext:organization` → `org_…`.
    pub context: BTreeMap<String, Vec<String>>,
}

impl Target {
    /// Creates an action on a resource, without condition keys.
    pub fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            resource: resource.into(),
            context: BTreeMap::new(),
        }
    }

    /// Adds a condition key.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.context.insert(key.to_owned(), vec![value.to_owned()]);
        self
    }
}

/// What one call consumed of one table and its indexes.
#[derive(Debug, Clone, PartialEq)]
pub struct Consumed {
    /// The name of the table that the call uses.
    pub table: String,
    /// Read units in all.
    pub read: f64,
    /// Write units in all.
    pub write: f64,
    /// Units of each index that was touched, contained in the totals.
    pub indexes: BTreeMap<String, f64>,
}
