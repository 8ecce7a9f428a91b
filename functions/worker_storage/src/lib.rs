//! Delivers to object storage: Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage.
//!
//! - [`Storage`] takes a [`Payload`](worker::Payload) to a key of a bucket: one attempt, one verdict. It opens a place with the destination's
//!   [`Credentials`], looks whether the object is there already, uploads it create-only, and tells where it is.
//! - A place is a bucket of one of the three, opened through an object-store library whose HTTP client is ours: the wire. Every request
//!   passes the egress guard, none is repeated, and a refusal keeps its type on the way back through the library.
//! - Credentials are explicit, always. The library is never left to look for some in its surroundings.
//! - An upload is one request up to 16 MiB, parts above that (one streamed request to Google's). It shows only when it is complete; what is
//!   left unfinished is aborted.
//! - A `StorageError` is everything that can stop an attempt; the verdict is its effect on the delivery.

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
mod parts;
mod place;
mod storage;
mod upload;
mod verdict;
mod wire;

pub use credentials::Credentials;
pub use function::{ObjectStorage, build};
pub use meta::Meta;
pub use place::Settings;
pub use storage::Storage;
