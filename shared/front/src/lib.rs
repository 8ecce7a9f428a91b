//! What the api and the console have in common: they are **configured** alike, carry out the same **operations**, and know the same
//! **facts** of a request before anybody has looked at who sent it.

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
