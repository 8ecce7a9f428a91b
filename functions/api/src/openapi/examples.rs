//! Adds examples for every request, response and error, built from the schemas and the examples of
//! their properties.

use serde_json::{Map, Value, json};

use super::refine::{identifier, path_prefix, referred};

/// Schemas nested deeper than this are left out of examples.
const DEPTH_MAX: usize = 12;

/// Examples for properties of these names, unless their schema has one.
const BY_NAME: &[(&str, &str)] = &[
    ("request_id", "01kavd838m4x2v9q7f0b6t5w1z"),
    ("name", "Billing webhook"),
    ("description", "Receives invoice events."),
    ("external_id", "cust-1042"),
    ("reference", "invoice-2026-1042"),
    ("detail", "the receiver answered 503 Service Unavailable"),
    ("trace_id", "0af7651916cd43dd8448eb211c80319c"),
    (
        "body_sha256",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
    (
        "sha256",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
    ("host", "files.example.com"),
    ("username", "waybill"),
    (
        "url",
        "https://waybill.example.com/deliveries/dlv_01kavd83802s63efghp3q1cpj4_00",
    ),
    ("token", "receiver-token-4f2a"),
    ("bucket", "acme-reports"),
    ("account", "acmereports"),
    ("container", "reports"),
    ("table", "public.waybill_messages"),
    ("database", "reports"),
    ("from", "reports@example.com"),
    ("ip", "198.51.100.7"),
    ("email", "ada@example.com"),
    ("filename", "report.csv"),
    ("content_type", "text/csv"),
    ("base64", "aWQsYW1vdW50CjEsMTAuMTAK"),
    (
        "host_keys",
        "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
    ),
    ("account_key", "YWNjb3VudC1rZXk="),
    ("password", "correct horse battery staple"),
    ("client_id", "1042.apps.example.com"),
    ("signing_secret", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
];

const TIME: &str = "2026-11-30T09:15:00.000Z";

/// Gives every request body and every response an example.
pub(super) fn enter(document: &mut Value) {
    let schemas = document["components"]["schemas"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        let prefix = path_prefix(path);
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            for parameter in operation
                .get_mut("parameters")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                complete_parameter(parameter, prefix);
            }
            if let Some(body) = operation.get_mut("requestBody") {
                enter_request(body, &schemas);
            }
            let responses = operation
                .get_mut("responses")
                .and_then(Value::as_object_mut);
            for (status, response) in responses.into_iter().flatten() {
                enter_response(status, response, &schemas);
            }
        }
    }
    for response in document["components"]["responses"]
        .as_object_mut()
        .into_iter()
        .flat_map(Map::values_mut)
    {
        enter_problem(None, response);
    }
}

fn complete_parameter(parameter: &mut Value, prefix: Option<&str>) {
    let is_id = parameter["in"] == "path" && parameter["name"] == "id";
    if is_id {
        if let Some(prefix) = prefix {
            parameter["example"] = identifier(prefix).into();
        }
        parameter["description"] = "The identifier. If it is malformed, unknown or another \
             organization's, the response is 404."
            .into();
    } else if parameter["name"] == "organization_id" {
        parameter["example"] = identifier("org").into();
    }
}

fn enter_request(body: &mut Value, schemas: &Map<String, Value>) {
    for media in body
        .get_mut("content")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flat_map(Map::values_mut)
    {
        let has_own = media.get("example").is_some() || media.get("examples").is_some();
        if has_own {
            continue;
        }
        let variants = variants(&media["schema"], schemas);
        if variants.is_empty() {
            media["example"] = sample(&media["schema"], schemas, "", 0);
            continue;
        }
        let example = |(name, schema): &(String, Value)| {
            (
                name.clone(),
                json!({"summary": format!("`type` is `{name}`"),
                    "value": sample(schema, schemas, "", 0)}),
            )
        };
        media["examples"] = variants.iter().map(example).collect::<Map<_, _>>().into();
    }
}

fn enter_response(status: &str, response: &mut Value, schemas: &Map<String, Value>) {
    if status.starts_with('4') || status.starts_with('5') {
        enter_problem(Some(status), response);
        return;
    }
    for (kind, media) in response
        .get_mut("content")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flatten()
    {
        let has_own = media.get("example").is_some() || media.get("examples").is_some();
        if kind == "application/json" && !has_own {
            media["example"] = sample(&media["schema"], schemas, "", 0);
        }
    }
}

/// Adds the examples of a problem: one for each code in its description.
fn enter_problem(status: Option<&str>, response: &mut Value) {
    let description = response["description"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let Some(media) = response
        .get_mut("content")
        .and_then(|content| content.get_mut("application/problem+json"))
    else {
        return;
    };
    let mut examples = Map::new();
    for code in codes(&description) {
        let known = PROBLEMS.iter().find(|(known, ..)| *known == code);
        let Some((_, usual, detail)) = known else {
            continue;
        };
        let status: u16 = status
            .and_then(|status| status.parse().ok())
            .unwrap_or(*usual);
        examples.insert(
            code.to_owned(),
            json!({"summary": format!("`{code}`"), "value": problem(code, status, detail)}),
        );
    }
    if !examples.is_empty() {
        media["examples"] = examples.into();
    }
}

/// Returns the words in backticks.
fn codes(description: &str) -> Vec<&str> {
    description.split('`').skip(1).step_by(2).collect()
}

fn problem(code: &str, status: u16, detail: &str) -> Value {
    let errors = match code {
        "validation_failed" => {
            json!([{"pointer": "/settings/url", "parameter": null, "code": "required",
                "detail": "is required"}])
        }
        "organization_required" => {
            json!([{"pointer": null, "parameter": "organization_id", "code": "required",
                "detail": "is required for an operator's key"}])
        }
        _ => json!([]),
    };
    let title = operations::view::problem::title(status);
    json!({
        "type": format!("urn:waybill:problem:{code}"), "title": title, "status": status,
        "code": code,
        "detail": detail, "errors": errors, "request_id": "01kavd838m4x2v9q7f0b6t5w1z"
    })
}

/// Every problem code with its usual status and an example of `detail`.
const PROBLEMS: &[(&str, u16, &str)] = &[
    ("malformed_request", 400, "the body is not a JSON object"),
    (
        "invalid_cursor",
        400,
        "the cursor does not belong to this list and these filters",
    ),
    (
        "unauthenticated",
        401,
        "a valid API key is required: Authorization: Bearer wbk_…",
    ),
    (
        "forbidden",
        403,
        "the role of this key does not permit this request",
    ),
    (
        "organization_suspended",
        403,
        "the organization is suspended",
    ),
    ("not_found", 404, "not found"),
    (
        "already_succeeded",
        409,
        "the delivery has succeeded; use force to deliver it again",
    ),
    ("already_finished", 409, "the delivery has finished"),
    (
        "destination_disabled",
        409,
        "the delivery's destination is disabled; enable it first",
    ),
    (
        "destination_deleted",
        409,
        "the delivery's destination has been deleted",
    ),
    (
        "idempotency_key_reused",
        409,
        "the Idempotency-Key was used for another request",
    ),
    (
        "idempotency_in_progress",
        409,
        "the first request with this Idempotency-Key is still running",
    ),
    ("not_empty", 409, "the organization has destinations"),
    (
        "too_many_secrets",
        409,
        "the destination has five live signing secrets",
    ),
    (
        "last_secret",
        409,
        "the last signing secret cannot be ended",
    ),
    (
        "limit_reached",
        409,
        "an organization has at most 1000 destinations",
    ),
    (
        "upload_incomplete",
        409,
        "the upload's bytes have not arrived",
    ),
    ("payload_expired", 410, "the payload is no longer kept"),
    (
        "revision_conflict",
        412,
        "the destination has changed since it was read",
    ),
    ("payload_too_large", 413, "the body has more than 5 MiB"),
    (
        "unsupported_media_type",
        415,
        "the body must be application/json",
    ),
    ("validation_failed", 422, "the request has 1 invalid field"),
    (
        "organization_required",
        422,
        "an operator's key names the organization: add ?organization_id=",
    ),
    (
        "connection_check_failed",
        422,
        "the connection check failed at authenticate",
    ),
    (
        "credentials_required",
        422,
        "the destination's server changes: send every secret again",
    ),
    (
        "masked_value",
        422,
        "a masked secret was sent; leave it out to keep the secret",
    ),
    ("read_only", 422, "a read-only field was sent"),
    (
        "no_destinations",
        422,
        "no destination is named, a default or subscribed",
    ),
    (
        "batch_too_large",
        422,
        "messages times destinations exceed 1000",
    ),
    ("rate_limited", 429, "over the quota requests_per_second"),
    ("internal_error", 500, "an internal error occurred"),
    ("unavailable", 503, "try again later"),
];

/// Returns the variants of a union by `type`, with their names.
fn variants(schema: &Value, schemas: &Map<String, Value>) -> Vec<(String, Value)> {
    let Some(union) = referred(schema).and_then(|name| schemas.get(name)) else {
        return Vec::new();
    };
    let mapping = union["discriminator"]["mapping"]
        .as_object()
        .into_iter()
        .flatten();
    mapping
        .map(|(name, target)| (name.clone(), json!({"$ref": target})))
        .collect()
}

/// Returns a value that a schema accepts.
fn sample(schema: &Value, schemas: &Map<String, Value>, name: &str, depth: usize) -> Value {
    if let Some(target) = referred(schema) {
        return sample(
            schemas.get(target).unwrap_or(&Value::Null),
            schemas,
            name,
            depth + 1,
        );
    }
    for given in ["example", "const", "default"] {
        if let Some(value) = schema.get(given) {
            return value.clone();
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.first().cloned().unwrap_or_default();
    }
    for union in ["oneOf", "anyOf"] {
        if let Some(first) = schema[union]
            .as_array()
            .and_then(|variants| variants.first())
        {
            return sample(first, schemas, name, depth);
        }
    }
    let kind = schema["type"].as_str().or_else(|| {
        schema["type"]
            .as_array()
            .and_then(|types| types.first()?.as_str())
    });
    match kind {
        Some("object") => object(schema, schemas, depth),
        Some("array") if depth < DEPTH_MAX => {
            json!([sample(&schema["items"], schemas, name, depth + 1)])
        }
        Some("array") => json!([]),
        Some("integer" | "number") => schema
            .get("minimum")
            .filter(|minimum| **minimum != json!(0))
            .cloned()
            .unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(true),
        Some("string") => text(schema, name),
        _ => json!({"report": 42}),
    }
}

fn object(schema: &Value, schemas: &Map<String, Value>, depth: usize) -> Value {
    if depth >= DEPTH_MAX {
        return json!({});
    }
    if !schema["properties"].is_object() {
        let inner = schema["additionalProperties"].is_object();
        return if inner {
            json!({"key": sample(&schema["additionalProperties"], schemas, "key", depth + 1)})
        } else {
            json!({})
        };
    }
    // Requests are closed objects and show what is required and what has an example; responses show
    // everything.
    let is_closed = schema["additionalProperties"] == false;
    let wanted = |(name, property): &(&String, &Value)| {
        let is_required = schema["required"]
            .as_array()
            .is_some_and(|required| required.iter().any(|one| one == *name));
        is_required
            || property.get("example").is_some()
            || !is_closed && property.get("default") != Some(&Value::Null)
    };
    let members = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(wanted);
    members
        .map(|(name, property)| (name.clone(), sample(property, schemas, name, depth + 1)))
        .collect::<Map<_, _>>()
        .into()
}

fn text(schema: &Value, name: &str) -> Value {
    let known = BY_NAME
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| *value);
    match schema["format"].as_str() {
        Some("date-time") => TIME.into(),
        Some("uri") => "https://example.com/hooks".into(),
        Some("email") => "ada@example.com".into(),
        _ => known.unwrap_or("text").into(),
    }
}
