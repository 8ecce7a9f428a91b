//! [Standard Webhooks](https://www.standardwebhooks.com) signatures, with which a receiver
//! verifies that Waybill sent a request.
//!
//! - A [`SigningKey`] is one `whsec_…` secret. It is parsed from a customer's text or generated,
//!   and shown only on purpose.
//! - [`sign`] returns the value of the `webhook-signature` header, with one signature for each
//!   valid key, newest first, so that a receiver that knows any of them accepts the request during
//!   a rotation.
//! - [`verify`] is the receiver's side: it checks that one of the keys signed exactly this id, time
//!   and body, not too long ago.
//!
//! The signed content is `id.timestamp.body`. The id is a delivery's id, which never contains a
//! dot.

mod key;
mod signature;

pub use key::{
    KEY_BYTES_GENERATED, KEY_BYTES_MAX, KEY_BYTES_MIN, KeyError, SigningKey, TEXT_LENGTH,
};
pub use signature::{TOLERANCE_SECONDS, Verification, VerifyError, sign, verify};
