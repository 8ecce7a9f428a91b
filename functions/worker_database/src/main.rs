//! The database worker as a Lambda function.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::serve::events(|platform, environment| {
        worker_database::build(platform, worker::Config::read(environment)?)
    })
}
