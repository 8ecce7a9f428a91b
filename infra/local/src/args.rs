//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use ipnet::IpNet;
use vault::KeyUse;

/// Delivers messages to webhooks, mailboxes, object stores, SFTP servers and databases, and records
/// every attempt: the whole service in one process, with its data in one directory. The console,
/// the API and its documentation (/docs) are at the address of --listen; keys are in
/// <data>/local.json.
#[derive(Debug, Clone, Parser)]
#[command(name = "waybill", version, args_conflicts_with_subcommands = true)]
pub struct Args {
    /// Run a command instead of Waybill
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The address of the API; port 0 takes a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// The directory of all data; created if it does not exist
    #[arg(long, value_name = "DIRECTORY", default_value = ".waybill")]
    pub data: PathBuf,

    /// How often due retries are sent, instead of the template's schedule
    #[arg(long, value_name = "SECONDS")]
    pub monitor_interval_seconds: Option<NonZeroU32>,

    /// A network that destinations may be in, in addition to public ones (repeatable); replaces the
    /// default, this machine's loopback
    #[arg(long, value_name = "CIDR")]
    pub allow_egress: Vec<IpNet>,

    /// A parameter of the template, as `sam deploy --parameter-overrides` takes it (repeatable)
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    pub parameters: Vec<(String, String)>,

    /// A template to run instead of the one compiled in
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,

    /// Open the console in a browser
    #[arg(long)]
    pub open: bool,

    /// Add a destination of every type, each with a built-in receiver, and send a message to each.
    /// The console shows the deliveries; what arrived is in <data>/mail, <data>/s3, <data>/google,
    /// <data>/azure and <data>/sftp
    #[arg(long)]
    pub demo: bool,

    /// Run each function in processes of its own under the Lambda Runtime API; their binaries must
    /// be in the directory of this one
    #[arg(long)]
    pub processes: bool,

    /// Fault injection, for tests: abort the process when a worker begins to deliver a message of
    /// this event type
    #[arg(long, value_name = "EVENT_TYPE", hide_short_help = true)]
    pub inject_crash: Option<String>,

    /// Append each function's AWS actions to a file: the function's name and the IAM action, once
    /// each
    #[arg(long, value_name = "FILE")]
    pub record_calls: Option<PathBuf>,

    /// Log in JSON
    #[arg(long)]
    pub json_logs: bool,
}

/// A command of the binary.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Create an operator's key for a deployed stack and print it once; needs AWS credentials that
    /// may write to its table
    OperatorKey {
        /// The stack's table (output TableName)
        #[arg(long, value_name = "NAME")]
        table_name: String,
        /// The stack's signing keys (output SigningKeysArn)
        #[arg(long, value_name = "ARN")]
        signing_keys_arn: String,
    },
    /// Add a new version to the signing keys of one use and print the time from which it signs
    RotateKeys {
        /// What the keys are for: ids, cursors, links or sessions
        #[arg(long = "use", value_name = "USE")]
        usage: KeyUse,
        /// Their secret in a deployed stack (outputs SigningKeysArn, CursorKeysArn, LinkKeysArn,
        /// SessionKeysArn); needs AWS credentials that may read and write it
        #[arg(long, value_name = "ARN", required_unless_present = "data")]
        secret_arn: Option<String>,
        /// The data directory of a waybill that is not running
        #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["secret_arn", "accept"])]
        data: Option<PathBuf>,
        /// Add no version; accept what was signed with the keys of another secret instead
        #[arg(long, value_name = "ARN")]
        accept: Option<String>,
    },
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("has no `=`")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
        let args = Args::parse_from([
            "waybill",
            "--allow-egress",
            "10.0.0.0/8",
            "--allow-egress",
            "::1/128",
            "--monitor-interval-seconds",
            "2",
        ]);
        assert_eq!(args.allow_egress.len(), 2);
        assert!(Args::try_parse_from(["waybill", "--parameter", "Name"]).is_err());
        assert!(Args::try_parse_from(["waybill", "--monitor-interval-seconds", "0"]).is_err());
        for wrong in [
            &["--use", "links"][..],
            &["--use", "mails", "--data", "d"],
            &["--use", "ids", "--data", "d", "--secret-arn", "a"],
        ] {
            assert!(
                Args::try_parse_from(["waybill", "rotate-keys"].iter().chain(wrong)).is_err(),
                "{wrong:?}"
            );
        }
    }
}
