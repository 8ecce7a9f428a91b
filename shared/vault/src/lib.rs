//! The vault: every secret of a destination is stored encrypted, bound to the server
//! that it was given for.
//!
//! - The API **seals**: [`Vault::seal_all`] requests a data key from KMS whose encryption context
//!   names organization and destination, and encrypts each field with it. The API may request data
//!   keys but not open them. Credentials are sealed for their [`Recipient`] ([`Vault::seal_for`]),
//!   so they do not open for a destination whose server has been changed.
//! - A worker **opens**: [`Vault::open`] lets KMS decrypt the data key, which requires the same
//!   context. A sealed secret that is moved to another record, organization or field does not open.
//! - A customer's own secret stays in Secrets Manager and is **read** when it is used:
//!   [`Vault::referenced`] requires a tag that names the organization, or a customer's role that
//!   trusts the organization's external id.
//! - Secrets opened for a piece of work are collected in its [`Confidential`], so that texts from
//!   outside can be redacted.
//! - Opened and read secrets are cached for minutes, so that a warm worker does not request them
//!   for every delivery.
//! - A [`KeyUse`] names keys of the deployment itself, which authenticate ids, cursors, links and
//!   sessions. Each use has its own secret, and the keys can be [rotated](rotate).

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
pub use signing_keys::{
    KeySource, KeyUse, RotateError, SIGNS_AFTER, accept, key_ring, own_secret, rotate,
};
pub use vault::{ORGANIZATION_TAG, Vault};
