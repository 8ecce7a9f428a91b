//! The SFTP worker: puts files on servers (destinations.md, sftp).
//!
//! The cast and their verbs, in the order of an attempt:
//!
//! - A [place] is where the file goes: directory and name **rendered** from the destination's templates, and the temporary name beside it.
//! - [`ssh`] **connects** through `egress`, lets nothing pass but the pinned host key, and only then **authenticates** with the
//!   [`Credentials`].
//! - A [remote] is the server's file system: it **uploads** with many writes under way, **verifies**, and **renames**. A half-written file has
//!   the temporary name, always, and the temporary name belongs to the delivery: its next attempt writes the same bytes to the same places.
//! - [`deliver`] puts these in order. [`check`] walks the same way with a file of its own, step by step. [`host_keys`] shows what a server presents.
//! - The [verdict] on an error of SSH or SFTP is a [`ConnectorError`](worker::ConnectorError).

mod check;
mod credentials;
mod deliver;
mod function;
mod host_keys;
mod place;
mod remote;
mod ssh;
mod stretching;
mod tolerant;
mod verdict;

pub use check::check;
pub use credentials::Credentials;
pub use deliver::{Meta, deliver};
pub use function::{Sftp, build};
pub use host_keys::host_keys;
