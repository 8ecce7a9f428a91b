//! The views of messages, and of the results of a batch.

pub use dispatch::view::message::{MessageStatus, MessageView};
use serde::Serialize;
use utoipa::ToSchema;

use crate::view::problem::Problem;

/// The response to a batch: a result for each message, in the same order.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchView {
    /// The results, in the order of `messages`.
    pub results: Vec<BatchResult>,
}

/// The result for one message of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchResult {
    /// The status that `POST /v1/messages` would have returned.
    #[schema(example = 202)]
    pub status: u16,
    /// The message, when it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageView>,
    /// The problem, if the message was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}
