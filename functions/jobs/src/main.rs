//! The jobs on Lambda.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::serve::events(|platform, environment| {
        Ok(jobs::build(platform, jobs::Config::read(environment)?))
    })
}
