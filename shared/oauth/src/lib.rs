//! Requests access tokens from OAuth 2 authorization servers through the egress guard, and caches
//! them until they expire.
//!
//! A [`Grant`] states with what a [`Client`] requests a token. [`Tokens`] **requests** it, once for
//! all concurrent callers that need the same token, **caches** it until shortly before it expires,
//! and **forgets** it when a receiver rejects it. A refresh token that the server replaced is not
//! sent again, even while its successor could not be stored. The method of client authentication
//! that a server accepts is found out and remembered, and a server that asks for a pause gets it. A
//! [`Refusal`] has an outcome for the delivery: `invalid_client`, `invalid_grant` and similar
//! errors mean that the destination's credentials are wrong, and failures of the server or the
//! network are retried. It never contains a secret.

mod client_authentication;
mod grant;
mod refusal;
mod rotated;
mod token_cache;
mod tokens;
mod turns;

pub use grant::{Client, Grant};
pub use refusal::Refusal;
pub use tokens::{Granted, Tokens};
