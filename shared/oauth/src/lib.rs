//! Tokens of OAuth 2 authorization servers: asked for through the egress guard, kept while they live.
//!
//! A [`Grant`] says what a [`Client`] asks a token for; [`Tokens`] **asks** its server, once for all that need the same token at the same time,
//! **keeps** what it gives until shortly before it expires, and **forgets** it when a receiver does not take it. The client is authenticated in
//! the way that its server takes, which is found out and remembered. A server that asks for a pause gets it. A server's refusal is a [`Refusal`] with its outcome: `invalid_client`,
//! `invalid_grant` and their like are the destination's credentials, anything else passes. Nothing of a secret stands in one.

mod client_authentication;
mod grant;
mod kept;
mod refusal;
mod tokens;
mod turns;

pub use grant::{Client, Grant};
pub use refusal::Refusal;
pub use tokens::{Granted, Tokens};
