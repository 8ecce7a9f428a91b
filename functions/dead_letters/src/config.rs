//! What the function is configured with.

use runtime::{ConfigError, Environment};

/// Its configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `TABLE_NAME`.
    pub table_name: String,
}

impl Config {
    /// Reads the configuration, naming everything that is wrong with it.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let variables = environment.variables();
        let config = Self { table_name: variables.required("TABLE_NAME") };
        variables.finish(config)
    }
}
