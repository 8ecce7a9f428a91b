//! The OpenAPI document: made from the handlers' annotations and the views' types; what holds for every operation is added here.

use operations::view::problem::Problem;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, PathItem, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use crate::routes;

/// The document.
#[must_use]
pub fn document() -> Document {
    ApiDocument::openapi()
}

const BEARER: &str = "api_key";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Waybill",
        description = "Delivers messages to the places its users' customers choose, reliably, and shows what happened.\n\nRequests are strict: an unknown field or parameter is 422. Answers may gain fields and enum values. Times are RFC 3339; out in UTC with milliseconds, in with any offset. Every refusal is an RFC 9457 problem; every answer has a `request-id`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        routes::meta::healthz, routes::meta::read_docs, routes::meta::read_openapi, routes::meta::read_meta,
        routes::organizations::list_organizations, routes::organizations::create_organization, routes::organizations::get_organization,
        routes::organizations::patch_organization, routes::organizations::delete_organization,
        routes::organizations::get_own_organization, routes::organizations::patch_own_organization,
        routes::api_keys::list_api_keys, routes::api_keys::create_api_key, routes::api_keys::delete_api_key,
        routes::destinations::list_destination_types, routes::destinations::list_destinations,
        routes::destinations::create_destination, routes::destinations::check_new_destination,
        routes::destinations::get_destination, routes::destinations::patch_destination, routes::destinations::delete_destination,
        routes::destinations::check_destination, routes::destinations::enable_destination, routes::destinations::disable_destination,
        routes::destinations::rotate_secret, routes::destinations::test_destination, routes::destinations::end_signing_secret,
        routes::messages::submit_message, routes::messages::submit_batch, routes::messages::list_messages,
        routes::messages::get_message, routes::messages::get_payload,
        routes::deliveries::list_deliveries, routes::deliveries::get_delivery, routes::deliveries::get_delivery_body,
        routes::deliveries::retry_delivery, routes::deliveries::cancel_delivery,
        routes::audit_events::list_audit_events,
    ),
    components(schemas(Problem)),
    tags(
        (name = "Messages", description = "What is sent."),
        (name = "Deliveries", description = "How it went, destination by destination."),
        (name = "Destinations", description = "Where it goes."),
        (name = "Organizations", description = "Whose it is."),
        (name = "API keys", description = "Who may ask."),
        (name = "Audit", description = "Who changed what, and what was refused."),
        (name = "About", description = "About this Waybill."),
    ),
    modifiers(&EveryOperation)
)]
struct ApiDocument;

/// What every operation has: security, the problems it can be refused with, and the parameters of its kind.
struct EveryOperation;

impl Modify for EveryOperation {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API key: `wbk_…`.")).build();
        if let Some(components) = document.components.as_mut() {
            components.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
        }
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                complete(path, method, operation);
            }
        }
    }
}

fn operations(item: &mut PathItem) -> Vec<(&'static str, &mut Operation)> {
    let all = [("GET", item.get.as_mut()), ("POST", item.post.as_mut()), ("PATCH", item.patch.as_mut()), ("DELETE", item.delete.as_mut())];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation?))).collect()
}

fn complete(path: &str, method: &str, operation: &mut Operation) {
    let public = operation.security.is_some();
    if !public {
        operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, [])]);
        add_parameters(path, method, operation);
    }
    for (status, description) in problems(path, method, public) {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(description)));
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response {
            let refused = status.starts_with('4') || status.starts_with('5');
            if refused && response.content.is_empty() {
                *response = problem(&response.description);
            }
            let id =
                HeaderBuilder::new().description(Some("The request's id.")).schema(Some(ObjectBuilder::new().schema_type(Type::String)));
            response.headers.insert("request-id".to_owned(), id.build().into());
        }
    }
}

fn add_parameters(path: &str, method: &str, operation: &mut Operation) {
    let mut added = Vec::new();
    if !path.starts_with("/v1/organizations") && path != "/v1/meta" && path != "/v1/destination-types" {
        added.push(parameter("organization_id", ParameterIn::Query, "Which organization; an operator's key must say so."));
    }
    if method == "POST" {
        added.push(parameter(
            "Idempotency-Key",
            ParameterIn::Header,
            "1 to 255 printable characters: the same request again within 24 h is answered as the first time.",
        ));
    }
    if is_list(path, method) {
        added.push(parameter("limit", ParameterIn::Query, "Items of a page, 1 to 100; 25 when left out."));
        added.push(parameter("cursor", ParameterIn::Query, "The `next_cursor` of the page before, with the same filters."));
    }
    operation.parameters.get_or_insert_default().extend(added.into_iter().map(Into::into));
}

fn is_list(path: &str, method: &str) -> bool {
    let lists = ["/v1/organizations", "/v1/api-keys", "/v1/destinations", "/v1/messages", "/v1/deliveries", "/v1/audit-events"];
    method == "GET" && lists.contains(&path)
}

fn parameter(name: &str, place: ParameterIn, description: &str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(if name == "limit" { Type::Integer } else { Type::String });
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

/// The problems an operation can be refused with, besides those that it names itself.
fn problems(path: &str, method: &str, public: bool) -> Vec<(&'static str, &'static str)> {
    let mut problems = vec![("500", "`internal_error`")];
    if public {
        return problems;
    }
    problems.push(("401", "`unauthenticated`: no valid API key."));
    problems.push(("403", "`forbidden`: the key's role may not do this; `organization_suspended`."));
    problems.push(("422", "`validation_failed` and kin: `errors` names every mistake."));
    problems.push(("503", "`unavailable`: try again."));
    if path.contains('{') || path.starts_with("/v1/messages") || path.starts_with("/v1/organization") {
        problems.push(("404", "`not_found`: there is no such thing for this caller."));
    }
    if is_list(path, method) {
        problems.push(("400", "`invalid_cursor`: the cursor is not one of this list."));
    }
    if method == "POST" || method == "PATCH" {
        problems.push(("400", "`malformed_request`: not a JSON object."));
        problems.push(("413", "`payload_too_large`."));
        problems.push(("415", "`unsupported_media_type`: not application/json."));
    }
    if method == "POST" {
        problems.push(("409", "`idempotency_key_reused`, `idempotency_in_progress`."));
    }
    if path.ends_with("/check") || path.ends_with("/test") {
        problems.push(("429", "`rate_limited`: 30 a minute."));
    }
    problems
}

fn problem(description: &str) -> Response {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_names_its_problems_and_its_id_is_its_own() {
        let document = serde_json::to_value(document()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let mut ids = std::collections::BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path} {method}");
                let responses = operation["responses"].as_object().unwrap();
                assert!(responses.contains_key("500"), "{path} {method}");
                assert!(responses.values().all(|response| response["headers"]["request-id"].is_object()), "{path} {method}");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = serde_json::to_value(document()).unwrap();
        let text = document.to_string();
        for part in text.split("\"#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}
