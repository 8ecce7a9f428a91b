//! What the API and the console share: their configuration, the operations that they execute, and
//! what they know about a request before it is authenticated.

mod config;
mod download;
mod envelope;
mod facts;
mod state;

pub use config::Config;
pub use download::download;
pub use envelope::{Refused, envelope};
pub use facts::{PORTAL_PATH, RequestFacts};
pub use state::{Front, operations};
