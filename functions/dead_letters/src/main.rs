//! The dead-letter function on Lambda.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::serve::events(|platform, environment| {
        Ok(dead_letters::build(
            platform,
            dead_letters::Config::read(environment)?,
        ))
    })
}
