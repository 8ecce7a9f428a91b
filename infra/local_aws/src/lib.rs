//! Embedded AWS services behind an in-process SDK connector.
//!
//! - A caller (a function with its policy) gets an `SdkConfig` from [`Engines::sdk_config`] and
//!   builds ordinary AWS SDK clients from it.
//! - The connector receives every signed HTTP request of those clients, identifies the call
//!   (service, operation, resources), checks it against the caller's policy, applies faults, routes
//!   it to an engine and reports it to observers.
//! - An engine responds in the service's wire format: `dynamodb` and `sqs` use SQLite, `s3` a
//!   folder, `kms` and `secrets` memory with a snapshot on every change, and `functions` a registry
//!   of handlers.
//! - The gateway is the same connector behind a loopback socket, for other processes.
//!
//! This crate knows nothing about what the application stores: tables, queues, buckets, keys and
//! secrets are described by [`Resources`].

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
pub use policy::{
    Caller, Condition, Decision, Effect, Policy, Statement, UnknownOperator, UnreadableDocument,
};
pub use resources::{
    AttributeType, BucketSpec, GenerateSecretString, IndexSpec, KeySchema, KeySpec, Projection,
    Resources, SecretSpec, SecretValue, TableSpec,
};
pub use ses::CapturedMail;
