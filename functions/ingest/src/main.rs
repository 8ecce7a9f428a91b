//! The ingest function on Lambda.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::serve::events(|platform, environment| {
        ingest::build(platform, ingest::Config::read(environment)?)
    })
}
