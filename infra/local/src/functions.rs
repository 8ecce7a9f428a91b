//! Which of our crates each function of the template runs.

use axum::Router;
use runtime::{ConfigError, Environment, Platform};

use crate::function::Handler;

/// A function that was built.
pub enum Built {
    /// It takes events.
    Events(Handler),
    /// It answers HTTP requests.
    Http(Router),
}

/// Why a function could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The template names a binary that is not in this one.
    #[error("there is no function {0} in this binary")]
    Unknown(String),
    /// The template's environment does not fit.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Builds the function that a template calls `binary`.
pub fn build(binary: &str, _platform: &Platform, _environment: &Environment) -> Result<Built, BuildError> {
    Err(BuildError::Unknown(binary.to_owned()))
}
