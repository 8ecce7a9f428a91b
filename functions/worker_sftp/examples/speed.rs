//! Measures how fast files are delivered, compared with OpenSSH's own `sftp` on the same server, on
//! the loopback and over a line with 50 ms of delay; and how much memory a large file takes.
//!
//!     cargo run --release -p worker_sftp --example speed -- [MEBIBYTES on the loopback: 1024]
//!     [over the long line: 128]

#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made ends")]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use domain::Timestamp;
use domain::settings::sftp::{HostKey, HostKeys, IfExists, SftpSettings};
use domain::settle::Outcome;
use egress::{Guard, Policy};
use futures_util::stream;
use kit::line::{Line, LineBehaviour};
use kit::sshd::{self, Sshd};
use secrecy::SecretString;
use tokio::process::Command;
use tokio::time::Instant;
use worker::Payload;
use worker_sftp::{Credentials, Meta};

const MEBIBYTE: usize = 1 << 20;
/// The one-way delay: half of a round trip of 50 ms.
const ONE_WAY: Duration = Duration::from_millis(25);
/// How many times each measurement is repeated, alternating between the clients. The best result
/// counts.
const TURNS: usize = 3;

#[tokio::main]
async fn main() {
    let mut sizes = std::env::args()
        .skip(1)
        .map(|word| word.parse::<usize>().expect("a number of mebibytes"));
    let near = sizes.next().unwrap_or(1024);
    let far = sizes.next().unwrap_or(128);
    let sshd = Sshd::start().await;
    let key = sshd.authorize_key("ed25519", "");

    let before = peak_rss_mebibytes();
    let ours = deliver(&sshd, sshd.port, &key, near).await;
    println!(
        "memory     {near} MiB streamed: {:.1} MiB/s, peak RSS {} MiB ({before} MiB before)",
        rate(near, ours),
        peak_rss_mebibytes()
    );
    compare("loopback", &sshd, sshd.port, &key, near).await;
    let line = Line::to(sshd.port, LineBehaviour::Delayed(ONE_WAY)).await;
    compare("50 ms", &sshd, line.port, &key, far).await;
}

async fn compare(name: &str, sshd: &Sshd, port: u16, key: &str, mebibytes: usize) {
    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    for _ in 0..TURNS {
        ours = ours.min(deliver(sshd, port, key, mebibytes).await);
        theirs = theirs.min(openssh(sshd, port, key, mebibytes).await);
    }
    let (ours, theirs) = (rate(mebibytes, ours), rate(mebibytes, theirs));
    println!(
        "{name:10} {mebibytes} MiB, connecting included: waybill {ours:.1} MiB/s, sftp \
         {theirs:.1} MiB/s, {:.2} times",
        ours / theirs
    );
}

async fn deliver(sshd: &Sshd, port: u16, key: &str, mebibytes: usize) -> Duration {
    let settings = SftpSettings {
        host: "127.0.0.1".to_owned(),
        port,
        username: sshd::USERNAME.to_owned(),
        host_keys: HostKeys::one(HostKey::parse(&sshd.host_key("ed25519")).unwrap()),
        directory_template: ".".to_owned(),
        filename_template: "waybill.bin".to_owned(),
        if_exists: IfExists::Replace,
        timeout_seconds: 600,
    };
    let credentials = Credentials::PrivateKey {
        private_key: SecretString::from(key),
        passphrase: None,
    };
    let meta = Meta {
        organization_id: "org_1",
        message_id: "msg_1",
        delivery_id: "dlv_1_00",
        event_type: "report.ready",
        reference: None,
        metadata: &BTreeMap::new(),
        created_at: Timestamp::from_millis(0),
        content_type: "application/octet-stream",
        filename: None,
        sha256: None,
        attempt: 1,
        fallback_of: None,
    };
    let piece = Bytes::from(vec![0x5a; MEBIBYTE]);
    let pieces = stream::iter(std::iter::repeat_n(piece, mebibytes).map(Ok));
    let payload = Payload::streamed((mebibytes * MEBIBYTE) as u64, pieces);
    let guard = Guard::new("127.0.0.0/8".parse::<Policy>().unwrap());
    let began = Instant::now();
    let attempted = worker_sftp::deliver(
        &guard,
        &settings,
        &credentials,
        &meta,
        payload,
        began + Duration::from_secs(600),
    )
    .await;
    let took = began.elapsed();
    let attempted = attempted.expect("Waybill itself does not fail");
    assert!(
        matches!(attempted.outcome, Outcome::Delivered(_)),
        "{}",
        attempted.detail
    );
    assert_eq!(
        fs::metadata(sshd.home().join("waybill.bin")).unwrap().len(),
        (mebibytes * MEBIBYTE) as u64
    );
    took
}

/// Runs OpenSSH's client with its defaults and the same guarantee: `put -f` waits until the file is
/// on disk.
async fn openssh(sshd: &Sshd, port: u16, key: &str, mebibytes: usize) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let key_path = folder.path().join("key");
    fs::write(&key_path, key).unwrap();
    fs::set_permissions(&key_path, Permissions::from_mode(0o600)).unwrap();
    let known_hosts = folder.path().join("known_hosts");
    fs::write(
        &known_hosts,
        format!("[127.0.0.1]:{port} {}\n", sshd.host_key("ed25519")),
    )
    .unwrap();
    let source = folder.path().join("source");
    fs::write(&source, vec![0x5a; mebibytes * MEBIBYTE]).unwrap();
    let batch = folder.path().join("batch");
    fs::write(&batch, format!("put -f {} openssh.bin\n", source.display())).unwrap();
    let began = Instant::now();
    run_sftp(&batch, &key_path, &known_hosts, port).await;
    let took = began.elapsed();
    assert_eq!(
        fs::metadata(sshd.home().join("openssh.bin")).unwrap().len(),
        (mebibytes * MEBIBYTE) as u64
    );
    took
}

async fn run_sftp(batch: &Path, key: &Path, known_hosts: &Path, port: u16) {
    let status = Command::new("sftp")
        .args(["-q", "-F", "none", "-o", "IdentitiesOnly=yes", "-o"])
        .arg(format!("UserKnownHostsFile={}", known_hosts.display()))
        .arg("-i")
        .arg(key)
        .arg("-P")
        .arg(port.to_string())
        .arg("-b")
        .arg(batch)
        .arg(format!("{}@127.0.0.1", sshd::USERNAME))
        .stdout(Stdio::null())
        .status()
        .await
        .expect("sftp is installed: run ./test once");
    assert!(status.success(), "sftp failed");
}

fn rate(mebibytes: usize, took: Duration) -> f64 {
    mebibytes as f64 / took.as_secs_f64()
}

/// Returns the peak resident memory, which Linux reports as `VmHWM`.
fn peak_rss_mebibytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_ascii_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}
