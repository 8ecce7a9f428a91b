//! Describes destinations as unions by `type`, and their credentials as unions by `kind`, from the
//! schemas that `GET /v1/destination-types` returns.

use serde_json::{Map, Value, json};

use super::refine::{TypeSchemas, reference, walk};

/// Schemas that have one variant for each destination type, with the prefix and suffix of the
/// variants' names.
const BY_TYPE: &[(&str, &str, &str)] = &[
    ("Destination", "", "Destination"),
    ("NewDestination", "New", "Destination"),
    ("EnabledDestination", "Enabled", "Destination"),
    ("CreateDestination", "Create", "Destination"),
    ("PreviewDestination", "Preview", "Destination"),
];

/// Replaces the open objects of destinations by unions.
pub(super) fn enter(schemas: &mut Map<String, Value>, types: &[TypeSchemas]) {
    split_submissions(schemas);
    split_jobs(schemas);
    for one in types {
        enter_settings(schemas, one);
        enter_credentials(schemas, one);
    }
    enter_patch(schemas, types);
    schemas.insert("MaskedSecret".to_owned(), masked_secret());
    schemas.insert("ServiceAccountKey".to_owned(), service_account_key());
    schemas.insert("CertificateSummary".to_owned(), certificate_summary());
    for (name, before, after) in BY_TYPE {
        let Some(base) = schemas.get(*name).cloned() else {
            continue;
        };
        let is_answer = base["properties"].get("created_at").is_some();
        let mut names = Vec::new();
        for one in types {
            let title = pascal(one.name);
            let schema = variant(&base, one, &title, is_answer);
            // A variant without additional properties is the destination itself.
            let plain_name = format!("{title}Destination");
            let is_plain = schemas
                .get(&plain_name)
                .is_some_and(|plain| plain["properties"] == schema["properties"]);
            let variant_name = if is_plain {
                plain_name
            } else {
                format!("{before}{title}{after}")
            };
            schemas.insert(variant_name.clone(), schema);
            names.push((one.name.to_owned(), variant_name));
        }
        schemas.insert(
            (*name).to_owned(),
            union(&base["description"], "type", &names),
        );
    }
}

/// The alternatives for the content of a message, of which exactly one is present.
const CONTENTS: &[(&str, &str)] = &[
    ("payload", "Payload"),
    ("content", "Content"),
    ("upload_id", "Upload"),
    ("source", "Source"),
];

/// Replaces submissions by unions over their content.
fn split_submissions(schemas: &mut Map<String, Value>) {
    for (name, before) in [("SubmitMessage", "Submit"), ("BatchMessage", "Batch")] {
        let Some(base) = schemas.get(name).cloned() else {
            continue;
        };
        let mut refs = Vec::new();
        for (member, title) in CONTENTS {
            let mut schema = base.clone();
            if let Some(properties) = schema["properties"].as_object_mut() {
                properties.retain(|property, _| {
                    property == member || CONTENTS.iter().all(|(other, _)| other != property)
                });
            }
            if let Some(required) = schema["required"].as_array_mut() {
                required.push((*member).into());
            }
            schema["description"] = format!("A message with `{member}`.").into();
            let variant_name = format!("{before}{title}Message");
            refs.push(reference(&variant_name));
            schemas.insert(variant_name, schema);
        }
        schemas.insert(
            name.to_owned(),
            json!({"description": base["description"], "oneOf": refs}),
        );
    }
}

/// The kinds of jobs, and what each does.
const JOBS: &[(&str, &str)] = &[
    (
        "retry",
        "A job that reopens the deliveries that match its filter.",
    ),
    (
        "backfill",
        "A job that sends to a destination the messages that match and were never addressed to it.",
    ),
    (
        "reconcile",
        "A job, for operators, that sends accepted deliveries again whose task may be lost.",
    ),
];
/// The properties of a filter that a backfill accepts.
const BACKFILL_FILTER: &[&str] = &["event_type", "reference", "since", "until"];

/// Replaces the request for a job by a union of its kinds: only a backfill has a destination of its
/// own, and it accepts fewer filters.
fn split_jobs(schemas: &mut Map<String, Value>) {
    let (Some(base), Some(mut filter)) = (
        schemas.get("CreateJob").cloned(),
        schemas.get("JobFilter").cloned(),
    ) else {
        return;
    };
    if let Some(properties) = filter["properties"].as_object_mut() {
        properties.retain(|property, _| BACKFILL_FILTER.contains(&property.as_str()));
    }
    filter["description"] = "Which messages a backfill sends; without `event_type`, those that \
         the destination subscribes to."
        .into();
    filter["properties"]["since"]["type"] = "string".into();
    filter["required"] = json!(["since"]);
    schemas.insert("BackfillFilter".to_owned(), filter);
    let mut names = Vec::new();
    for (kind, description) in JOBS {
        let mut schema = base.clone();
        schema["description"] = (*description).into();
        schema["properties"]["kind"] =
            json!({"type": "string", "const": kind, "description": "What the job does."});
        if *kind == "backfill" {
            schema["properties"]["filter"] = reference("BackfillFilter");
            schema["properties"]["destination_id"]["type"] = "string".into();
            if let Some(required) = schema["required"].as_array_mut() {
                required.extend(["destination_id".into(), "filter".into()]);
            }
        } else if let Some(properties) = schema["properties"].as_object_mut() {
            properties.remove("destination_id");
        }
        let variant_name = format!("Create{}Job", pascal(kind));
        schemas.insert(variant_name.clone(), schema);
        names.push(((*kind).to_owned(), variant_name));
    }
    schemas.insert(
        "CreateJob".to_owned(),
        union(&base["description"], "kind", &names),
    );
}

/// Makes a union whose variants are distinguished by a property.
fn union(description: &Value, member: &str, variants: &[(String, String)]) -> Value {
    let refs: Vec<Value> = variants.iter().map(|(_, name)| reference(name)).collect();
    let mapping: Map<String, Value> = variants
        .iter()
        .map(|(value, name)| (value.clone(), reference(name)["$ref"].clone()))
        .collect();
    json!({"description": description, "oneOf": refs,
        "discriminator": {"propertyName": member, "mapping": mapping}})
}

/// Makes the schema of a destination of one type.
fn variant(base: &Value, one: &TypeSchemas, title: &str, is_answer: bool) -> Value {
    let mut schema = base.clone();
    let is_webhook = one.name == "webhook";
    schema["properties"]["type"] = json!({"type": "string", "const": one.name,
        "description": "The type of the destination, which decides its settings and credentials."});
    let suffix = if is_answer { "View" } else { "" };
    schema["properties"]["settings"] = reference(&format!("{title}Settings{suffix}"));
    let has_credentials = schema["properties"].get("credentials").is_some();
    if has_credentials {
        schema["properties"]["credentials"] = reference(&format!("{title}Credentials{suffix}"));
    }
    if !is_webhook && let Some(properties) = schema["properties"].as_object_mut() {
        properties.remove("signing_secret");
    }
    let must_have_credentials = has_credentials && !is_answer && !is_webhook;
    if must_have_credentials && let Some(required) = schema["required"].as_array_mut() {
        required.push("credentials".into());
    }
    schema
}

fn enter_settings(schemas: &mut Map<String, Value>, one: &TypeSchemas) {
    let title = pascal(one.name);
    let mut settings = plain(&one.settings);
    // Generated clients send defaults, so settings that are refused in the usual mode have none.
    for name in ["columns", "on_conflict", "key_columns"] {
        if let Some(member) = settings["properties"]
            .get_mut(name)
            .and_then(Value::as_object_mut)
        {
            member.remove("default");
        }
    }
    settings["description"] =
        format!("The settings of a destination of type `{}`.", one.name).into();
    if let Some(url) = settings["properties"].get_mut("url") {
        url["example"] = "https://example.com/hooks".into();
    }
    let mut view = settings.clone();
    walk(&mut view, &mut |value| {
        if let Some(members) = value.as_object_mut()
            && members.get("additionalProperties") == Some(&Value::Bool(false))
        {
            members.remove("additionalProperties");
        }
    });
    view["description"] = format!(
        "The settings of a destination of type `{}`, defaults included.",
        one.name
    )
    .into();
    schemas.insert(format!("{title}Settings"), settings);
    schemas.insert(format!("{title}SettingsView"), view);
}

fn enter_credentials(schemas: &mut Map<String, Value>, one: &TypeSchemas) {
    let title = pascal(one.name);
    let (mut names, mut views) = (Vec::new(), Vec::new());
    for form in one.credentials["oneOf"].as_array().into_iter().flatten() {
        let Some(kind) = form["properties"]["kind"]["const"].as_str() else {
            continue;
        };
        let mut form = plain(form);
        form["description"] = format!(
            "Credentials of kind `{kind}` for a destination of type `{}`.",
            one.name
        )
        .into();
        form["properties"]["kind"] = json!({"type": "string", "const": kind,
            "description": "The kind of credentials, which decides the other members."});
        let (name, view) = (
            format!("{title}{}Credentials", pascal(kind)),
            format!("{title}{}CredentialsView", pascal(kind)),
        );
        schemas.insert(view.clone(), masked(&form));
        name_key_file(&mut form);
        schemas.insert(name.clone(), form);
        names.push((kind.to_owned(), name));
        views.push((kind.to_owned(), view));
    }
    let description =
        |what: &str| format!("{what} of a destination of type `{}`, by `kind`.", one.name).into();
    let mut credentials = union(&description("The credentials"), "kind", &names);
    if let Some(example) = example_credentials(one.name) {
        credentials["example"] = example;
    }
    schemas.insert(format!("{title}Credentials"), credentials);
    schemas.insert(
        format!("{title}CredentialsView"),
        union(
            &description("What is shown of the credentials"),
            "kind",
            &views,
        ),
    );
}

/// Makes the settings and credentials of a patch unions of the destination types. All properties
/// are optional, and null resets one.
fn enter_patch(schemas: &mut Map<String, Value>, types: &[TypeSchemas]) {
    let (mut settings, mut credentials) = (Vec::new(), Vec::new());
    for one in types {
        let title = pascal(one.name);
        let mut patch = patched(&schemas[&format!("{title}Settings")], &[]);
        patch["description"] = format!(
            "The changed settings of a destination of type `{}`.",
            one.name
        )
        .into();
        schemas.insert(format!("{title}SettingsPatch"), patch);
        settings.push(reference(&format!("{title}SettingsPatch")));
        let mut names = Vec::new();
        for form in one.credentials["oneOf"].as_array().into_iter().flatten() {
            let Some(kind) = form["properties"]["kind"]["const"].as_str() else {
                continue;
            };
            let name = format!("{title}{}Credentials", pascal(kind));
            let mut patch = patched(&schemas[&name], &["kind"]);
            patch["description"] = format!(
                "The changed members of credentials of kind `{kind}`, or complete new credentials."
            )
            .into();
            schemas.insert(format!("{name}Patch"), patch);
            names.push((kind.to_owned(), format!("{name}Patch")));
        }
        let description = format!(
            "The changed credentials of a destination of type `{}`, by `kind`.",
            one.name
        );
        schemas.insert(
            format!("{title}CredentialsPatch"),
            union(&description.into(), "kind", &names),
        );
        credentials.push(reference(&format!("{title}CredentialsPatch")));
    }
    let Some(members) = schemas
        .get_mut("PatchDestination")
        .and_then(|patch| patch["properties"].as_object_mut())
    else {
        return;
    };
    for (name, mut variants) in [("settings", settings), ("credentials", credentials)] {
        variants.push(json!({"type": "null"}));
        let old = members.remove(name).unwrap_or_default();
        let mut member = json!({"description": old["description"], "anyOf": variants});
        if old["example"].is_object() {
            member["example"] = old["example"].clone();
        }
        members.insert(name.to_owned(), member);
    }
}

/// Makes a schema for a merge patch: properties are optional, and may be null unless they are in
/// `required`.
fn patched(schema: &Value, required: &[&str]) -> Value {
    let mut patch = schema.clone();
    patch["required"] = required.into();
    for (name, member) in patch["properties"].as_object_mut().into_iter().flatten() {
        if required.contains(&&**name) {
            continue;
        }
        if let Some(member) = member.as_object_mut() {
            member.remove("default");
        }
        allow_null(member);
    }
    patch
}

/// Makes a schema accept null.
pub(super) fn allow_null(schema: &mut Value) {
    let null = || Value::from("null");
    if schema.get("$ref").is_some() {
        *schema = json!({"oneOf": [schema.clone(), {"type": "null"}]});
    } else if let Some(variants) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        let null = json!({"type": "null"});
        if !variants.contains(&null) {
            variants.push(null);
        }
    } else if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        if !words.contains(&Value::Null) {
            words.push(Value::Null);
        }
        schema["type"] = json!(["string", "null"]);
    } else {
        match &mut schema["type"] {
            Value::String(one) => schema["type"] = json!([one.clone(), "null"]),
            Value::Array(several) if !several.contains(&null()) => several.push(null()),
            _ => {}
        }
    }
}

/// Returns the credentials for examples of a type whose first kind is not the usual one.
fn example_credentials(name: &str) -> Option<Value> {
    let connection_string = || {
        json!({"kind": "connection_string",
        "connection_string": format!("{name}://waybill:secret@db.example.com/reports")})
    };
    match name {
        "webhook" => Some(json!({"kind": "bearer", "token": "receiver-token-4f2a"})),
        "email" => Some(json!({"kind": "smtp_password", "username": "reports",
                "password": "correct horse battery staple"})),
        "postgres" | "mysql" => Some(connection_string()),
        _ => None,
    }
}

/// Gives the key file of a service account its own schema, because Google and not Waybill defines
/// that object.
fn name_key_file(form: &mut Value) {
    if let Some(json) = form["properties"].get_mut("json") {
        *json = reference("ServiceAccountKey");
    }
}

/// Makes the schema of credentials as reads show them.
fn masked(form: &Value) -> Value {
    let mut properties = Map::new();
    for (name, member) in form["properties"].as_object().into_iter().flatten() {
        properties.insert(name.clone(), masked_member(member));
    }
    json!({"type": "object", "description": form["description"], "properties": properties,
        "required": ["kind"]})
}

fn masked_member(member: &Value) -> Value {
    if member["properties"].is_object() {
        let mut group = masked(member);
        if let Some(group) = group.as_object_mut() {
            group.remove("required");
            group.remove("description");
        }
        return group;
    }
    if member["additionalProperties"].is_object() {
        return json!({"type": "object", "additionalProperties": reference("MaskedSecret")});
    }
    if member["writeOnly"] == true {
        return reference("MaskedSecret");
    }
    if member["format"] == "multiline" {
        return reference("CertificateSummary");
    }
    let mut open = member.clone();
    if let Some(open) = open.as_object_mut() {
        open.remove("writeOnly");
    }
    open
}

/// Makes a component of a schema of `GET /v1/destination-types`: without its dialect and without
/// what only forms use.
fn plain(schema: &Value) -> Value {
    let mut schema = schema.clone();
    walk(&mut schema, &mut |value| {
        let Some(members) = value.as_object_mut() else {
            return;
        };
        for name in ["$schema", "title"] {
            if members.get(name).is_some_and(Value::is_string) {
                members.remove(name);
            }
        }
        if members
            .get("format")
            .is_some_and(|format| format == "multiline")
            && members.get("writeOnly") != Some(&Value::Bool(false))
        {
            members.remove("format");
        }
        // Generated clients try the variants in their order, and only variants that are objects
        // reject other values.
        if let Some(variants) = members.get_mut("oneOf").and_then(Value::as_array_mut) {
            variants.sort_by_key(|variant| variant["type"] != "object");
        }
        // Generators take the type of an enumeration from its `type`.
        if members.get("enum").is_some_and(Value::is_array) && !members.contains_key("type") {
            let nullable = members["enum"]
                .as_array()
                .is_some_and(|words| words.contains(&Value::Null));
            members.insert(
                "type".to_owned(),
                if nullable {
                    json!(["string", "null"])
                } else {
                    json!("string")
                },
            );
        }
    });
    schema
}

fn masked_secret() -> Value {
    json!({
        "type": "object",
        "description": "What responses show of a secret. A request that sends it back is refused \
             with `masked_value`.",
        "properties": {
            "set": {"type": "boolean", "const": true, "description": "Always true: the secret is \
                 stored."},
            "hint": {"type": ["string", "null"], "description": "The last four characters of a \
                 secret of at least 16.", "example": "…x7Qp"},
            "updated_at": {"type": "string", "format": "date-time", "description": "When the \
                 secret was last changed."}
        },
        "required": ["set"]
    })
}

fn service_account_key() -> Value {
    let text = |description: &str, example: &str| json!({"type": "string", "description": description, "example": example});
    let ignored =
        |description: &str, example: &str| json!({"description": description, "example": example});
    json!({
        "type": "object",
        "description": "The key file of a Google Cloud service account, as downloaded. Other \
             members are ignored.",
        "writeOnly": true,
        "properties": {
            "type": text("Always `service_account`.", "service_account"),
            "client_email": text("The service account.", "waybill@acme.iam.gserviceaccount.com"),
            "private_key": text("The private key, in PEM.", "-----BEGIN PRIVATE \
                 KEY-----\n…\n-----END PRIVATE KEY-----\n"),
            "private_key_id": ignored("The identifier of the private key.", "4f2a"),
            "project_id": ignored("The project.", "acme")
        },
        "additionalProperties": true
    })
}

fn certificate_summary() -> Value {
    json!({
        "type": "object",
        "description": "What responses show of a certificate.",
        "properties": {
            "set": {"type": "boolean", "const": true, "description": "Always true: the \
                 certificate is stored."},
            "fingerprint": {"type": "string", "description": "The SHA-256 fingerprint of the \
                 certificate.", "example": "SHA256:3A:5B:0C"},
            "not_after": {"type": "string", "format": "date-time", "description": "When the \
                 certificate expires."}
        },
        "required": ["set"]
    })
}

/// Converts `azure_blob` to `AzureBlob`.
fn pascal(name: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_')
        .filter(|part| !part.is_empty())
        .map(word)
        .collect()
}
