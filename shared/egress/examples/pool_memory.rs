//! Measures how much memory kept connections take: 1,000 destinations on 1,000 hosts, each with a
//! kept connection, over HTTP and over TLS. The receiver is a separate process.
//!
//! `cargo run --release -p egress --example pool_memory [hosts]`. Fails if it takes more than 64
//! MiB.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement, not a program: it has the machine's clock and arguments"
)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use egress::{Client, Guard, Policy, Request, Resolve, Schemes, Target, Tls};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Method};
use kit::{sink::Sink, tls::Authority};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio::time::Instant;

const MEMORY_MAX_KIB: u64 = 64 << 10;
/// The number of concurrent requests. Idle connections are closed after four seconds; all are
/// opened before.
const AT_ONCE: usize = 64;

/// Resolves every name to this machine.
struct LoopbackResolver;

impl Resolve for LoopbackResolver {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>> {
        Box::pin(async { Ok(vec![Ipv4Addr::LOCALHOST.into()]) })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let hosts = match arguments.next().as_deref() {
        Some("serve") => {
            serve(arguments.next().is_some()).await;
            return ExitCode::SUCCESS;
        }
        hosts => hosts.map_or(1_000, |hosts| hosts.parse().expect("a number of hosts")),
    };
    let (http, https) = (measure(hosts, false).await, measure(hosts, true).await);
    if http.max(https) < MEMORY_MAX_KIB {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Returns the growth of the resident memory in KiB.
async fn measure(hosts: usize, is_tls: bool) -> u64 {
    let mut receiver = start_receiver(is_tls);
    let mut output = BufReader::new(receiver.stdout.take().unwrap());
    let port = line(&mut output);
    let mut roots = RootCertStore::empty();
    if is_tls {
        let mut pem = String::new();
        while !pem.contains("END CERTIFICATE") {
            pem += &line(&mut output);
            pem.push('\n');
        }
        roots
            .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
            .unwrap();
    }
    let guard = Guard::with_resolver(Policy::parse("127.0.0.1").unwrap(), LoopbackResolver);
    let client = Client::new(guard, Tls::with_roots(roots).unwrap());
    let scheme = if is_tls { "https" } else { "http" };
    send(&client, &format!("{scheme}://first.example.com:{port}/")).await;
    let before = memory_kib();
    let started = Instant::now();
    let requests = stream::iter(0..hosts)
        .map(async |host| send(&client, &format!("{scheme}://h{host}.example.com:{port}/")).await);
    requests
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
    let grown = memory_kib().saturating_sub(before);
    println!(
        "{scheme}: {hosts} kept connections to {hosts} hosts: {} KiB, opened in {:.1?}",
        grown,
        started.elapsed()
    );
    receiver.kill().expect("the receiver can be ended");
    receiver.wait().expect("the receiver ends");
    grown
}

async fn send(client: &Client, url: &str) {
    let target = Target::parse(url, Schemes::HttpAndHttps).unwrap();
    let deadline = Instant::now() + Duration::from_secs(15);
    let request = Request {
        method: Method::POST,
        target,
        headers: HeaderMap::new(),
        body: "{}".into(),
        deadline,
    };
    let response = client.send(request).await.unwrap();
    assert_eq!(response.status, 200);
    response.read(1_024).await;
}

async fn serve(is_tls: bool) {
    let authority = Authority::new();
    let sink = if is_tls {
        Sink::start_tls(authority.server(&["*.example.com"], &[])).await
    } else {
        Sink::start().await
    };
    println!("{}", sink.address().port());
    print!("{}", authority.certificate_pem());
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    drop(ended.await);
}

fn start_receiver(is_tls: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .arg("serve")
        .args(is_tls.then_some("tls"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command.spawn().unwrap()
}

fn line(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim().to_owned()
}

/// Returns the resident memory of this process (proc(5)).
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim_start()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}
