//! The closed set of reasons for which a request is not carried out: each with the code that clients read and
//! the HTTP status that goes with it.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal $text:literal,)*) => {
        /// Why a request is not carried out.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum RefusalCode {
            $($(#[$doc])* $name,)*
        }

        impl RefusalCode {
            /// Every code.
            pub const ALL: &'static [RefusalCode] = &[$(RefusalCode::$name,)*];

            /// The code as clients read it in a problem's `code`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(RefusalCode::$name => $text,)* }
            }

            /// The HTTP status of an answer with this code.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(RefusalCode::$name => $status,)* }
            }
        }
    };
}

codes! {
    /// The delivery or job has already ended.
    AlreadyFinished = 409 "already_finished",
    /// The delivery has already succeeded; only a forced retry sends it again.
    AlreadySucceeded = 409 "already_succeeded",
    /// The batch makes more deliveries than one request may.
    BatchTooLarge = 422 "batch_too_large",
    /// The destination did not pass its connection check; nothing was saved.
    ConnectionCheckFailed = 422 "connection_check_failed",
    /// Secrets would be sent to another server than the one they were given for.
    CredentialsRequired = 422 "credentials_required",
    /// A browser sent the request from another site.
    CrossSiteRequest = 403 "cross_site_request",
    /// The delivery's destination has been deleted.
    DestinationDeleted = 409 "destination_deleted",
    /// The delivery's destination is disabled.
    DestinationDisabled = 409 "destination_disabled",
    /// The role of the caller does not include the permission.
    Forbidden = 403 "forbidden",
    /// The console's form belongs to another session.
    ForeignForm = 403 "foreign_form",
    /// The first answer to this idempotency key was too large to keep.
    IdempotentAnswerNotKept = 409 "idempotent_answer_not_kept",
    /// The first request with this idempotency key is still running.
    IdempotencyInProgress = 409 "idempotency_in_progress",
    /// The idempotency key came with another request before.
    IdempotencyKeyReused = 409 "idempotency_key_reused",
    /// Waybill failed.
    InternalError = 500 "internal_error",
    /// The cursor belongs to another list, or to none.
    InvalidCursor = 400 "invalid_cursor",
    /// The last administrator's key cannot be revoked.
    LastAdminKey = 409 "last_admin_key",
    /// The last signing secret cannot be ended.
    LastSecret = 409 "last_secret",
    /// The organization has as many of these as it may have.
    LimitReached = 409 "limit_reached",
    /// The request cannot be read.
    MalformedRequest = 400 "malformed_request",
    /// A masked secret was written back.
    MaskedValue = 422 "masked_value",
    /// The path does not take this method.
    MethodNotAllowed = 405 "method_not_allowed",
    /// The name typed to confirm a deletion is not the organization's.
    NameDiffers = 409 "name_differs",
    /// No destination would receive the message.
    NoDestinations = 422 "no_destinations",
    /// The organization still has destinations.
    NotEmpty = 409 "not_empty",
    /// It does not exist, or belongs to another organization.
    NotFound = 404 "not_found",
    /// Only webhooks are signed.
    NotSigned = 409 "not_signed",
    /// The organization is being deleted or erased.
    OrganizationEnded = 409 "organization_ended",
    /// An operator has to name the organization.
    OrganizationRequired = 422 "organization_required",
    /// The operator has suspended the organization.
    OrganizationSuspended = 403 "organization_suspended",
    /// The payload that was asked for is no longer kept.
    PayloadExpired = 410 "payload_expired",
    /// The payload that a retry needs is no longer kept.
    PayloadExpiredForRetry = 409 "payload_expired",
    /// The body or payload has more bytes than are accepted.
    PayloadTooLarge = 413 "payload_too_large",
    /// Too many requests of this kind.
    RateLimited = 429 "rate_limited",
    /// The request changes a read-only field.
    ReadOnly = 422 "read_only",
    /// The destination has changed since it was read.
    RevisionConflict = 412 "revision_conflict",
    /// The destination has as many live signing secrets as it may have.
    TooManySecrets = 409 "too_many_secrets",
    /// The API key is missing, malformed, unknown, revoked or expired.
    Unauthenticated = 401 "unauthenticated",
    /// A service that Waybill depends on is down.
    Unavailable = 503 "unavailable",
    /// The body's media type or content coding is not accepted.
    UnsupportedMediaType = 415 "unsupported_media_type",
    /// The upload's bytes have not arrived.
    UploadIncomplete = 409 "upload_incomplete",
    /// The request has invalid fields.
    ValidationFailed = 422 "validation_failed",
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
