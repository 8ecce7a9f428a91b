//! The console function on Lambda.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::serve::http(|platform, environment| {
        Ok(console::build(
            platform,
            console::Config::read(environment)?,
        ))
    })
}
