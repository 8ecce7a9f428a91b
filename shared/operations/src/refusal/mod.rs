//! Refusals: why a request was not carried out. The API turns a refusal into an RFC 9457 problem in
//! one place; the console shows it on a page.

mod code;

use std::error::Error;
use std::sync::Arc;

use domain::check::CheckReport;
use domain::input::{FieldCode, FieldError, Malformed};

pub use code::{RefusalCode, RefusalKind};

/// How long a client waits, in seconds, before it repeats a request that failed because a service
/// that Waybill depends on was down.
const UNAVAILABLE_RETRY_SECONDS: u32 = 1;

/// A request that was not carried out.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The reason, as programs read it.
    pub code: RefusalCode,
    /// The reason in words, for the client's developer.
    pub detail: String,
    /// Every invalid field or parameter of the request.
    pub errors: Vec<FieldError>,
    /// The details that only some refusals have.
    pub extra: Option<Box<Extra>>,
}

/// The details that only some refusals have.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    /// The connection check that failed.
    pub check: Option<CheckReport>,
    /// After how many seconds the request may be repeated.
    pub retry_after_seconds: Option<u32>,
    /// The positions in `destination_ids` of destinations that do not exist.
    pub unknown_destinations: Vec<usize>,
    /// The cause of a failure of Waybill, which is logged and never shown.
    pub source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Refusal {
    /// Creates a refusal without further details.
    pub fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            extra: None,
        }
    }

    /// Returns the HTTP status of the refusal.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.kind().status()
    }

    /// Returns the kind of the refusal.
    #[must_use]
    pub fn kind(&self) -> RefusalKind {
        self.code.kind()
    }

    /// Whether a value in the request is refused.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.kind() == RefusalKind::Invalid
    }

    /// Whether something that the request names does not exist for the caller.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == RefusalKind::NotFound
    }

    /// Whether the same request may be carried out later without a change to it.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.is_failure()
            || self.kind() == RefusalKind::RateLimited
            || self.code == RefusalCode::IdempotencyInProgress
    }

    /// Whether Waybill, or a service that it depends on, failed.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(
            self.kind(),
            RefusalKind::Internal | RefusalKind::Unavailable
        )
    }

    /// Whether the caller can correct the request, or repeat it later. Failures of Waybill and
    /// missing permissions are not the caller's to correct.
    #[must_use]
    pub fn is_correctable(&self) -> bool {
        use RefusalKind as Kind;
        matches!(
            self.kind(),
            Kind::Malformed
                | Kind::Conflict
                | Kind::Gone
                | Kind::PreconditionFailed
                | Kind::TooLarge
                | Kind::Invalid
                | Kind::RateLimited
        )
    }

    /// Returns the 401, which is the same whatever is wrong with the key.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(
            RefusalCode::Unauthenticated,
            "send a valid API key as `Authorization: Bearer <key>`",
        )
    }

    /// Returns the 403 for a role that does not include the permission.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::new(
            RefusalCode::Forbidden,
            "the role of this key does not permit this",
        )
    }

    /// Returns the 404, which is the same for an object that never existed, one that is gone, and
    /// one of another organization.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(
            RefusalCode::NotFound,
            "the requested object does not exist, or you have no access to it",
        )
    }

    /// Returns the 404 for objects that the body names, by the JSON Pointers of their members.
    pub fn not_found_at(pointers: impl IntoIterator<Item = String>) -> Self {
        let errors = pointers
            .into_iter()
            .map(|pointer| FieldError::at(pointer, FieldCode::NotFound, "does not exist"));
        Self {
            errors: errors.collect(),
            ..Self::not_found()
        }
    }

    /// Returns the 404 for destinations that the list `destination_ids` names, by their positions
    /// in it.
    #[must_use]
    pub fn unknown_destinations(positions: Vec<usize>) -> Self {
        let refusal = Self::not_found_at(
            positions
                .iter()
                .map(|position| format!("/destination_ids/{position}")),
        );
        let extra = Extra {
            unknown_destinations: positions,
            ..Extra::default()
        };
        Self {
            extra: Some(Box::new(extra)),
            ..refusal
        }
    }

    /// Returns the 400 for a request that cannot be read.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(RefusalCode::MalformedRequest, detail)
    }

    /// Returns the 400 for a cursor that the list did not issue.
    #[must_use]
    pub fn invalid_cursor() -> Self {
        Self::new(
            RefusalCode::InvalidCursor,
            "the cursor does not belong to this list and these filters",
        )
    }

    /// Returns the 413 for more bytes than are accepted.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(RefusalCode::PayloadTooLarge, detail)
    }

    /// Returns the 415 for a body that is not JSON.
    #[must_use]
    pub fn unsupported_media_type() -> Self {
        Self::new(
            RefusalCode::UnsupportedMediaType,
            "send the body as `Content-Type: application/json`",
        )
    }

    /// Returns the 415 for a body that is compressed.
    #[must_use]
    pub fn unsupported_coding(coding: &str) -> Self {
        let detail = format!("the body has the content coding {coding:?}; send it without one");
        Self {
            detail,
            ..Self::unsupported_media_type()
        }
    }

    /// Returns the 422 for a change that would send secrets to another server than the one they
    /// were given for.
    pub fn credentials_required(detail: impl Into<String>) -> Self {
        Self::new(RefusalCode::CredentialsRequired, detail)
    }

    /// Returns the 422 with every mistake of a request. If all of them are of one special kind, the
    /// problem has the code of that kind.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let all = |code| errors.iter().all(|error| error.code == code);
        let (code, detail) = if all(FieldCode::MaskedValue) {
            (
                RefusalCode::MaskedValue,
                "a masked secret was written back; leave it out to keep it, or send the secret \
                 itself",
            )
        } else if all(FieldCode::ReadOnly) {
            (
                RefusalCode::ReadOnly,
                "the request changes what can only be read",
            )
        } else {
            (
                RefusalCode::ValidationFailed,
                "the request has invalid fields; see `errors`",
            )
        };
        Self {
            errors,
            ..Self::new(code, detail)
        }
    }

    /// Returns the 429 for a request that may be repeated after this time.
    #[must_use]
    pub fn rate_limited(retry_after_seconds: u32) -> Self {
        let extra = Extra {
            retry_after_seconds: Some(retry_after_seconds),
            ..Extra::default()
        };
        Self {
            extra: Some(Box::new(extra)),
            ..Self::new(
                RefusalCode::RateLimited,
                "too many requests of this kind; try again later",
            )
        }
    }

    /// Returns the 409 for a request whose first run has not ended.
    #[must_use]
    pub fn idempotency_in_progress() -> Self {
        let extra = Extra {
            retry_after_seconds: Some(1),
            ..Extra::default()
        };
        let detail = "the first request with this Idempotency-Key is still running";
        Self {
            extra: Some(Box::new(extra)),
            ..Self::new(RefusalCode::IdempotencyInProgress, detail)
        }
    }

    /// Returns the 409 for an `Idempotency-Key` that was used with another request.
    #[must_use]
    pub fn idempotency_key_reused() -> Self {
        Self::new(
            RefusalCode::IdempotencyKeyReused,
            "this Idempotency-Key was used with another request; send a new key",
        )
    }

    /// Returns the 409 for a repeat that cannot show the secret of what the first request created.
    #[must_use]
    pub fn idempotent_answer_not_kept() -> Self {
        Self::new(
            RefusalCode::IdempotentAnswerNotKept,
            "the first request was carried out, and what it created is in use; its secret is not \
             kept, so create another with a new Idempotency-Key if you do not have it",
        )
    }

    /// Returns the 422 for a message that no destination would receive.
    #[must_use]
    pub fn no_destinations() -> Self {
        Self::new(
            RefusalCode::NoDestinations,
            dispatch::Unresolved::NoDestinations.to_string(),
        )
    }

    /// Returns the 422 for a destination that did not pass its check. Nothing was saved.
    #[must_use]
    pub fn connection_check_failed(check: CheckReport) -> Self {
        let why = check
            .failed_step()
            .map_or_else(String::new, |step| format!(": {}", step.detail));
        let detail = format!("the destination could not be verified{why}; nothing was saved");
        let extra = Extra {
            check: Some(check),
            ..Extra::default()
        };
        Self {
            extra: Some(Box::new(extra)),
            ..Self::new(RefusalCode::ConnectionCheckFailed, detail)
        }
    }

    /// Returns the 503 for a record that other requests kept changing.
    #[must_use]
    pub fn contended() -> Self {
        Self::unavailable("the record kept changing under the request")
    }

    /// Returns the refusal for an error of the table.
    pub(crate) fn of_store(error: store::StoreError) -> Self {
        if error.is_unavailable() {
            Self::unavailable(error)
        } else {
            Self::internal(error)
        }
    }

    /// Returns the 503 for a failure of a service that Waybill depends on.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let extra = Extra {
            retry_after_seconds: Some(UNAVAILABLE_RETRY_SECONDS),
            source: Some(Arc::from(source.into())),
            ..Extra::default()
        };
        Self {
            extra: Some(Box::new(extra)),
            ..Self::new(
                RefusalCode::Unavailable,
                "Waybill cannot do this right now; try again",
            )
        }
    }

    /// Returns the 500 for a fault in Waybill.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let extra = Extra {
            source: Some(Arc::from(source.into())),
            ..Extra::default()
        };
        Self {
            extra: Some(Box::new(extra)),
            ..Self::new(
                RefusalCode::InternalError,
                "an internal error occurred; quote the request id when you ask for support",
            )
        }
    }

    /// Returns the causes of a failure in one line for the log, outermost first; `None` if there is
    /// no cause.
    #[must_use]
    pub fn chain(&self) -> Option<String> {
        let source = self.extra.as_ref()?.source.as_ref()?;
        Some(domain::chain(&**source).to_string())
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::malformed(malformed.0)
    }
}

impl From<Vec<FieldError>> for Refusal {
    fn from(errors: Vec<FieldError>) -> Self {
        Self::invalid(errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(code: FieldCode) -> FieldError {
        FieldError::at("/x", code, "…")
    }

    #[test]
    fn mistakes_of_one_special_kind_give_the_problem_their_code() {
        assert_eq!(
            Refusal::invalid(vec![
                mistake(FieldCode::MaskedValue),
                mistake(FieldCode::MaskedValue)
            ])
            .code,
            RefusalCode::MaskedValue
        );
        assert_eq!(
            Refusal::invalid(vec![mistake(FieldCode::ReadOnly)]).code,
            RefusalCode::ReadOnly
        );
        assert_eq!(
            Refusal::invalid(vec![
                mistake(FieldCode::ReadOnly),
                mistake(FieldCode::TooLong)
            ])
            .code,
            RefusalCode::ValidationFailed
        );
    }

    #[test]
    fn a_request_may_be_repeated_while_its_first_run_has_not_ended() {
        assert!(Refusal::idempotency_in_progress().is_temporary());
        assert!(Refusal::contended().is_temporary() && Refusal::rate_limited(1).is_temporary());
        assert!(!Refusal::idempotency_key_reused().is_temporary());
    }

    #[test]
    fn causes_appear_only_in_the_log() {
        let refusal = Refusal::internal(std::io::Error::other("the disk is full"));
        assert_eq!(refusal.chain().as_deref(), Some("the disk is full"));
        assert!(!refusal.detail.contains("disk"));
    }
}
