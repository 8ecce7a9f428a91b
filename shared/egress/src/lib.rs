//! The only way out (R6.5). A destination's address is chosen by a tenant, so every connection to one goes through here.
//!
//! - A [`Target`] is a URL, a [`Host`] a name or an address, parsed once and normalised; what could mislead is refused with a [`Refusal`].
//! - The [`Policy`] says which addresses may be reached: public ones, and what the deployment allows besides.
//! - The [`Guard`] resolves a name through a [`Resolve`], asks the policy about **every** address, and connects to one of those checked
//!   addresses, which it races. What is connected to was checked, so a name that changes in between gains nothing.
//! - [`on_behalf_of`] names the organization that connections and lookups are for; no two share any.
//! - [`Tls`] then verifies the certificate against the name.
//! - The [`Client`] sends HTTP requests with reqwest over connections that pass the guard, keeps them for reuse, follows no redirect and
//!   knows no proxy. It is made once per process. [`Client::probe`] takes the same steps one by one for a connection check.
//! - What goes wrong is a [`Failure`] of one [`FailureKind`], told by the errors' types, never by their texts.

mod classify;
mod client;
mod connecting;
mod eyeballs;
mod failure;
mod guard;
mod handshake;
mod host;
mod identity;
mod lookups;
mod name_service;
mod organization;
mod outgoing;
mod policy;
mod pool;
mod probe;
mod refusal;
mod resolver;
mod response;
mod target;
mod tls;
mod traffic;

pub use classify::{failure_kind, refuses_identity, sources, tls_error};
pub use client::{Client, Request};
pub use failure::{Failure, FailureKind};
pub use guard::Guard;
pub use host::Host;
pub use identity::{Identity, UnreadableIdentity, certificates};
pub use organization::{on_behalf_of, on_the_same_behalf};
pub use outgoing::Outgoing;
pub use policy::{Policy, PolicyError};
pub use probe::{Probe, Step, StepName, StepOutcome};
pub use refusal::Refusal;
pub use resolver::{Resolve, SystemResolver};
pub use response::{BODY_READ_BYTES_MAX, Body, Response};
pub use target::{Schemes, Target};
pub use tls::{Tls, TlsSetupError};
