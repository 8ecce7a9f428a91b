//! Messages: **read** strictly with the payload kept as raw bytes, **resolved** to the destinations
//! they go to, **committed** and sent by dispatch; then looked at as the set of their deliveries.

mod batch;
mod claim;
mod elsewhere;
mod input;
pub(crate) mod raw;
mod read;
mod resend;
mod submit;

pub use batch::{BATCH_DELIVERIES_MAX, SubmittedBatch};
pub use input::{BatchMessage, Content, SubmitBatch, SubmitMessage};
pub use read::{Download, PayloadAnswer, PayloadLink};
pub use resend::ResendMessage;
pub use submit::Submitted;

pub(crate) use raw::RawMembers;
pub(crate) use read::{accepted_at, parse_reference, payload_expired};
pub(crate) use submit::not_suspended;

use sha2::{Digest as _, Sha256};

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
