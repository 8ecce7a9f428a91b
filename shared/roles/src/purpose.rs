//! The purposes for which roles are assumed, and the session policy of each.

use domain::role_arn::RoleArn;
use serde_json::{Value, json};

/// The purpose for which a customer's role is assumed. A session may do what both the role and this
/// purpose permit (IAM User Guide, Session policies).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose<'p> {
    /// Reads payloads from a bucket.
    ReadBucket(&'p str),
    /// Delivers to a bucket.
    WriteBucket(&'p str),
    /// Sends e-mail from an address through Amazon SES.
    SendMailFrom(&'p str),
    /// Reads one secret in Secrets Manager, by its ARN.
    ReadSecret(&'p str),
}

impl Purpose<'_> {
    /// Returns the session policy in the format of STS.
    #[must_use]
    pub fn session_policy(self, role: &RoleArn) -> String {
        let partition = role.partition();
        let objects = |bucket: &str| format!("arn:{partition}:s3:::{bucket}/*");
        let bucket_itself = |bucket: &str| {
            allow(
                &["s3:ListBucket"],
                &format!("arn:{partition}:s3:::{bucket}"),
            )
        };
        let statements = match self {
            Self::ReadBucket(bucket) => vec![
                allow(&["s3:GetObject", "s3:GetObjectVersion"], &objects(bucket)),
                bucket_itself(bucket),
                keys_through("s3", &["kms:Decrypt"]),
            ],
            Self::WriteBucket(bucket) => {
                vec![
                    allow(WRITING, &objects(bucket)),
                    bucket_itself(bucket),
                    keys_through("s3", &["kms:Decrypt", "kms:GenerateDataKey"]),
                ]
            }
            Self::SendMailFrom(address) => vec![
                given(
                    allow(&["ses:SendEmail", "ses:SendRawEmail"], "*"),
                    &json!({"StringEqualsIgnoreCase": {"ses:FromAddress": address}}),
                ),
                allow(
                    &["ses:GetEmailIdentity"],
                    &format!("arn:{partition}:ses:*:{}:identity/*", role.account()),
                ),
            ],
            Self::ReadSecret(arn) => vec![
                allow(
                    &[
                        "secretsmanager:DescribeSecret",
                        "secretsmanager:GetSecretValue",
                    ],
                    arn,
                ),
                keys_through("secretsmanager", &["kms:Decrypt"]),
            ],
        };
        json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    }
}

/// The actions that a delivery to a bucket and its check need.
const WRITING: &[&str] = &[
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:PutObject",
    "s3:PutObjectTagging",
];

fn allow(actions: &[&str], resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": resource})
}

fn given(mut statement: Value, condition: &Value) -> Value {
    statement["Condition"] = condition.clone();
    statement
}

/// Permits the customer's own keys when they are used through a service that stores encrypted data.
fn keys_through(service: &str, actions: &[&str]) -> Value {
    given(
        allow(actions, "*"),
        &json!({"StringLike": {"kms:ViaService": format!("{service}.*.amazonaws.com*")}}),
    )
}
