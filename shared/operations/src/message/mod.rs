//! Messages. A submission is **read** strictly, with its payload kept as raw bytes; it is
//! **resolved** to the destinations that it goes to, then **committed** and sent by dispatch. From
//! then on, a message is the set of its deliveries.

mod batch;
mod claim;
mod elsewhere;
mod input;
pub(crate) mod raw;
mod read;
mod resend;
mod submit;

pub use batch::{BATCH_DELIVERIES_MAX, BatchToSubmit, SubmittedBatch};
pub use input::{BatchMessage, Content, SubmitBatch, SubmitMessage};
pub use read::{Download, PayloadAnswer, PayloadLink};
pub use resend::ResendMessage;
pub use submit::{MessageToSubmit, Submitted};

pub(crate) use raw::{RawMembers, RawPayload};
pub(crate) use read::{accepted_at, parse_reference, payload_expired};
pub(crate) use submit::not_suspended;

use sha2::{Digest as _, Sha256};

/// Returns the SHA-256 of bytes in lower-case hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
