//! The resource types this reader knows, and what each is called here.
//!
//! Every name follows from the logical id, so that they are the same on every start and data finds its owner again. Where an engine
//! issues an identifier of its own (the key's id, the secret's ARN), the runner puts that in the place of the one given here.

use std::collections::BTreeMap;

/// The account everything stands in.
pub const ACCOUNT: &str = "000000000000";
/// The region everything stands in.
pub const REGION: &str = "us-east-1";
/// The stack's name, and the first part of every physical name.
pub const STACK: &str = "waybill";

/// A resource type.
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
    /// A stack inside this one, a name of its own, and what leads there: all of them of use on AWS only.
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

    /// The physical name.
    pub(super) fn name(self, logical_id: &str) -> String {
        match self {
            // S3 knows lower case only.
            Self::Bucket => physical_name(logical_id).to_lowercase(),
            _ => physical_name(logical_id),
        }
    }

    /// What `!Ref` and `!GetAtt` of a resource of this type give.
    pub(super) fn physical(self, logical_id: &str) -> Physical {
        let name = self.name(logical_id);
        let arn = |service: &str, resource: &str| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}");
        match self {
            Self::Function => Physical::new(&name).with("Arn", arn("lambda", &format!("function:{name}"))),
            Self::Queue => Physical::new(&format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"))
                .with("Arn", arn("sqs", &name))
                .with("QueueName", name),
            Self::Table => Physical::new(&name).with("Arn", arn("dynamodb", &format!("table/{name}"))),
            Self::Bucket => Physical::new(&name).with("Arn", format!("arn:aws:s3:::{name}")),
            Self::Key => Physical::new(&name).with("Arn", arn("kms", &format!("key/{name}"))).with("KeyId", name),
            Self::Secret => {
                let secret = arn("secretsmanager", &format!("secret:{name}"));
                Physical::new(&secret).with("Id", secret.clone())
            }
            Self::EventBus => Physical::new(&name).with("Arn", arn("events", &format!("event-bus/{name}"))).with("Name", name),
            Self::EventRule => Physical::new(&name).with("Arn", arn("events", &format!("rule/{name}"))),
            Self::LogGroup => Physical::new(&name).with("Arn", arn("logs", &format!("log-group:{name}:*"))),
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

/// The name of a resource, from its logical id.
pub fn physical_name(logical_id: &str) -> String {
    format!("{STACK}-{logical_id}")
}

/// What a resource is called once it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Physical {
    /// What `!Ref` gives.
    pub reference: String,
    /// What `!GetAtt` gives, by attribute.
    pub attributes: BTreeMap<String, String>,
}

impl Physical {
    /// A resource with this `!Ref` and no attributes yet.
    pub fn new(reference: &str) -> Self {
        Self { reference: reference.to_owned(), attributes: BTreeMap::new() }
    }

    /// The same with one attribute more.
    pub fn with(mut self, attribute: &str, value: String) -> Self {
        self.attributes.insert(attribute.to_owned(), value);
        self
    }
}
