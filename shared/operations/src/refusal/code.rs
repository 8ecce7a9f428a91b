//! The reasons for which a request is not carried out. Each has the code that clients read and a
//! kind, which decides the HTTP status.

use std::fmt;

/// The kind of a refusal, which decides the HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The request cannot be read.
    Malformed,
    /// The caller is not known.
    Unauthenticated,
    /// The caller does not have the permission.
    Forbidden,
    /// The object does not exist for the caller.
    NotFound,
    /// The path does not take the method.
    MethodNotAllowed,
    /// The state of the object does not allow the request.
    Conflict,
    /// The object is no longer kept.
    Gone,
    /// The object has changed since the caller read it.
    PreconditionFailed,
    /// The request has too many bytes.
    TooLarge,
    /// The body is of a type that is not accepted.
    UnsupportedMediaType,
    /// A value in the request is not accepted.
    Invalid,
    /// Too many requests were made.
    RateLimited,
    /// Waybill itself failed to carry out the request.
    Internal,
    /// A service that Waybill depends on is down.
    Unavailable,
}

impl RefusalKind {
    /// Returns the HTTP status of a refusal of this kind.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::Gone => 410,
            Self::PreconditionFailed => 412,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $kind:ident $text:literal,)*) => {
        /// Why a request is not carried out.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum RefusalCode {
            $($(#[$doc])* $name,)*
        }

        impl RefusalCode {
            /// All codes, in the order of their declaration.
            pub const ALL: &'static [RefusalCode] = &[$(RefusalCode::$name,)*];

            /// Returns the code as clients read it in a problem's `code`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(RefusalCode::$name => $text,)* }
            }

            /// Returns the kind of refusal that the code stands for.
            #[must_use]
            pub fn kind(self) -> RefusalKind {
                match self { $(RefusalCode::$name => RefusalKind::$kind,)* }
            }
        }
    };
}

codes! {
    /// The delivery or job has already ended.
    AlreadyFinished = Conflict "already_finished",
    /// The delivery has already succeeded; only a forced retry sends it again.
    AlreadySucceeded = Conflict "already_succeeded",
    /// The batch makes more deliveries than one request may.
    BatchTooLarge = Invalid "batch_too_large",
    /// The destination did not pass its connection check; nothing was saved.
    ConnectionCheckFailed = Invalid "connection_check_failed",
    /// Secrets would be sent to another server than the one they were given for.
    CredentialsRequired = Invalid "credentials_required",
    /// A browser sent the request from another site.
    CrossSiteRequest = Forbidden "cross_site_request",
    /// The delivery's destination has been deleted.
    DestinationDeleted = Conflict "destination_deleted",
    /// The delivery's destination is disabled.
    DestinationDisabled = Conflict "destination_disabled",
    /// The role of the caller does not include the permission.
    Forbidden = Forbidden "forbidden",
    /// The console's form belongs to another session.
    ForeignForm = Forbidden "foreign_form",
    /// The first answer to this idempotency key was too large to keep.
    IdempotentAnswerNotKept = Conflict "idempotent_answer_not_kept",
    /// The first request with this idempotency key is still running.
    IdempotencyInProgress = Conflict "idempotency_in_progress",
    /// The idempotency key came with another request before.
    IdempotencyKeyReused = Conflict "idempotency_key_reused",
    /// Waybill itself failed to carry out the request.
    InternalError = Internal "internal_error",
    /// The cursor belongs to another list, or to none.
    InvalidCursor = Malformed "invalid_cursor",
    /// The last administrator's key cannot be revoked.
    LastAdminKey = Conflict "last_admin_key",
    /// The last signing secret cannot be ended.
    LastSecret = Conflict "last_secret",
    /// The organization has as many of these as it may have.
    LimitReached = Conflict "limit_reached",
    /// The request cannot be read.
    MalformedRequest = Malformed "malformed_request",
    /// A masked secret was written back.
    MaskedValue = Invalid "masked_value",
    /// The path does not take this method.
    MethodNotAllowed = MethodNotAllowed "method_not_allowed",
    /// The name typed to confirm a deletion is not the organization's.
    NameDiffers = Conflict "name_differs",
    /// No destination would receive the message.
    NoDestinations = Invalid "no_destinations",
    /// The organization still has destinations.
    NotEmpty = Conflict "not_empty",
    /// The object does not exist, or belongs to another organization.
    NotFound = NotFound "not_found",
    /// Only webhooks are signed.
    NotSigned = Conflict "not_signed",
    /// The organization is being deleted or erased.
    OrganizationEnded = Conflict "organization_ended",
    /// An operator has to name the organization.
    OrganizationRequired = Invalid "organization_required",
    /// The operator has suspended the organization.
    OrganizationSuspended = Forbidden "organization_suspended",
    /// The payload that was asked for is no longer kept.
    PayloadExpired = Gone "payload_expired",
    /// The payload that a retry needs is no longer kept, or an upload is not kept long enough.
    PayloadExpiredForRetry = Conflict "payload_expired",
    /// The body or payload has more bytes than are accepted.
    PayloadTooLarge = TooLarge "payload_too_large",
    /// Too many requests of this kind were made.
    RateLimited = RateLimited "rate_limited",
    /// The request changes a read-only field.
    ReadOnly = Invalid "read_only",
    /// The destination has changed since it was read.
    RevisionConflict = PreconditionFailed "revision_conflict",
    /// The destination has as many live signing secrets as it may have.
    TooManySecrets = Conflict "too_many_secrets",
    /// The API key is missing, malformed, unknown, revoked or expired.
    Unauthenticated = Unauthenticated "unauthenticated",
    /// A service that Waybill depends on is down.
    Unavailable = Unavailable "unavailable",
    /// The body's media type or content coding is not accepted.
    UnsupportedMediaType = UnsupportedMediaType "unsupported_media_type",
    /// The upload's bytes have not arrived.
    UploadIncomplete = Conflict "upload_incomplete",
    /// The request has invalid fields.
    ValidationFailed = Invalid "validation_failed",
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
