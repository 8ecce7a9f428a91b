//! The resource types that this reader supports, and their local names.
//!
//! Every name is derived from the logical id, so that it is the same on every start and finds its
//! data again. If an engine issues an identifier of its own (the id of a key, the ARN of a secret),
//! the runner replaces the derived one.

use std::collections::BTreeMap;

/// The account of all resources.
pub const ACCOUNT: &str = "000000000000";
/// The region of all resources.
pub const REGION: &str = "us-east-1";
/// The name of the stack, which prefixes every physical name.
pub const STACK: &str = "waybill";

/// A type of resource that the template may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Function,
    HttpApi,
    EventSourceMapping,
    Queue,
    Table,
    Bucket,
    Key,
    Secret,
    EventBus,
    EventRule,
    LogGroup,
    BucketPolicy,
    QueuePolicy,
    LogResourcePolicy,
    /// A nested stack, a custom domain name and its mapping, which matter on AWS only.
    NestedStack,
    DomainName,
    ApiMapping,
}

impl Kind {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "AWS::Serverless::Function" => Self::Function,
            "AWS::Serverless::HttpApi" => Self::HttpApi,
            "AWS::Lambda::EventSourceMapping" => Self::EventSourceMapping,
            "AWS::SQS::Queue" => Self::Queue,
            "AWS::DynamoDB::Table" => Self::Table,
            "AWS::S3::Bucket" => Self::Bucket,
            "AWS::KMS::Key" => Self::Key,
            "AWS::SecretsManager::Secret" => Self::Secret,
            "AWS::Events::EventBus" => Self::EventBus,
            "AWS::Events::Rule" => Self::EventRule,
            "AWS::Logs::LogGroup" => Self::LogGroup,
            "AWS::S3::BucketPolicy" => Self::BucketPolicy,
            "AWS::SQS::QueuePolicy" => Self::QueuePolicy,
            "AWS::Logs::ResourcePolicy" => Self::LogResourcePolicy,
            "AWS::Serverless::Application" => Self::NestedStack,
            "AWS::ApiGatewayV2::DomainName" => Self::DomainName,
            "AWS::ApiGatewayV2::ApiMapping" => Self::ApiMapping,
            _ => return None,
        })
    }

    /// Returns the physical name of a resource.
    pub(super) fn name(self, logical_id: &str) -> String {
        match self {
            // S3 allows lower case only.
            Self::Bucket => physical_name(logical_id).to_lowercase(),
            _ => physical_name(logical_id),
        }
    }

    /// Returns the results of `!Ref` and `!GetAtt` for a resource of this type.
    pub(super) fn physical(self, logical_id: &str) -> Physical {
        let name = self.name(logical_id);
        let arn = |service: &str, resource: &str| {
            format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}")
        };
        match self {
            Self::Function => {
                Physical::new(&name).with("Arn", arn("lambda", &format!("function:{name}")))
            }
            Self::Queue => Physical::new(&format!(
                "https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"
            ))
            .with("Arn", arn("sqs", &name))
            .with("QueueName", name),
            Self::Table => {
                Physical::new(&name).with("Arn", arn("dynamodb", &format!("table/{name}")))
            }
            Self::Bucket => Physical::new(&name).with("Arn", format!("arn:aws:s3:::{name}")),
            Self::Key => Physical::new(&name)
                .with("Arn", arn("kms", &format!("key/{name}")))
                .with("KeyId", name),
            Self::Secret => {
                let secret = arn("secretsmanager", &format!("secret:{name}"));
                Physical::new(&secret).with("Id", secret.clone())
            }
            Self::EventBus => Physical::new(&name)
                .with("Arn", arn("events", &format!("event-bus/{name}")))
                .with("Name", name),
            Self::EventRule => {
                Physical::new(&name).with("Arn", arn("events", &format!("rule/{name}")))
            }
            Self::LogGroup => {
                Physical::new(&name).with("Arn", arn("logs", &format!("log-group:{name}:*")))
            }
            Self::HttpApi
            | Self::EventSourceMapping
            | Self::BucketPolicy
            | Self::QueuePolicy
            | Self::LogResourcePolicy
            | Self::NestedStack
            | Self::DomainName
            | Self::ApiMapping => Physical::new(&name),
        }
    }
}

/// Returns the physical name of a resource, from its logical id.
pub fn physical_name(logical_id: &str) -> String {
    format!("{STACK}-{logical_id}")
}

/// The identifiers of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Physical {
    /// The result of `!Ref`.
    pub reference: String,
    /// The results of `!GetAtt`, by attribute.
    pub attributes: BTreeMap<String, String>,
}

impl Physical {
    /// Creates the identifiers of a resource with this `!Ref` and without attributes.
    pub fn new(reference: &str) -> Self {
        Self {
            reference: reference.to_owned(),
            attributes: BTreeMap::new(),
        }
    }

    /// Returns the resource with another attribute for `!GetAtt`.
    pub fn with(mut self, attribute: &str, value: String) -> Self {
        self.attributes.insert(attribute.to_owned(), value);
        self
    }
}
