//! Creates tables, and updates those of an older template.

use dynoxide::actions::create_table::CreateTableRequest;
use dynoxide::actions::update_table::UpdateTableRequest;
use dynoxide::actions::update_time_to_live::UpdateTimeToLiveRequest;
use dynoxide::{Database, DynoxideError};
use serde_json::{Value, json};

use crate::resources::{AttributeType, IndexSpec, KeySchema, Projection, TableSpec};

/// Creates the table, or adds missing indexes and drops those that the template no longer has.
pub(super) fn ensure(database: &Database, table: &TableSpec) -> Result<(), DynoxideError> {
    match database.get_table_metadata(&table.name)? {
        None => create(database, table)?,
        Some(existing) => {
            let key: Value = parsed(&existing.key_schema)?;
            if key != key_schema(&table.key) {
                return Err(DynoxideError::ValidationException(format!(
                    "the table {} in this data directory has other keys than the template; start \
                     with an empty data directory",
                    table.name
                )));
            }
            let indexes: Vec<Value> = existing
                .gsi_definitions
                .as_deref()
                .map(parsed)
                .transpose()?
                .unwrap_or_default();
            update_indexes(database, table, &indexes)?;
            if existing.ttl_enabled && existing.ttl_attribute == table.ttl_attribute {
                return Ok(());
            }
        }
    }
    if let Some(attribute) = &table.ttl_attribute {
        database.update_time_to_live(request::<UpdateTimeToLiveRequest>(json!({
            "TableName": table.name,
            "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": true},
        }))?)?;
    }
    Ok(())
}

fn create(database: &Database, table: &TableSpec) -> Result<(), DynoxideError> {
    let mut body = json!({
        "TableName": table.name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes(table),
        "KeySchema": key_schema(&table.key),
    });
    if !table.indexes.is_empty() {
        body["GlobalSecondaryIndexes"] = table.indexes.iter().map(index).collect();
    }
    database.create_table(request::<CreateTableRequest>(body)?)?;
    Ok(())
}

fn update_indexes(
    database: &Database,
    table: &TableSpec,
    existing: &[Value],
) -> Result<(), DynoxideError> {
    let named = |definition: &Value| {
        definition["IndexName"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let mut changes = Vec::new();
    for definition in existing {
        let exists = table
            .indexes
            .iter()
            .any(|spec| same(definition, &index(spec)));
        if !exists {
            changes.push(json!({"Delete": {"IndexName": named(definition)}}));
        }
    }
    for spec in &table.indexes {
        if !existing
            .iter()
            .any(|definition| same(definition, &index(spec)))
        {
            changes.push(json!({"Create": index(spec)}));
        }
    }
    // DynamoDB allows one change per request.
    for change in changes {
        tracing::info!(table = table.name, %change, "the template's indexes have changed");
        database.update_table(request::<UpdateTableRequest>(json!({
            "TableName": table.name,
            "AttributeDefinitions": attributes(table),
            "GlobalSecondaryIndexUpdates": [change],
        }))?)?;
    }
    Ok(())
}

fn same(existing: &Value, wanted: &Value) -> bool {
    ["IndexName", "KeySchema", "Projection"]
        .iter()
        .all(|member| existing[member] == wanted[member])
}

fn attributes(table: &TableSpec) -> Value {
    let definition = |(name, kind): &(String, AttributeType)| {
        let kind = match kind {
            AttributeType::Text => "S",
            AttributeType::Number => "N",
            AttributeType::Binary => "B",
        };
        json!({"AttributeName": name, "AttributeType": kind})
    };
    table.attributes.iter().map(definition).collect()
}

fn key_schema(key: &KeySchema) -> Value {
    let mut schema = vec![json!({"AttributeName": key.hash, "KeyType": "HASH"})];
    schema.extend(
        key.range
            .iter()
            .map(|range| json!({"AttributeName": range, "KeyType": "RANGE"})),
    );
    Value::Array(schema)
}

fn index(spec: &IndexSpec) -> Value {
    let projection = match &spec.projection {
        Projection::KeysOnly => json!({"ProjectionType": "KEYS_ONLY"}),
        Projection::Include(attributes) => {
            json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": attributes})
        }
        Projection::All => json!({"ProjectionType": "ALL"}),
    };
    json!({"IndexName": spec.name, "KeySchema": key_schema(&spec.key), "Projection": projection})
}

fn request<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, DynoxideError> {
    serde_json::from_value(body)
        .map_err(|error| DynoxideError::ValidationException(error.to_string()))
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, DynoxideError> {
    serde_json::from_str(text)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
