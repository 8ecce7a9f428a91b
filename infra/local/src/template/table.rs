//! Tables.

use local_aws::{AttributeType, IndexSpec, KeySchema, Projection, TableSpec};
use serde::Deserialize;

use super::property::AwsOnly;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the list of what is understood; some of it matters on AWS only"
)]
pub(super) struct TableProperties {
    attribute_definitions: Vec<AttributeProperties>,
    key_schema: Vec<KeyProperties>,
    #[serde(default)]
    global_secondary_indexes: Vec<IndexProperties>,
    time_to_live_specification: Option<TimeToLive>,
    billing_mode: Option<AwsOnly>,
    deletion_protection_enabled: Option<AwsOnly>,
    point_in_time_recovery_specification: Option<AwsOnly>,
    #[serde(rename = "SSESpecification")]
    sse_specification: Option<AwsOnly>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct AttributeProperties {
    attribute_name: String,
    attribute_type: AttributeName,
}

#[derive(Deserialize)]
enum AttributeName {
    S,
    N,
    B,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct KeyProperties {
    attribute_name: String,
    key_type: KeyType,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
enum KeyType {
    Hash,
    Range,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct IndexProperties {
    index_name: String,
    key_schema: Vec<KeyProperties>,
    projection: ProjectionProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ProjectionProperties {
    projection_type: ProjectionType,
    #[serde(default)]
    non_key_attributes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ProjectionType {
    KeysOnly,
    Include,
    All,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TimeToLive {
    attribute_name: String,
    enabled: bool,
}

impl TableProperties {
    pub(super) fn spec(self, name: String) -> Result<TableSpec, String> {
        let attributes = self
            .attribute_definitions
            .into_iter()
            .map(|attribute| (attribute.attribute_name, attribute.attribute_type.into()));
        let indexes = self
            .global_secondary_indexes
            .into_iter()
            .map(IndexProperties::spec);
        Ok(TableSpec {
            name,
            attributes: attributes.collect(),
            key: key(self.key_schema)?,
            indexes: indexes.collect::<Result<_, _>>()?,
            ttl_attribute: self
                .time_to_live_specification
                .filter(|ttl| ttl.enabled)
                .map(|ttl| ttl.attribute_name),
        })
    }
}

impl IndexProperties {
    fn spec(self) -> Result<IndexSpec, String> {
        let key =
            key(self.key_schema).map_err(|what| format!("index {}: {what}", self.index_name))?;
        let projection = match self.projection.projection_type {
            ProjectionType::KeysOnly => Projection::KeysOnly,
            ProjectionType::Include => Projection::Include(self.projection.non_key_attributes),
            ProjectionType::All => Projection::All,
        };
        Ok(IndexSpec {
            name: self.index_name,
            key,
            projection,
        })
    }
}

impl From<AttributeName> for AttributeType {
    fn from(name: AttributeName) -> Self {
        match name {
            AttributeName::S => Self::Text,
            AttributeName::N => Self::Number,
            AttributeName::B => Self::Binary,
        }
    }
}

fn key(parts: Vec<KeyProperties>) -> Result<KeySchema, String> {
    let (hash, range): (Vec<_>, Vec<_>) = parts
        .into_iter()
        .partition(|part| part.key_type == KeyType::Hash);
    let mut hash = hash.into_iter().map(|part| part.attribute_name);
    let mut range = range.into_iter().map(|part| part.attribute_name);
    match (hash.next(), hash.next(), range.next(), range.next()) {
        (Some(hash), None, range, None) => Ok(KeySchema { hash, range }),
        _ => Err("a key has one HASH and at most one RANGE attribute here".into()),
    }
}
