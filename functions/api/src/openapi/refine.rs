//! Adds to the document what annotations cannot express: unions by `type` and `kind`, strict
//! request bodies, identifiers and examples. Texts are in `overlay.json`, a JSON merge patch (RFC
//! 7396) of the document; limits are the constants in `limits`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{examples, limits, texts, unions};

/// A destination type with the schemas of its settings and credentials, as `GET
/// /v1/destination-types` returns them.
#[derive(Clone, Debug)]
pub(super) struct TypeSchemas {
    /// The name of the type in JSON.
    pub(super) name: &'static str,
    /// The schema of `settings`.
    pub(super) settings: Value,
    /// The schema of `credentials`, a `oneOf` by `kind`.
    pub(super) credentials: Value,
}

const OVERLAY: &str = include_str!("overlay.json");

/// The prefix of a reference to a schema.
pub(super) const SCHEMAS: &str = "#/components/schemas/";

/// Adds to the derived document: unions, limits, examples and the overlay.
#[must_use]
pub(super) fn refine(mut document: Value, types: &[TypeSchemas]) -> Value {
    merge(
        &mut document,
        &serde_json::from_str(OVERLAY).expect("the overlay is JSON"),
    );
    limits::enter(schemas(&mut document));
    flatten(schemas(&mut document));
    complete_parameters(&mut document);
    unwrap_optional_bodies(&mut document);
    unions::enter(schemas(&mut document), types);
    separate_requests(&mut document);
    let settings = schemas(&mut document)
        .get_mut("OrganizationSettingsInput")
        .and_then(|one| one["properties"].as_object_mut());
    // Null resets a setting to its default.
    settings
        .into_iter()
        .flat_map(Map::values_mut)
        .for_each(unions::allow_null);
    walk(&mut document, &mut identify);
    walk(&mut document, &mut join_lines);
    prune(&mut document);
    examples::enter(&mut document);
    document
}

/// Returns the schemas of the document by name.
pub(super) fn schemas(document: &mut Value) -> &mut Map<String, Value> {
    document["components"]["schemas"]
        .as_object_mut()
        .expect("the document has schemas")
}

/// Returns the name of the schema that is referenced.
pub(super) fn referred(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix(SCHEMAS)
}

/// Makes a reference to a schema.
pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("{SCHEMAS}{name}")})
}

/// Merges a structure that flattens another into one object, which strict validation and client
/// generators need.
fn flatten(schemas: &mut Map<String, Value>) {
    let names: Vec<String> = schemas
        .iter()
        .filter(|(_, schema)| schema["allOf"].is_array())
        .map(|(name, _)| name.clone())
        .collect();
    for name in names {
        let mut whole = json!({"type": "object", "properties": {}, "required": []});
        whole["description"] = schemas[&name]["description"].clone();
        for part in schemas[&name]["allOf"]
            .as_array()
            .cloned()
            .unwrap_or_default()
        {
            let part = referred(&part)
                .and_then(|name| schemas.get(name))
                .cloned()
                .unwrap_or(part);
            let properties = part["properties"].as_object().cloned().unwrap_or_default();
            whole["properties"]
                .as_object_mut()
                .expect("it was made above")
                .extend(properties);
            let required = part["required"].as_array().cloned().unwrap_or_default();
            whole["required"]
                .as_array_mut()
                .expect("it was made above")
                .extend(required);
        }
        schemas.insert(name, whole);
    }
}

/// Applies a JSON merge patch (RFC 7396) to a value.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(target) = target else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// The overlay's patches of parameters: by name, or by path and name.
const PARAMETERS: &str = "x-parameters";

fn complete_parameters(document: &mut Value) {
    let mut patches = document
        .as_object_mut()
        .and_then(|document| document.remove(PARAMETERS))
        .unwrap_or_default();
    for (name, limit) in limits::of_parameters() {
        merge(&mut patches[name]["schema"], &limit);
    }
    let Some(paths) = document["paths"].as_object_mut() else {
        return;
    };
    for (path, item) in paths {
        let operations = item.as_object_mut().into_iter().flat_map(Map::values_mut);
        for parameter in operations
            .filter_map(|operation| operation.get_mut("parameters")?.as_array_mut())
            .flatten()
        {
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            for patch in [name.clone(), format!("{path}#{name}")]
                .iter()
                .filter_map(|key| patches.get(key))
            {
                merge(parameter, patch);
            }
        }
    }
}

/// An optional body is an absent body, not null.
fn unwrap_optional_bodies(document: &mut Value) {
    let Some(paths) = document["paths"].as_object_mut() else {
        return;
    };
    for operation in paths
        .values_mut()
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut)
    {
        let Some(media) = operation.pointer_mut("/requestBody/content/application~1json") else {
            continue;
        };
        let body = media["schema"]["oneOf"]
            .as_array()
            .and_then(|variants| variants.iter().find(|one| referred(one).is_some()))
            .cloned();
        if let Some(body) = body {
            media["schema"] = body;
            operation["requestBody"]["required"] = false.into();
        }
    }
}

/// Joins the lines of a description, which are those of a comment in the source. Paragraphs,
/// headings and the items of lists stay apart.
fn join_lines(value: &mut Value) {
    if let Some(Value::String(text)) = value.get_mut("description") {
        let (mut joined, mut after_heading) = (String::with_capacity(text.len()), false);
        for line in text.lines() {
            let is_heading = line.starts_with('#');
            let is_new = line.is_empty() || line.starts_with("- ") || is_heading || after_heading;
            after_heading = is_heading;
            let is_at_start = joined.is_empty() || joined.ends_with('\n');
            if !is_at_start {
                joined.push(if is_new { '\n' } else { ' ' });
            }
            joined.push_str(line);
            if line.is_empty() {
                joined.push('\n');
            }
        }
        *text = joined;
    }
}

/// Visits every value of the document, outer ones first.
pub(super) fn walk(value: &mut Value, visit: &mut impl FnMut(&mut Value)) {
    visit(value);
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, visit)),
        Value::Object(members) => members.values_mut().for_each(|member| walk(member, visit)),
        _ => {}
    }
}

/// Collects the schemas that a part of the document references, directly or indirectly.
fn reachable(part: &Value, all: &Map<String, Value>, found: &mut BTreeSet<String>) {
    match part {
        Value::Array(items) => items.iter().for_each(|item| reachable(item, all, found)),
        Value::Object(members) => {
            if let Some(name) = referred(part)
                && found.insert(name.to_owned())
                && let Some(schema) = all.get(name)
            {
                reachable(schema, all, found);
            }
            members
                .values()
                .for_each(|member| reachable(member, all, found));
        }
        _ => {}
    }
}

/// Separates requests from responses. Requests are strict and contain only what changes; responses
/// are complete and may gain properties. A structure that is used in both becomes two schemas.
fn separate_requests(document: &mut Value) {
    let all = schemas(document).clone();
    let (mut of_requests, mut of_answers) = (BTreeSet::new(), BTreeSet::new());
    for item in document["paths"]
        .as_object()
        .into_iter()
        .flat_map(|paths| paths.values())
    {
        for operation in item.as_object().into_iter().flat_map(|item| item.values()) {
            reachable(&operation["requestBody"], &all, &mut of_requests);
            reachable(&operation["responses"], &all, &mut of_answers);
        }
    }
    reachable(&document["components"]["responses"], &all, &mut of_answers);
    let both: BTreeSet<String> = of_requests
        .intersection(&of_answers)
        .filter(|name| all[*name]["properties"].is_object())
        .cloned()
        .collect();
    let renamed = |name: &str| {
        if both.contains(name) {
            format!("{name}Input")
        } else {
            name.to_owned()
        }
    };
    let redirect = |value: &mut Value| {
        if let Some(name) = referred(value).map(renamed) {
            value["$ref"] = format!("{SCHEMAS}{name}").into();
        }
    };
    for name in &of_requests {
        let mut schema = all[name].clone();
        if both.contains(name) {
            // An object that is replaced as a whole keeps its required properties.
            if name != "OnExhausted" {
                schema
                    .as_object_mut()
                    .expect("it has properties")
                    .remove("required");
            }
            let properties = schema["properties"]
                .as_object_mut()
                .expect("it has properties");
            properties.retain(|_, property| property["readOnly"] != true);
            // A property that is left out stays unchanged, while generated clients would send the
            // default.
            properties
                .values_mut()
                .filter_map(Value::as_object_mut)
                .for_each(|property| drop(property.remove("default")));
        }
        walk(&mut schema, &mut |value| redirect(value));
        walk(&mut schema, &mut close);
        walk(&mut schema, &mut texts::restrict);
        schemas(document).insert(renamed(name), schema);
    }
    for item in document["paths"]
        .as_object_mut()
        .into_iter()
        .flat_map(Map::values_mut)
    {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if let Some(body) = operation.get_mut("requestBody") {
                walk(body, &mut |value| redirect(value));
            }
        }
    }
}

/// Forbids additional properties in an object with named properties.
fn close(schema: &mut Value) {
    let is_open = schema["properties"].is_object()
        && schema["type"] == "object"
        && schema.get("additionalProperties").is_none();
    if is_open {
        schema["additionalProperties"] = false.into();
    }
}

/// Returns the prefix of the identifiers in a property of this name.
fn prefix_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "organization_id" => "org",
        "destination_id"
        | "destination_ids"
        | "default_destination_ids"
        | "alert_destination_ids"
        | "status_destination_ids" => "dst",
        "message_id" => "msg",
        "delivery_id" => "dlv",
        "upload_id" => "upl",
        "authorization_id" => "oau",
        _ => return None,
    })
}

/// Returns the pattern of identifiers with a prefix.
fn pattern(prefix: &str) -> String {
    let position = if prefix == "dlv" { "_[0-9]{2,}" } else { "" };
    format!("^{prefix}_[0-9a-hjkmnp-tv-z]{{26}}{position}$")
}

/// Returns an identifier with a prefix, for examples.
pub(super) fn identifier(prefix: &str) -> String {
    let position = if prefix == "dlv" { "_00" } else { "" };
    format!("{prefix}_01kavd83802s63efghp3q1cpj4{position}")
}

/// Gives properties that hold identifiers their pattern and an example.
fn identify(value: &mut Value) {
    let Some(properties) = value.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for (name, property) in properties {
        let Some(prefix) = prefix_of(name) else {
            continue;
        };
        let is_list = property.get("items").is_some_and(Value::is_object);
        let schema = if is_list {
            &mut property["items"]
        } else {
            property
        };
        let is_text = schema["type"] == "string"
            || schema["type"]
                .as_array()
                .is_some_and(|types| types.contains(&json!("string")));
        if is_text {
            schema["pattern"] = pattern(prefix).into();
            schema["example"] = identifier(prefix).into();
        }
    }
}

/// Removes schemas that are not referenced.
fn prune(document: &mut Value) {
    let all = schemas(document).clone();
    let mut used = BTreeSet::new();
    reachable(&document["paths"], &all, &mut used);
    reachable(&document["components"]["responses"], &all, &mut used);
    schemas(document).retain(|name, _| used.contains(name));
}

/// Returns the prefix of the identifier in a path.
pub(super) fn path_prefix(path: &str) -> Option<&'static str> {
    let noun = path.strip_prefix("/v1/")?.split("/{").next()?;
    Some(match noun {
        "organizations" => "org",
        "destinations" => "dst",
        "messages" => "msg",
        "deliveries" => "dlv",
        "jobs" => "job",
        "api-keys" => "key",
        "portal-links" => "pln",
        "oauth2/authorizations" => "oau",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something renamed in the code must be renamed in the overlay too: the overlay changes what
    /// exists, and must not add a schema's property by mistake.
    #[test]
    fn the_overlay_names_only_paths_and_schemas_that_exist() {
        let document: Value = serde_json::from_str(super::super::DOCUMENT).unwrap();
        let overlay: Value = serde_json::from_str(OVERLAY).unwrap();
        for (path, item) in overlay["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                assert!(
                    document["paths"][path][method].is_object(),
                    "{method} {path}"
                );
            }
        }
    }
}
