//! Measures throughput and memory: streams objects to an object store on the loopback, and lets
//! `aws s3 cp` do the same from a file.
//!
//! `cargo run --release --example storage_speed [MiB] [keep|discard|google|azure]`: the default is
//! 1024 MiB to a server that stores what it receives (s3s on a folder). The alternatives are an S3
//! server that discards it, Google's and Azure's (Azurite). Each client runs three times,
//! alternating. Prints MiB/s of each and this process's peak memory before and after. `AWS_CLI` is
//! the path of the AWS CLI; without it only Waybill is measured.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement, not a program: it has the machine's clock and arguments"
)]

mod discard;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use domain::settings::storage::{
    AzureBlobSettings, GcsSettings, IfExists, ObjectSettings, S3Settings,
};
use domain::settle::Outcome;
use domain::{Clock, Timestamp};
use egress::{Client, Guard, Policy, Schemes, Tls};
use futures_util::stream;
use kit::azurite::{ACCOUNT, ACCOUNT_KEY, Azurite};
use kit::file_s3::{ACCESS_KEY_ID, BUCKET, FileS3, SECRET_ACCESS_KEY};
use kit::gcs::{self, Gcs};
use rustls::RootCertStore;
use worker::Payload;
use worker_storage::{Credentials, Meta, Settings, Storage};

const ROUNDS: usize = 3;
const PIECE_BYTES: usize = 256 << 10;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("serve") => serve(&arguments.next().unwrap_or_default()).await,
        size => {
            let size_mib = size.map_or(1024, |size| size.parse().expect("a number of MiB"));
            measure(
                size_mib,
                &arguments.next().unwrap_or_else(|| "keep".to_owned()),
            )
            .await;
        }
    }
}

/// Runs the server. It is a separate process so that its memory and CPU time are not counted.
async fn serve(what: &str) {
    let until_told = async || {
        drop(tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await)
    };
    match what {
        "discard" => {
            println!("{}", discard::start().await);
            until_told().await;
        }
        "google" => {
            let server = Gcs::start().await;
            println!("{} {}", server.endpoint, server.service_account);
            until_told().await;
        }
        "azure" => {
            let server = Azurite::start();
            server.make_container(BUCKET).await;
            println!("{}", server.endpoint);
            until_told().await;
        }
        _ => {
            let server = FileS3::start().await;
            println!("{}", server.endpoint);
            until_told().await;
        }
    }
}

async fn measure(size_mib: usize, what: &str) {
    let (mut server, line) = start_server(what);
    let (endpoint, account) = line.split_once(' ').unwrap_or((&line, ""));
    let rival = std::env::var("AWS_CLI")
        .ok()
        .filter(|_| what == "keep" || what == "discard");
    let file = rival.as_ref().map(|_| source_file(size_mib));
    let storage = storage();
    let before = peak_rss_mib();
    for round in 0..ROUNDS {
        let target = Target::at(what, endpoint, account);
        let ours = deliver(&storage, &target, &format!("ours/{round}"), size_mib).await;
        println!(
            "waybill      {size_mib} MiB in {:.2} s: {:.0} MiB/s",
            ours.as_secs_f64(),
            size_mib as f64 / ours.as_secs_f64()
        );
        if let (Some(program), Some(file)) = (&rival, &file) {
            let theirs = copy(
                program,
                endpoint,
                file.path(),
                &format!("s3://{BUCKET}/theirs/{round}"),
            );
            println!(
                "aws s3 cp    {size_mib} MiB in {:.2} s: {:.0} MiB/s",
                theirs.as_secs_f64(),
                size_mib as f64 / theirs.as_secs_f64()
            );
        }
    }
    println!("peak memory  {} MiB ({before} MiB before)", peak_rss_mib());
    drop(server.stdin.take());
    drop(server.wait());
}

fn start_server(what: &str) -> (Child, String) {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["serve", what])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be started again");
    let mut endpoint = String::new();
    let mut output = std::io::BufReader::new(server.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut output, &mut endpoint).unwrap();
    (server, endpoint.trim().to_owned())
}

fn source_file(size_mib: usize) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mib = vec![b'w'; 1 << 20];
    for _ in 0..size_mib {
        file.write_all(&mib).unwrap();
    }
    file.flush().unwrap();
    file
}

fn storage() -> Storage {
    let guard = Guard::new(Policy::parse("127.0.0.0/8").unwrap());
    let client = Client::new(guard, Tls::with_roots(RootCertStore::empty()).unwrap());
    let clock = Clock::new(|| {
        Timestamp::from_millis(
            i64::try_from(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap()
                    .as_millis(),
            )
            .unwrap(),
        )
    });
    let no_credentials = aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .build();
    Storage::new(client, Schemes::HttpAndHttps, no_credentials, clock)
}

/// The destination of the objects, and its credentials.
enum Target {
    S3(S3Settings, Credentials),
    Google(GcsSettings, Credentials),
    Azure(AzureBlobSettings, Credentials),
}

impl Target {
    fn at(what: &str, endpoint: &str, account: &str) -> Self {
        let object = ObjectSettings {
            key_template: "-".to_owned(),
            if_exists: IfExists::Fail,
            storage_class: None,
            timeout_seconds: 600,
        };
        let (endpoint, tags) = (Some(endpoint.to_owned()), BTreeMap::new());
        match what {
            "google" => {
                let credentials = Credentials::ServiceAccount {
                    json: account.to_owned().into(),
                };
                Self::Google(
                    GcsSettings {
                        bucket: gcs::BUCKET.to_owned(),
                        endpoint,
                        object,
                    },
                    credentials,
                )
            }
            "azure" => {
                let credentials = Credentials::AccountKey {
                    account_key: ACCOUNT_KEY.to_owned().into(),
                };
                Self::Azure(
                    AzureBlobSettings {
                        account: ACCOUNT.to_owned(),
                        container: BUCKET.to_owned(),
                        endpoint,
                        tags,
                        object,
                    },
                    credentials,
                )
            }
            _ => {
                let settings = S3Settings {
                    bucket: BUCKET.to_owned(),
                    region: Some("us-east-1".to_owned()),
                    endpoint,
                    server_side_encryption: None,
                    kms_key_id: None,
                    tags,
                    object,
                };
                let credentials = Credentials::AccessKey {
                    access_key_id: ACCESS_KEY_ID.to_owned(),
                    secret_access_key: SECRET_ACCESS_KEY.to_owned().into(),
                    session_token: None,
                };
                Self::S3(settings, credentials)
            }
        }
    }

    fn parts(&self) -> (Settings<'_>, &Credentials) {
        match self {
            Self::S3(settings, credentials) => (Settings::S3(settings), credentials),
            Self::Google(settings, credentials) => (Settings::Gcs(settings), credentials),
            Self::Azure(settings, credentials) => (Settings::AzureBlob(settings), credentials),
        }
    }
}

async fn deliver(storage: &Storage, target: &Target, key: &str, size_mib: usize) -> Duration {
    let (settings, credentials) = target.parts();
    let meta = Meta {
        organization_id: "org_1".to_owned(),
        delivery_id: key.to_owned(),
        message_id: "msg_1".to_owned(),
        event_type: "report.ready".to_owned(),
        content_type: "application/octet-stream".to_owned(),
        sha256: None,
        fallback_of: None,
    };
    let size_bytes = (size_mib << 20) as u64;
    // Every piece is an allocation of its own, as when a payload is streamed from storage.
    let pieces = stream::iter(
        (0..(size_mib << 20) / PIECE_BYTES).map(|_| Ok(Bytes::from(vec![b'w'; PIECE_BYTES]))),
    );
    let started = Instant::now();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(600);
    let done = storage
        .deliver(
            settings,
            credentials,
            &meta,
            key,
            Payload::streamed(size_bytes, pieces),
            deadline,
        )
        .await
        .expect("the payload is made here");
    assert!(
        matches!(done.outcome, Outcome::Delivered(_)),
        "{:?} {}",
        done.outcome,
        done.detail
    );
    started.elapsed()
}

fn copy(program: &str, endpoint: &str, file: &std::path::Path, to: &str) -> Duration {
    let started = Instant::now();
    let status = Command::new(program)
        .args(["s3", "cp", "--only-show-errors", "--endpoint-url", endpoint])
        .arg(file)
        .arg(to)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .status()
        .expect("AWS_CLI names a program");
    assert!(status.success(), "aws s3 cp failed");
    started.elapsed()
}

fn peak_rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap_or("0");
    line.split_whitespace()
        .next()
        .and_then(|kib| kib.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}
