//! RFC 9457 problems.

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
    /// The name of this kind of problem.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The machine code.
    #[schema(example = "validation_failed")]
    pub code: &'static str,
    /// What is wrong with this request.
    pub detail: String,
    /// Every mistake in the request.
    #[schema(value_type = Vec<FieldProblem>)]
    pub errors: Vec<FieldError>,
    /// The connection check that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CheckView>)]
    pub check: Option<CheckReport>,
    /// The request's id, also in the header `request-id`.
    pub request_id: String,
}

/// One mistake in a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldProblem {
    /// JSON pointer of the field in the body.
    #[schema(example = "/settings/url")]
    pub pointer: Option<String>,
    /// Name of the query parameter.
    pub parameter: Option<String>,
    /// The machine code of the mistake.
    #[schema(example = "required")]
    pub code: String,
    /// A description for people.
    pub detail: String,
}

impl Problem {
    /// The problem that tells a client of a refusal.
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

/// The reason phrase of a status in use (RFC 9110, section 15).
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
