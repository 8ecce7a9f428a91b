//! Measures each connector against a real server and its usual tool. The measurements are programs
//! of the connectors; each runs in a process of its own, so that the memory that it reports is only
//! its own.
//!
//! ```sh
//! cargo build --release --workspace --examples
//! AWS_CLI=aws cargo run --release --workspace --example load -- --speeds
//! ```
//!
//! `AWS_CLI` names the program that S3 is compared with; without it only Waybill's speed is shown.

use std::path::Path;
use std::process::{Command, ExitCode};

/// The measuring program of a connector.
struct Measurement {
    /// What the program measures, with its targets.
    about: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
}

const MEASUREMENTS: [Measurement; 7] = [
    Measurement {
        about: "mails over one SMTP connection: at least 500 a second",
        program: "mail_speed",
        arguments: &[],
    },
    Measurement {
        about: "webhooks: at least 5,000 a second of the sender's CPU",
        program: "webhook_speed",
        arguments: &[],
    },
    Measurement {
        about: "1 GiB by SFTP, then with 50 ms of delay: at least OpenSSH's sftp; below 128 MiB \
             of memory",
        program: "speed",
        arguments: &["1024", "128"],
    },
    Measurement {
        about: "1 GiB to S3: at least aws s3 cp to the same server; below 128 MiB of memory",
        program: "storage_speed",
        arguments: &["1024", "keep"],
    },
    Measurement {
        about: "1 GiB to Google Cloud Storage: below 128 MiB of memory",
        program: "storage_speed",
        arguments: &["1024", "google"],
    },
    Measurement {
        about: "1 GiB to Azure Blob Storage: below 128 MiB of memory",
        program: "storage_speed",
        arguments: &["1024", "azure"],
    },
    Measurement {
        about: "1 GiB of rows into PostgreSQL and MariaDB: at least 100,000 a second and half \
             of \\copy; below 128 MiB of memory",
        program: "throughput",
        arguments: &["1024"],
    },
];

/// Runs all measurements and prints which failed.
pub(crate) fn measure() -> ExitCode {
    let folder = std::env::current_exe()
        .ok()
        .and_then(|program| program.parent().map(Path::to_owned))
        .unwrap_or_default();
    let missed: Vec<&str> = MEASUREMENTS
        .iter()
        .filter(|measurement| !measurement.run(&folder))
        .map(|missed| missed.program)
        .collect();
    if missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "not measured: {}; cargo build --release --workspace --examples makes the programs",
        missed.join(", ")
    );
    ExitCode::FAILURE
}

impl Measurement {
    /// Runs the measurement. Returns whether it completed.
    fn run(&self, folder: &Path) -> bool {
        println!("\n{}", self.about);
        match Command::new(folder.join(self.program))
            .args(self.arguments)
            .status()
        {
            Ok(status) => status.success(),
            Err(error) => {
                eprintln!("{}: {error}", self.program);
                false
            }
        }
    }
}
