//! The SFTP worker: writes files to servers (`docs/destinations/sftp.md`).
//!
//! The parts, in the order of an attempt:
//!
//! - A [location] is where the file goes: directory and name are **rendered** from the
//!   destination's templates, and the temporary name is in the same directory.
//! - [`ssh`] **connects** through `egress`, accepts only a pinned host key, and only then
//!   **authenticates** with the [`Credentials`].
//! - A [remote] is the server's file system. It **uploads** with many writes under way,
//!   **verifies** the size, and **renames** the file. An incomplete file always has the temporary
//!   name, which belongs to the delivery: its next attempt writes the same bytes to the same
//!   offsets.
//! - [`deliver`] runs these in order. [`check`] runs the same steps with a file of its own.
//!   [`host_keys`] returns the keys that a server presents.
//! - The [verdict] turns an error of SSH or SFTP into a [`ConnectorError`](worker::ConnectorError).

mod check;
mod credentials;
mod deliver;
mod function;
mod host_keys;
mod location;
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
