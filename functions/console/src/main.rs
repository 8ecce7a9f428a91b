//! The console on Lambda.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::serve::http(|platform, environment| Ok(console::build(platform, front::Config::read(environment)?)))
}
