//! Engines in a directory of their own.

use local_aws::{
    AttributeType, BucketSpec, Caller, Engines, GenerateSecretString, IndexSpec, KeySchema,
    KeySpec, Options, Projection, Resources, SecretSpec, SecretValue, TableSpec,
};
use tempfile::TempDir;

pub(crate) const TABLE: &str = "waybill-Table";
pub(crate) const BUCKET: &str = "waybill-payloads";
pub(crate) const KEY: &str = "waybill-Key";
pub(crate) const SECRET: &str = "waybill-SigningKeys";

/// The engines and their directory.
pub(crate) struct Local {
    pub(crate) engines: Engines,
    pub(crate) data: TempDir,
}

impl Local {
    pub(crate) fn new() -> Self {
        Self::with(Options::local())
    }

    pub(crate) fn with(options: Options) -> Self {
        let data = tempfile::tempdir().unwrap();
        let engines = Engines::open(data.path(), &resources(), options).unwrap();
        Self { engines, data }
    }

    pub(crate) fn config(&self) -> aws_config::SdkConfig {
        self.engines.sdk_config(Caller::unlimited("test"))
    }
}

/// A table with a text index and a numeric one, a bucket, a key and a secret.
pub(crate) fn resources() -> Resources {
    let key = |hash: &str, range: &str| KeySchema {
        hash: hash.into(),
        range: Some(range.into()),
    };
    let index = |name: &str, hash: &str, range: &str| IndexSpec {
        name: name.into(),
        key: key(hash, range),
        projection: Projection::KeysOnly,
    };
    let text = |name: &str| (name.to_owned(), AttributeType::Text);
    Resources {
        tables: vec![TableSpec {
            name: TABLE.into(),
            attributes: vec![
                text("pk"),
                text("sk"),
                text("bd_pk"),
                text("bd_sk"),
                text("du_pk"),
                ("du_at".into(), AttributeType::Number),
            ],
            key: key("pk", "sk"),
            indexes: vec![
                index("by_destination", "bd_pk", "bd_sk"),
                index("due", "du_pk", "du_at"),
            ],
            ttl_attribute: Some("ttl".into()),
        }],
        buckets: vec![BucketSpec {
            name: BUCKET.into(),
            versioned: false,
        }],
        keys: vec![KeySpec { name: KEY.into() }],
        secrets: vec![SecretSpec {
            name: SECRET.into(),
            value: Some(SecretValue::Generated(GenerateSecretString {
                template: Some("{}".into()),
                key: Some("root".into()),
                length: 64,
                exclude_punctuation: true,
            })),
        }],
        ..Resources::empty()
    }
}
