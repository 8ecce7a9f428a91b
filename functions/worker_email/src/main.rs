//! The e-mail worker as a Lambda function.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::serve::events(|platform, environment| {
        worker_email::build(platform, worker_email::Config::read(environment)?)
    })
}
