//! Problems, as RFC 9457 defines them.

use domain::check::CheckReport;
use domain::input::FieldError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Refusal;
use crate::view::destination::CheckView;

/// The response to every refused request (RFC 9457), as `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// A URI that names this kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "urn:waybill:problem:validation_failed")]
    pub kind: String,
    /// A short name of this kind of problem, for people.
    pub title: &'static str,
    /// The HTTP status code of the response.
    pub status: u16,
    /// A stable code for programs, such as `validation_failed`.
    #[schema(example = "validation_failed")]
    pub code: &'static str,
    /// A sentence for people that says what is wrong with this request.
    pub detail: String,
    /// Every invalid field or parameter of the request.
    #[schema(value_type = Vec<FieldProblem>)]
    pub errors: Vec<FieldError>,
    /// The connection check that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CheckView>)]
    pub check: Option<CheckReport>,
    /// The identifier of the request, also in the `request-id` header. Quote it when you ask for
    /// support.
    pub request_id: String,
}

/// One invalid field or parameter of a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldProblem {
    /// The JSON Pointer of the field, if the mistake is in the body.
    #[schema(example = "/settings/url")]
    pub pointer: Option<String>,
    /// The name of the query parameter, if the mistake is in one.
    pub parameter: Option<String>,
    /// A stable code for programs, such as `required` or `out_of_range`.
    #[schema(example = "required")]
    pub code: String,
    /// A sentence for people that explains the result. Programs should use the codes.
    pub detail: String,
}

impl Problem {
    /// Returns the problem that describes a refusal to a client.
    #[must_use]
    pub fn of(refusal: Refusal, request_id: String) -> Self {
        Self {
            kind: format!("urn:waybill:problem:{}", refusal.code),
            title: title(refusal.status()),
            status: refusal.status(),
            code: refusal.code.as_str(),
            detail: refusal.detail,
            errors: refusal.errors,
            check: refusal.extra.and_then(|extra| extra.check),
            request_id,
        }
    }
}

/// Returns the reason phrase of a status that Waybill uses (RFC 9110, section 15).
#[must_use]
pub fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}
