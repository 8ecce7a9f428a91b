//! Maps a store's refusal to the outcome of the attempt (`docs/destinations/storage.md`, Failures).
//! The status and the stores' error codes decide, never their messages.

use domain::Reason;
use domain::settle::Outcome;

use crate::answer::Answer;

/// Error codes for rejected credentials. S3 sends them with 403 and 400, which have other meanings
/// too.
const UNAUTHENTICATED: &[&str] = &[
    // S3
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "InvalidSecurity",
    "NotSignedUp",
    "AccountProblem",
    "RequestTimeTooSkewed",
    // Google
    "AuthenticationRequired",
    "InvalidCredentials",
    // Azure
    "AuthenticationFailed",
    // Also sent by the firewall of an Azure account, and by Azurite for a wrong key.
    "AuthorizationFailure",
    "InvalidAuthenticationInfo",
    "NoAuthenticationInformation",
];
/// Error codes for settings that name something which does not exist or has other properties.
const MISCONFIGURED: &[&str] = &[
    "NoSuchBucket",
    "InvalidBucketName",
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "InvalidStorageClass",
    "KMS.NotFoundException",
    "KMS.DisabledException",
    "InvalidTag",
    "ContainerNotFound",
    "ContainerDisabled",
    "InvalidResourceName",
    "InvalidBlobTier",
];
/// Error codes for a conflicting operation in progress, which ends by itself.
const BUSY: &[&str] = &[
    "OperationAborted",
    "ConditionalRequestConflict",
    "ContainerBeingDeleted",
];
const THROTTLED: &[&str] = &[
    "SlowDown",
    "TooManyRequests",
    "RequestLimitExceeded",
    "ServerBusy",
    "RequestRateTooHigh",
    "rateLimitExceeded",
];
const TOO_LARGE: &[&str] = &["EntityTooLarge", "RequestBodyTooLarge"];
const TOO_SLOW: &[&str] = &["RequestTimeout", "OperationTimedOut"];

/// Returns the outcome of a refusal.
pub(crate) fn refused(answer: &Answer) -> Outcome {
    let says = |codes: &[&str]| {
        answer
            .code
            .as_deref()
            .is_some_and(|code| codes.contains(&code))
    };
    let after = answer.retry_after;
    match answer.status.as_u16() {
        _ if says(UNAUTHENTICATED) => Outcome::ClientError(Reason::Authentication),
        _ if says(MISCONFIGURED) || answer.other_region().is_some() => {
            Outcome::Reject(Reason::Misconfigured)
        }
        _ if says(BUSY) => Outcome::Retry(Reason::ServerError),
        _ if says(THROTTLED) => Outcome::Throttled(Reason::RateLimited, after.unwrap_or_default()),
        _ if says(TOO_LARGE) => Outcome::Reject(Reason::PayloadTooLarge),
        _ if says(TOO_SLOW) => Outcome::Retry(Reason::Timeout),
        401 => Outcome::ClientError(Reason::Authentication),
        403 => Outcome::ClientError(Reason::Authorization),
        408 => Outcome::Retry(Reason::Timeout),
        413 => Outcome::Reject(Reason::PayloadTooLarge),
        425 => Outcome::Retry(Reason::ServerError),
        429 => Outcome::Throttled(Reason::RateLimited, after.unwrap_or_default()),
        503 if after.is_some() => {
            Outcome::Throttled(Reason::RateLimited, after.unwrap_or_default())
        }
        300..=499 => Outcome::ClientError(Reason::Rejected),
        500..=599 => Outcome::Retry(Reason::ServerError),
        _ => Outcome::Retry(Reason::Protocol),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;
    use http::{HeaderMap, StatusCode};
    use std::time::Duration;

    fn verdict(status: u16, code: &str) -> Outcome {
        let status = StatusCode::from_u16(status).unwrap();
        let body = format!("<Error><Code>{code}</Code></Error>");
        refused(&Answer::new(
            status,
            &HeaderMap::new(),
            &body,
            Timestamp::from_millis(0),
        ))
    }

    #[test]
    fn the_code_decides_before_the_status() {
        let table = [
            (
                403,
                "SignatureDoesNotMatch",
                Outcome::ClientError(Reason::Authentication),
            ),
            (
                400,
                "ExpiredToken",
                Outcome::ClientError(Reason::Authentication),
            ),
            (
                403,
                "AuthenticationFailed",
                Outcome::ClientError(Reason::Authentication),
            ),
            (401, "", Outcome::ClientError(Reason::Authentication)),
            (
                403,
                "AccessDenied",
                Outcome::ClientError(Reason::Authorization),
            ),
            (404, "NoSuchBucket", Outcome::Reject(Reason::Misconfigured)),
            (
                404,
                "ContainerNotFound",
                Outcome::Reject(Reason::Misconfigured),
            ),
            (
                301,
                "PermanentRedirect",
                Outcome::Reject(Reason::Misconfigured),
            ),
            (
                307,
                "TemporaryRedirect",
                Outcome::ClientError(Reason::Rejected),
            ),
            (
                400,
                "InvalidRequest",
                Outcome::ClientError(Reason::Rejected),
            ),
            (400, "RequestTimeout", Outcome::Retry(Reason::Timeout)),
            (
                400,
                "EntityTooLarge",
                Outcome::Reject(Reason::PayloadTooLarge),
            ),
            (409, "OperationAborted", Outcome::Retry(Reason::ServerError)),
            (
                412,
                "LeaseIdMissing",
                Outcome::ClientError(Reason::Rejected),
            ),
            (
                503,
                "SlowDown",
                Outcome::Throttled(Reason::RateLimited, Duration::ZERO),
            ),
            (
                503,
                "ServiceUnavailable",
                Outcome::Retry(Reason::ServerError),
            ),
            (500, "InternalError", Outcome::Retry(Reason::ServerError)),
        ];
        for (status, code, expected) in table {
            assert_eq!(verdict(status, code), expected, "{status} {code}");
        }
    }
}
