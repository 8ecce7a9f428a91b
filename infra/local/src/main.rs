//! The binary `waybill`.

use std::error::Error;
use std::process::ExitCode;

use clap::Parser as _;
use local::args::{Args, Command};
use local::rotate_keys::{self, KeyLocation};
use runtime::{Environment, logs, observability, platform};

fn main() -> ExitCode {
    let args = Args::parse();
    let environment = Environment::process();
    if args.json_logs {
        logs::install_json(&environment);
    } else {
        logs::install_readable(&environment);
    }
    platform::install_tls();
    match start(args, &environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("waybill: {}", domain::chain(&*error));
            ExitCode::from(2)
        }
    }
}

fn start(args: Args, environment: &Environment) -> Result<(), Box<dyn Error>> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // An attempt is a deeply nested future, which needs more stack than the default of 2 MiB in
    // debug builds.
    runtime
        .thread_stack_size(8 << 20)
        .enable_all()
        .build()?
        .block_on(async {
            observability::install(environment, "waybill", true)?;
            match args.command.clone() {
                None => Ok(local::run::run(args).await?),
                Some(Command::OperatorKey {
                    table_name,
                    signing_keys_arn,
                }) => Ok(local::operator_key::make(table_name, &signing_keys_arn).await?),
                Some(Command::RotateKeys {
                    usage,
                    secret_arn,
                    data,
                    accept,
                }) => {
                    let secret = secret_arn.map(|arn| KeyLocation::Secret { arn, accept });
                    let location = data
                        .map(KeyLocation::Data)
                        .or(secret)
                        .ok_or("name --secret-arn or --data")?;
                    Ok(rotate_keys::rotate(usage, location).await?)
                }
            }
        })
}
