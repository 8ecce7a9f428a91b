//! The monitor function on Lambda.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::serve::events(|platform, environment| {
        Ok(monitor::build(
            platform,
            monitor::Config::read(environment)?,
        ))
    })
}
