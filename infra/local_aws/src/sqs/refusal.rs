//! The refusals of the engine, in the wording of SQS.

use crate::ServiceError;

use super::limits::{BATCH_ENTRIES_MAX, IN_FLIGHT_MAX, REQUEST_BYTES_MAX};

/// Why a call or an entry of a batch was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("The specified queue does not exist.")]
    QueueDoesNotExist,
    #[error("The address {0} is not valid for this endpoint.")]
    InvalidAddress(String),
    #[error("The input receipt handle \"{0}\" is not a valid receipt handle.")]
    ReceiptHandleIsInvalid(String),
    #[error("The specified message isn't in flight.")]
    MessageNotInflight,
    #[error("Value {value} for parameter {parameter} is invalid. Reason: {reason}")]
    InvalidParameterValue {
        parameter: &'static str,
        value: String,
        reason: String,
    },
    #[error("One or more parameters are invalid. Reason: {0}")]
    InvalidParameters(String),
    #[error("The request must contain the parameter {0}.")]
    MissingParameter(&'static str),
    #[error(
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF \
         | #xE000 to #xFFFD | #x10000 to #x10FFFF."
    )]
    InvalidMessageContents,
    #[error("Unknown Attribute {0}.")]
    InvalidAttributeName(String),
    #[error("There should be at least one {0} in the request.")]
    EmptyBatchRequest(&'static str),
    #[error("Maximum number of entries per request are {BATCH_ENTRIES_MAX}. You have sent {0}.")]
    TooManyEntriesInBatchRequest(usize),
    #[error("Id {0} repeated.")]
    BatchEntryIdsNotDistinct(String),
    #[error(
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It \
         can be at most 80 letters long."
    )]
    InvalidBatchEntryId,
    #[error(
        "Batch requests cannot be longer than {REQUEST_BYTES_MAX} bytes. You have sent {0} bytes."
    )]
    BatchRequestTooLong(usize),
    #[error("Too many messages in flight: the limit is {IN_FLIGHT_MAX}.")]
    OverLimit,
    #[error("The request is not a valid AWS JSON document: {0}")]
    Serialization(String),
    #[error("The local queue engine has no operation {0}.")]
    UnknownOperation(String),
    #[error("The queue file failed: {0}")]
    Storage(String),
    #[error("The queue engine is closed.")]
    Closed,
}

impl Refusal {
    /// Returns the HTTP status and shape, from the service's Smithy model where it defines them.
    fn status_and_shape(&self) -> (u16, &'static str) {
        match self {
            Self::QueueDoesNotExist => (400, "com.amazonaws.sqs#QueueDoesNotExist"),
            Self::InvalidAddress(_) => (404, "com.amazonaws.sqs#InvalidAddress"),
            Self::ReceiptHandleIsInvalid(_) => (404, "com.amazonaws.sqs#ReceiptHandleIsInvalid"),
            Self::MessageNotInflight => (400, "com.amazonaws.sqs#MessageNotInflight"),
            Self::InvalidParameterValue { .. } | Self::InvalidParameters(_) => (
                400,
                "com.amazon.coral.service#InvalidParameterValueException",
            ),
            Self::MissingParameter(_) => (
                400,
                "com.amazon.coral.service#MissingRequiredParameterException",
            ),
            Self::InvalidMessageContents => (400, "com.amazonaws.sqs#InvalidMessageContents"),
            Self::InvalidAttributeName(_) => (400, "com.amazonaws.sqs#InvalidAttributeName"),
            Self::EmptyBatchRequest(_) => (400, "com.amazonaws.sqs#EmptyBatchRequest"),
            Self::TooManyEntriesInBatchRequest(_) => {
                (400, "com.amazonaws.sqs#TooManyEntriesInBatchRequest")
            }
            Self::BatchEntryIdsNotDistinct(_) => {
                (400, "com.amazonaws.sqs#BatchEntryIdsNotDistinct")
            }
            Self::InvalidBatchEntryId => (400, "com.amazonaws.sqs#InvalidBatchEntryId"),
            Self::BatchRequestTooLong(_) => (400, "com.amazonaws.sqs#BatchRequestTooLong"),
            Self::OverLimit => (403, "com.amazonaws.sqs#OverLimit"),
            Self::Serialization(_) => (400, "com.amazon.coral.service#SerializationException"),
            Self::UnknownOperation(_) => {
                (400, "com.amazon.coral.service#UnknownOperationException")
            }
            Self::Storage(_) => (500, "com.amazon.coral.service#InternalFailure"),
            Self::Closed => (503, "com.amazon.coral.service#ServiceUnavailableException"),
        }
    }

    /// Returns the code of a failed batch entry, which the service spells as the query protocol
    /// did.
    pub(super) fn entry_code(&self) -> String {
        query_code(self.status_and_shape().1)
    }

    /// Whether the sender caused the refusal.
    pub(super) fn sender_fault(&self) -> bool {
        self.status_and_shape().0 < 500
    }
}

impl From<Refusal> for ServiceError {
    fn from(refusal: Refusal) -> Self {
        let (status, shape) = refusal.status_and_shape();
        ServiceError::new(status, shape, refusal.to_string())
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Storage(error.to_string())
    }
}

/// The value of the `x-amzn-query-error` header for an error of this engine. SQS is
/// `awsQueryCompatible`: an SDK recognizes `QueueDoesNotExist` only by the code in this header, so
/// it must be sent with the error.
///
/// ```
/// let error = local_aws::ServiceError::new(400, "com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist.");
/// assert_eq!(local_aws::sqs::query_error(&error), "AWS.SimpleQueueService.NonExistentQueue;Sender");
/// ```
pub fn query_error(error: &ServiceError) -> String {
    let side = if error.status < 500 {
        "Sender"
    } else {
        "Receiver"
    };
    format!("{};{side}", query_code(&error.code))
}

/// Returns the code that the query protocol had for a shape (`aws.protocols#awsQueryError` in the
/// model).
fn query_code(shape: &str) -> String {
    let name = shape.rsplit('#').next().unwrap_or_default();
    match name {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
        "MessageNotInflight"
        | "EmptyBatchRequest"
        | "TooManyEntriesInBatchRequest"
        | "BatchEntryIdsNotDistinct"
        | "InvalidBatchEntryId"
        | "BatchRequestTooLong" => {
            format!("AWS.SimpleQueueService.{name}")
        }
        "MissingRequiredParameterException" => "MissingParameter".to_owned(),
        _ => name.strip_suffix("Exception").unwrap_or(name).to_owned(),
    }
}
