//! Responses in each service's wire format.

use aws_smithy_types::body::SdkBody;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};

use crate::call::Service;
use crate::{Call, ServiceError};

pub(crate) type Response = http::Response<SdkBody>;

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Makes a JSON response.
pub(crate) fn json(service: Service, status: u16, body: Vec<u8>) -> Response {
    let content_type = match service {
        Service::DynamoDb | Service::Sqs => "application/x-amz-json-1.0",
        Service::Kms | Service::SecretsManager | Service::EventBridge => {
            "application/x-amz-json-1.1"
        }
        Service::Lambda | Service::Ses | Service::S3 => "application/json",
    };
    response(status, content_type, body)
}

/// Makes an error response in the format of the call's service.
pub(crate) fn error(call: &Call, error: &ServiceError) -> Response {
    let ServiceError {
        status,
        code,
        message,
    } = error;
    match call.service {
        Service::DynamoDb
        | Service::Sqs
        | Service::Kms
        | Service::SecretsManager
        | Service::EventBridge => {
            let body = serde_json::json!({"__type": format!("com.amazonaws.{}#{code}",
                call.service.name()), "message": message});
            let mut response = json(call.service, *status, body.to_string().into_bytes());
            set(&mut response, ERROR_TYPE, code);
            response
        }
        Service::Lambda | Service::Ses => {
            let body = serde_json::json!({"Type": if *status < 500 { "User" } else { "Service" },
                "Message": message, "message": message});
            let mut response = json(call.service, *status, body.to_string().into_bytes());
            set(&mut response, ERROR_TYPE, code);
            response
        }
        // A response to HEAD has no body, so a client learns only its status.
        Service::S3 if call.operation.starts_with("Head") => {
            response(*status, "application/xml", Vec::new())
        }
        Service::S3 => {
            let code = if code == "AccessDeniedException" {
                "AccessDenied"
            } else {
                code
            };
            let body = format!(
                "<?xml version=\"1.0\" \
                 encoding=\"UTF-8\"?><Error><Code>{}</Code><Message>{}</Message></Error>",
                escaped(code),
                escaped(message)
            );
            response(*status, "application/xml", body.into_bytes())
        }
    }
}

fn response(status: u16, content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = http::Response::new(SdkBody::from(body));
    *response.status_mut() =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Sets a header, unless the value is invalid in a header.
pub(crate) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Decodes a percent-encoded part of an address.
pub(crate) fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
