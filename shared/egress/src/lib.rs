//! The only way out (R6.5). A destination's address is chosen by a tenant, so every connection to one goes through here.
//!
//! - A [`Target`] is a URL, a [`Host`] a name or an address, parsed once and normalised; what could mislead is refused with a [`Refusal`].
//! - The [`Policy`] says which addresses may be reached: public ones, and what the deployment allows besides.
//! - The [`Guard`] resolves a name through a [`Resolve`], asks the policy about **every** address, and connects to one of those checked
//!   addresses. There is no second lookup, so a name that changes its mind in between gains nothing.
//! - [`Tls`] then verifies the certificate against the name.
//! - The [`Client`] sends HTTP requests over such connections, keeps them for reuse, follows no redirect and knows no proxy.
//!   It is made once per process. [`Client::probe`] walks the same way step by step for a connection check.
//! - What goes wrong is a [`Failure`] of one [`FailureKind`], told by the errors' types, never by their texts.

mod classify;
mod client;
mod connector;
mod failure;
mod guard;
mod host;
mod identity;
mod outgoing;
mod policy;
mod probe;
mod refusal;
mod resolver;
mod response;
mod target;
mod tls;

pub use classify::refuses_identity;
pub use client::{Client, Request};
pub use failure::{Failure, FailureKind};
pub use guard::{Guard, tells_of_a_blocked_address};
pub use host::Host;
pub use identity::{Identity, UnreadableIdentity, certificates};
pub use outgoing::Outgoing;
pub use policy::{Policy, PolicyError};
pub use probe::{Probe, Step, StepName, StepOutcome};
pub use refusal::Refusal;
pub use resolver::{Resolve, SystemResolver};
pub use response::{BODY_READ_BYTES_MAX, Body, Response};
pub use target::{Schemes, Target};
pub use tls::{Tls, TlsSetupError};
