//! The HTTP API on Lambda.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::serve::http(|platform, environment| {
        Ok(api::build(platform, api::Config::read(environment)?))
    })
}
