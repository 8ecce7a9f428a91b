//! The OpenAPI document. It is made from the annotations of the handlers, the types of the views
//! and the schemas of the destination types. What applies to every operation is added here; what
//! annotations cannot express is added in [`refine`].
//!
//! The document is stored as `openapi.json` and served from there, because the code that makes it
//! would be a twentieth of the function's size. `cargo run --example openapi` writes it, and a test
//! fails when it is out of date.

mod examples;
mod limits;
mod refine;
mod texts;
mod unions;

use std::collections::BTreeMap;

use domain::limits::{IDEMPOTENCY_KEY, PAGE_SIZE};
use domain::settings::DestinationType;
use operations::view::problem::Problem;
use serde::Serialize as _;
use serde_json::ser::{PrettyFormatter, Serializer};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ArrayItems, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, OpenApi as Document, PathItem, Ref, RefOr, Required, Response, ResponseBuilder,
};
use utoipa::{Modify, OpenApi};

use crate::routes;
use refine::{TypeSchemas, refine};

/// The document as it is served.
pub const DOCUMENT: &str = include_str!("../openapi.json");

/// Makes the document from the current handlers and views.
#[must_use]
pub fn written() -> Vec<u8> {
    let document = serde_json::to_value(ApiDocument::openapi()).expect("the document is JSON");
    let types = DestinationType::ALL.iter().map(|(name, kind)| {
        let (settings, credentials) = operations::scheme::of_type(*kind);
        TypeSchemas {
            name,
            settings,
            credentials,
        }
    });
    let document = refine(document, &types.collect::<Vec<_>>());
    let mut json = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut json, PrettyFormatter::with_indent(b""));
    document
        .serialize(&mut serializer)
        .expect("the document is JSON");
    json.push(b'\n');
    json
}

const BEARER: &str = "api_key";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Waybill",
        description = "Delivers messages to the places its users' customers choose, reliably, and \
             shows what happened.\n\nRequests are strict: an unknown field or parameter is 422. \
             Answers may gain fields and enum values. Times are RFC 3339; out in UTC with \
             milliseconds, in with any offset. Every refusal is an RFC 9457 problem; every answer \
             has a `request-id`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        routes::meta::healthz, routes::meta::read_docs, routes::meta::read_openapi,
        routes::meta::read_meta,
        routes::organizations::list_organizations, routes::organizations::create_organization,
        routes::organizations::get_organization,
        routes::organizations::patch_organization, routes::organizations::delete_organization,
        routes::organizations::erase_organization,
        routes::organizations::get_own_organization, routes::organizations::patch_own_organization,
        routes::organizations::rotate_status_secret,
        routes::api_keys::list_api_keys, routes::api_keys::create_api_key,
        routes::api_keys::delete_api_key,
        routes::destinations::list_destination_types, routes::destinations::list_destinations,
        routes::destinations::create_destination, routes::destinations::check_new_destination,
        routes::destinations::get_destination, routes::destinations::patch_destination,
        routes::destinations::delete_destination,
        routes::destinations::check_destination, routes::destinations::enable_destination,
        routes::destinations::disable_destination,
        routes::destinations::pause_destination, routes::destinations::resume_destination,
        routes::destinations::rotate_secret, routes::destinations::test_destination,
        routes::destinations::end_signing_secret,
        routes::authorizations::create_authorization, routes::authorizations::get_authorization,
        routes::authorizations::delete_authorization, routes::authorizations::finish_authorization,
        routes::messages::submit_message, routes::messages::submit_batch,
        routes::messages::list_messages,
        routes::messages::get_message, routes::messages::resend_message,
        routes::messages::get_payload, routes::messages::erase_payload,
        routes::messages::create_upload, routes::messages::follow_link,
        routes::destinations::preview_destination, routes::destinations::ask_host_keys,
        routes::deliveries::list_deliveries, routes::deliveries::get_delivery,
        routes::deliveries::get_delivery_body,
        routes::deliveries::retry_delivery, routes::deliveries::cancel_delivery,
        routes::statistics::read_statistics, routes::statistics::read_health,
        routes::alerts::list_alerts, routes::audit_events::list_audit_events,
        routes::jobs::list_jobs, routes::jobs::create_job, routes::jobs::get_job,
        routes::jobs::cancel_job,
        routes::portal_links::list_portal_links, routes::portal_links::create_portal_link,
        routes::portal_links::delete_portal_link,
    ),
    components(schemas(Problem)),
    tags(
        (name = "Messages", description = "Submit messages and read what was submitted."),
        (name = "Deliveries", description = "Read what became of each message at each destination."),
        (name = "Jobs", description = "Retry, replay or backfill many deliveries at once."),
        (name = "Destinations", description = "Manage where messages go."),
        (name = "Alerts", description = "Read the alerts about destinations."),
        (name = "Statistics", description = "Read attempts, failures and latencies over time."),
        (name = "Organizations", description = "Manage tenants and their settings."),
        (name = "API keys", description = "Create and revoke keys."),
        (name = "People", description = "Who is let into the console."),
        (name = "Audit", description = "Who changed what, and what was refused."),
        (name = "About", description = "Version, roles and limits."),
    ),
    modifiers(&EveryOperation)
)]
struct ApiDocument;

/// Adds what every operation has: security, the problems that it can respond with, and the
/// parameters of its kind.
struct EveryOperation;

impl Modify for EveryOperation {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key: `wbk_…`."))
            .build();
        if let Some(components) = document.components.as_mut() {
            components.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
        }
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                complete(path, method, operation);
            }
        }
        if let Some(components) = document.components.as_mut() {
            for (name, _, description) in PROBLEMS {
                components
                    .responses
                    .insert((*name).to_owned(), RefOr::T(problem(description)));
            }
            refer_to_items(&mut components.schemas);
        }
    }
}

fn operations(item: &mut PathItem) -> Vec<(&'static str, &mut Operation)> {
    let all = [
        ("GET", item.get.as_mut()),
        ("POST", item.post.as_mut()),
        ("PATCH", item.patch.as_mut()),
        ("DELETE", item.delete.as_mut()),
    ];
    all.into_iter()
        .filter_map(|(method, operation)| Some((method, operation?)))
        .collect()
}

fn complete(path: &str, method: &str, operation: &mut Operation) {
    let public = operation.security.is_some();
    if !public {
        operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(
            BEARER,
            [],
        )]);
        add_parameters(path, method, operation);
    }
    let mut problems = problems(path, method, public);
    if is_list(operation) {
        problems.push("InvalidCursor");
    }
    for name in problems {
        let Some((_, status, general)) = PROBLEMS.iter().find(|(known, ..)| *known == name) else {
            continue;
        };
        let refer = RefOr::Ref(Ref::new(format!("#/components/responses/{name}")));
        // An operation that describes a status itself keeps its description in addition.
        match operation.responses.responses.get_mut(*status) {
            Some(RefOr::T(own)) => own.description = format!("{} Also {general}", own.description),
            _ => drop(
                operation
                    .responses
                    .responses
                    .insert((*status).to_owned(), refer),
            ),
        }
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response {
            if (status.starts_with('4') || status.starts_with('5')) && response.content.is_empty() {
                *response = problem(&response.description);
            }
            add_request_id(response);
        }
    }
}

fn add_request_id(response: &mut Response) {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    let header = HeaderBuilder::new()
        .description(Some("The request's id."))
        .schema(Some(schema))
        .build();
    response
        .headers
        .insert("request-id".to_owned(), header.into());
}

/// Replaces the items of pages, which the derive writes inline, by references.
fn refer_to_items(schemas: &mut BTreeMap<String, RefOr<Schema>>) {
    let names: Vec<String> = schemas.keys().cloned().collect();
    for name in names {
        let Some(item) = name
            .strip_prefix("Page_")
            .filter(|item| schemas.contains_key(*item))
            .map(str::to_owned)
        else {
            continue;
        };
        if let Some(RefOr::T(Schema::Object(page))) = schemas.get_mut(&name)
            && let Some(RefOr::T(Schema::Array(data))) = page.properties.get_mut("data")
        {
            data.items = ArrayItems::RefOrSchema(Box::new(RefOr::Ref(Ref::from_schema_name(item))));
        }
    }
}

fn add_parameters(path: &str, method: &str, operation: &mut Operation) {
    let mut added = Vec::new();
    if !path.starts_with("/v1/organizations")
        && path != "/v1/meta"
        && path != "/v1/destination-types"
    {
        added.push(parameter(
            "organization_id",
            ParameterIn::Query,
            "Which organization; an operator's key must say so.",
        ));
    }
    if method == "POST" {
        added.push(parameter(
            "Idempotency-Key",
            ParameterIn::Header,
            &format!(
                "{} to {} printable characters: the same request again within 24 h is answered as \
                 the first time.",
                IDEMPOTENCY_KEY.start(),
                IDEMPOTENCY_KEY.end()
            ),
        ));
    }
    if is_list(operation) {
        added.push(parameter(
            "limit",
            ParameterIn::Query,
            &format!(
                "Items of a page, {} to {}; {} when left out.",
                PAGE_SIZE.min,
                PAGE_SIZE.max,
                PAGE_SIZE.default_value()
            ),
        ));
        added.push(parameter(
            "cursor",
            ParameterIn::Query,
            "The `next_cursor` of the page before, with the same filters.",
        ));
    }
    operation
        .parameters
        .get_or_insert_default()
        .extend(added.into_iter().map(Into::into));
}

/// Whether the operation responds with pages.
fn is_list(operation: &Operation) -> bool {
    let answer = operation
        .responses
        .responses
        .get("200")
        .map(serde_json::to_string);
    answer
        .and_then(Result::ok)
        .is_some_and(|answer| answer.contains("#/components/schemas/Page_"))
}

fn parameter(name: &str, location: ParameterIn, description: &str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(if name == "limit" {
        Type::Integer
    } else {
        Type::String
    });
    ParameterBuilder::new()
        .name(name)
        .parameter_in(location)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

/// The problems that many operations have: the component's name, the status and the description.
const PROBLEMS: &[(&str, &str, &str)] = &[
    (
        "Malformed",
        "400",
        "`malformed_request`: the body is not a JSON object, or the `Idempotency-Key` is malformed.",
    ),
    (
        "InvalidCursor",
        "400",
        "`invalid_cursor`: the cursor does not belong to this list and these filters.",
    ),
    (
        "Unauthenticated",
        "401",
        "`unauthenticated`: the API key is missing, malformed, unknown, revoked or expired.",
    ),
    (
        "Forbidden",
        "403",
        "`forbidden`: the role of the key does not permit this request.",
    ),
    (
        "Suspended",
        "403",
        "`forbidden`: the role of the key does not permit this request. `organization_suspended`: \
         the organization is suspended.",
    ),
    (
        "NotFound",
        "404",
        "`not_found`: the object does not exist for this caller.",
    ),
    (
        "Conflict",
        "409",
        "`idempotency_key_reused`, `idempotency_in_progress` (with `Retry-After`).",
    ),
    (
        "TooLarge",
        "413",
        "`payload_too_large`: the body or the payload is too large.",
    ),
    (
        "NotJson",
        "415",
        "`unsupported_media_type`: the body is not `application/json`.",
    ),
    (
        "Invalid",
        "422",
        "`validation_failed`: `errors` names every invalid field. `organization_required`: an \
         operator's key must name the organization.",
    ),
    (
        "RateLimited",
        "429",
        "`rate_limited`: a quota of the organization is used up; `detail` names it and \
         `Retry-After` says when to try again. Nothing was done.",
    ),
    (
        "Internal",
        "500",
        "`internal_error`: an error of the service.",
    ),
    (
        "Unavailable",
        "503",
        "`unavailable`: the service is busy or a dependency is down; try again after `Retry-After`.",
    ),
];

/// Returns the names of the problems that an operation has.
fn problems(path: &str, method: &str, public: bool) -> Vec<&'static str> {
    if public {
        return vec!["Internal"];
    }
    let mut problems = vec!["Unauthenticated", "Invalid", "Internal", "Unavailable"];
    let submits = method == "POST" && (path.starts_with("/v1/messages") || path.ends_with("/test"));
    problems.push(if submits { "Suspended" } else { "Forbidden" });
    if path != "/v1/meta" {
        problems.push("NotFound");
    }
    if method == "POST" || method == "PATCH" {
        problems.extend(["Malformed", "TooLarge", "NotJson"]);
    }
    if method == "POST" {
        problems.push("Conflict");
    }
    if !public {
        problems.push("RateLimited");
    }
    problems
}

fn problem(description: &str) -> Response {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let mut response = ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build();
    add_request_id(&mut response);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_names_its_problems_and_its_id_is_its_own() {
        let document = serde_json::from_str::<serde_json::Value>(DOCUMENT).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let mut ids = std::collections::BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                assert!(
                    ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
                    "{path} {method}"
                );
                let responses = operation["responses"].as_object().unwrap();
                assert!(responses.contains_key("500"), "{path} {method}");
                let parameters = operation["parameters"].to_string();
                let pages = operation["responses"]["200"]
                    .to_string()
                    .contains("schemas/Page_");
                assert_eq!(
                    parameters.contains("\"cursor\"") && parameters.contains("\"limit\""),
                    pages,
                    "{path} {method}"
                );
                let is_described = |response: &serde_json::Value| {
                    response["$ref"].is_string() || response["headers"]["request-id"].is_object()
                };
                assert!(responses.values().all(is_described), "{path} {method}");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = serde_json::from_str::<serde_json::Value>(DOCUMENT).unwrap();
        let text = document.to_string();
        for part in text.split("\"#/components/").skip(1) {
            let (kind, name) = part.split('"').next().unwrap().split_once('/').unwrap();
            assert!(
                document["components"][kind][name].is_object(),
                "{kind} {name}"
            );
        }
    }
}
