//! Delivers to object storage: Amazon S3 and compatible stores, Google Cloud Storage, Azure Blob
//! Storage.
//!
//! - [`Storage`] writes a [`Payload`](worker::Payload) to a key of a bucket in one attempt. It
//!   opens the bucket with the destination's [`Credentials`], looks whether the object exists,
//!   uploads it without overwriting another object (unless the settings permit that), and returns
//!   its location.
//! - An `OpenBucket` is a bucket of one of the three providers. An object-store library speaks
//!   their protocols through Waybill's HTTP client, the wire. Every request passes the egress
//!   guard, none is repeated, and a refusal keeps its type on its way through the library.
//! - Credentials are always explicit. The library never looks for credentials itself.
//! - An upload is one request up to 16 MiB and consists of parts above that (for Google, of one
//!   streamed request). The object is visible only when it is complete; an unfinished upload is
//!   aborted.
//! - A `StorageError` is every error that can end an attempt; the verdict is its effect on the
//!   delivery.

mod answer;
mod aws;
mod azure;
mod check;
mod conditions;
mod credentials;
mod deliver;
mod error;
mod existing;
mod function;
mod google;
mod meta;
mod open_bucket;
mod parts;
mod session_cache;
mod storage;
mod upload;
mod verdict;
mod wire;

pub use check::Sample;
pub use credentials::Credentials;
pub use function::{ObjectStorage, build};
pub use meta::Meta;
pub use open_bucket::Settings;
pub use storage::Storage;
