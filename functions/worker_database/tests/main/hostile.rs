//! Servers that mean harm: what they send beyond what they were asked for costs neither memory nor time.

use std::sync::Arc;
use std::time::Duration;

use domain::Reason;
use domain::settle::Outcome;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::bench::{AUTHORITY, Bench, NAME, facts};

/// More than any login needs; what a hostile server sends stops counting there.
const SENT_MAX: usize = 512 << 20;
const PIECE: usize = 64 << 10;
/// What a delivery may take from it.
const TAKEN_MAX: usize = 80 << 20;

fn acceptor() -> TlsAcceptor {
    let (certificate, key) = AUTHORITY.certificate(&[NAME]);
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Sends this head and then bytes without end; returns how many were taken.
async fn flood(tcp: TcpStream, head: Vec<u8>) -> usize {
    let mut tls = acceptor().accept(tcp).await.unwrap();
    if tls.write_all(&head).await.is_err() {
        return 0;
    }
    let piece = vec![b'x'; PIECE];
    let mut sent = 0;
    while sent < SENT_MAX && tls.write_all(&piece).await.is_ok() {
        sent += piece.len();
    }
    sent
}

async fn postgres_server(head: Vec<u8>) -> (u16, tokio::task::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut asked = [0; 8];
        tcp.read_exact(&mut asked).await.unwrap();
        tcp.write_all(b"S").await.unwrap();
        flood(tcp, head).await
    });
    (port, task)
}

/// A message of PostgreSQL's of this type that says it has this length.
fn message(kind: u8, length: u32) -> Vec<u8> {
    [&[kind][..], &length.to_be_bytes()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_sends_without_end_is_given_up() {
    let bench = Bench::postgres();
    // One message of a gigabyte; parameters without end; notices without end.
    for head in [message(b'N', 1 << 30), message(b'S', 1 << 30), message(b'R', 1 << 30)] {
        let (port, task) = postgres_server(head).await;
        let settings = bench.settings(json!({"port": port, "timeout_seconds": 20}));
        let started = Instant::now();
        let attempted = bench.deliver(&settings, &facts(1, "application/json"), "1").await;
        assert!(matches!(attempted.outcome, Outcome::Retry(Reason::Protocol)), "{}", attempted.detail);
        assert!(started.elapsed() < Duration::from_secs(15));
        assert!(task.await.unwrap() < TAKEN_MAX);
    }
}
