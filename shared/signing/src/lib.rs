//! [Standard Webhooks](https://www.standardwebhooks.com) signatures (R4.4): how a receiver knows that a request is ours.
//!
//! - A [`SigningKey`] is one `whsec_…` secret: parsed from a customer's text or generated, and shown only on purpose.
//! - [`sign`] makes the value of the `webhook-signature` header, one signature per live key, newest first, so that a receiver that
//!   knows any of them accepts the request while a rotation lasts.
//! - [`verify`] is the receiver's side: some key made some signature of exactly this id, time and body, and not too long ago.
//!
//! What is signed is `id.timestamp.body`. The id is a delivery's, which never contains a dot.

mod key;
mod signature;

pub use key::{KEY_BYTES_GENERATED, KEY_BYTES_MAX, KEY_BYTES_MIN, KeyError, SigningKey};
pub use signature::{TOLERANCE_SECONDS, Verification, VerifyError, sign, verify};
