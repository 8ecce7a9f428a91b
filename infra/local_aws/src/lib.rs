//! AWS on a laptop: embedded engines behind an in-process SDK connector.
//!
//! The cast and their verbs:
//!
//! - A **Caller** (a function, with its policy) asks [`Engines::sdk_config`] for an `SdkConfig` and builds ordinary AWS SDK clients from it.
//! - The **connector** receives every signed HTTP request those clients make, names the **call** (service, operation, resources),
//!   **checks** it against the caller's **policy**, lets the **faults** interfere, **routes** it to an engine and **reports** it to observers.
//! - An **engine** answers in the service's own wire form: `dynamodb` and `sqs` on SQLite, `s3` on a folder, `kms` and `secrets` in memory
//!   with a snapshot on every change, `functions` a registry of handlers.
//! - The **gateway** is the same connector behind a loopback socket, for programs that are not this process.
//!
//! Nothing here knows what the application stores: tables, queues, buckets, keys and secrets arrive as plain data in [`Resources`].

mod arn;
mod call;
mod connector;
mod dynamodb;
mod engines;
mod error;
mod events;
mod faults;
mod functions;
mod gateway;
mod keeping;
mod observe;
mod options;
mod policy;
mod resources;
mod s3;
mod sdk;
mod ses;
mod snapshotted;
pub mod sqs;
mod wire;

pub use call::{Call, Consumed, Service, Target};
pub use connector::Unroutable;
pub use engines::Engines;
pub use error::ServiceError;
pub use events::Rule;
pub use faults::Fault;
pub use functions::{Functions, InvokeError};
pub use gateway::Gateway;
pub use keeping::OpenError;
pub use observe::Recorder;
pub use options::{Durability, Mode, NowMs, Options};
pub use policy::{Caller, Condition, Decision, Effect, Policy, Statement, UnknownOperator, UnreadableDocument};
pub use resources::{
    AttributeType, BucketSpec, GenerateSecretString, IndexSpec, KeySchema, KeySpec, Projection, Resources, SecretSpec, SecretValue,
    TableSpec,
};
pub use ses::CapturedMail;
