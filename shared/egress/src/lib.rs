//! Every connection to a destination goes through this crate, because tenants choose the addresses
//! of destinations.
//!
//! - A [`Target`] is a URL, a [`Host`] a name or an address. Both are parsed once and normalised;
//!   ambiguous input is rejected with a [`Refusal`].
//! - The [`Policy`] decides which addresses may be reached: public ones, and those that the
//!   deployment allows in addition.
//! - The [`Guard`] resolves a name through a [`Resolve`], checks **every** address with the policy,
//!   and races connections to the checked addresses. A name that changes afterwards has no effect.
//! - [`on_behalf_of`] sets the organization of connections and lookups. Organizations share
//!   neither.
//! - [`Tls`] verifies the certificate against the name.
//! - The [`Client`] sends HTTP requests with reqwest over connections that pass the guard, keeps
//!   them for reuse, and uses neither redirects nor proxies. It is created once per process.
//!   [`Client::probe`] runs the same steps one by one for a connection check.
//! - A [`Failure`] has a [`FailureKind`], which is decided by the types of errors, never by their
//!   texts.

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
pub use organization::{on_behalf_of, on_current_behalf};
pub use outgoing::Outgoing;
pub use policy::{Policy, PolicyError};
pub use probe::{Probe, Step, StepName, StepOutcome};
pub use refusal::Refusal;
pub use resolver::{Resolve, SystemResolver};
pub use response::{BODY_READ_BYTES_MAX, Body, Response};
pub use target::{Schemes, Target};
pub use tls::{Tls, TlsSetupError};
