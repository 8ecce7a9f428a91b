//! Where secrets are kept (R4.5, R6): everything a destination is trusted with is ciphertext at rest, bound to whom it was given for.
//!
//! - The api **seals**: [`Vault::seal_all`] asks KMS for a fresh data key whose encryption context names organization and destination, and
//!   encrypts each field under it. It may ask for data keys and never opens one. Credentials are sealed for their [`Recipient`]
//!   ([`Vault::seal_for`]): they do not open for a destination that leads anywhere else, whoever changed it.
//! - A worker **opens**: [`Vault::open`] has KMS unwrap the data key, which it does only in that same context. A blob moved to another
//!   record, organization or field does not open.
//! - A customer's own secret stays in Secrets Manager and is **read** at use: [`Vault::referenced`] takes it only when its tag names the
//!   organization.
//! - Whatever is opened for a piece of work is collected in its [`Confidential`], so that answers from outside can be redacted.
//! - What was opened or read is kept in memory for minutes, so that a warm worker asks once and not once a delivery.
//! - A [`KeyUse`] names keys of the deployment's own: they vouch for ids, cursors, links and sessions, a secret each, and are [rotated](rotate).

mod cache;
mod confidential;
mod data_key;
mod envelope;
mod error;
mod recipient;
mod signing_keys;
mod vault;

pub use confidential::Confidential;
pub use error::VaultError;
pub use recipient::Recipient;
pub use signing_keys::{KeySource, KeyUse, RotateError, SIGNS_AFTER, accept, key_ring, own_secret, rotate};
pub use vault::{ORGANIZATION_TAG, Vault};
