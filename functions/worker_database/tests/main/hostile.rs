//! Tests hostile servers: data beyond what was requested costs neither memory nor time.

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

/// How many bytes a hostile server sends at most, which is more than any login needs.
const SENT_MAX: usize = 512 << 20;
const PIECE: usize = 64 << 10;
/// The most bytes that a delivery may read from it.
const TAKEN_MAX: usize = 80 << 20;

fn acceptor() -> TlsAcceptor {
    let (certificate, key) = AUTHORITY.certificate(&[NAME]);
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Sends this head and then an endless stream. Returns how many bytes were accepted.
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

/// Returns a PostgreSQL message of this type that claims this length.
fn message(kind: u8, length: u32) -> Vec<u8> {
    [&[kind][..], &length.to_be_bytes()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_sends_endlessly_is_disconnected() {
    let bench = Bench::postgres();
    // A notice, a parameter and an authentication message that each claim a length of one gigabyte.
    for head in [
        message(b'N', 1 << 30),
        message(b'S', 1 << 30),
        message(b'R', 1 << 30),
    ] {
        let (port, task) = postgres_server(head).await;
        let settings = bench.settings(json!({"port": port, "timeout_seconds": 20}));
        let started = Instant::now();
        let attempted = bench
            .deliver(&settings, &facts(1, "application/json"), "1")
            .await;
        assert!(
            matches!(attempted.outcome, Outcome::Retry(Reason::Protocol)),
            "{}",
            attempted.detail
        );
        assert!(started.elapsed() < Duration::from_secs(15));
        assert!(task.await.unwrap() < TAKEN_MAX);
    }
}

/// Returns a MySQL packet.
fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    [&length[..3], &[sequence], body].concat()
}

/// Returns a server's greeting: version 8, TLS, and the oldest authentication method.
fn greeting() -> Vec<u8> {
    let capabilities: u32 = 0x0108_aa09;
    let [low, high] = [capabilities & 0xffff, capabilities >> 16]
        .map(|half| u16::try_from(half).unwrap().to_le_bytes());
    let parts: [&[u8]; 12] = [
        b"\x0a8.0.36\0",
        &[1, 0, 0, 0],
        b"abcdefgh",
        &[0],
        &low,
        &[45],
        &[2, 0],
        &high,
        &[21],
        &[0; 10],
        b"abcdefghijkl\0",
        b"mysql_native_password\0",
    ];
    packet(0, &parts.concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mysql_that_answers_with_endless_columns_is_disconnected() {
    let bench = Bench::mysql();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(&greeting()).await.unwrap();
        let mut request = [0; 36];
        tcp.read_exact(&mut request).await.unwrap();
        let mut tls = acceptor().accept(tcp).await.unwrap();
        let mut asked = vec![0; 4096];
        assert!(tls.read(&mut asked).await.unwrap() > 0);
        tls.write_all(&packet(3, &[0, 0, 0, 2, 0, 0, 0]))
            .await
            .unwrap();
        assert!(tls.read(&mut asked).await.unwrap() > 0);
        // Sixteen million columns, each with a name of a kilobyte.
        tls.write_all(&packet(1, &[0xfd, 0xff, 0xff, 0xff]))
            .await
            .unwrap();
        let name = [&[0xfc, 0, 4][..], &[b'x'; 1024]].concat();
        let column = [
            b"\x03def\0\0\0",
            &name[..],
            b"\0\x0c\x2d\0\0\0\0\0\xfd\0\0\0\0\0",
        ]
        .concat();
        let mut sent = 0;
        for sequence in (0..=u8::MAX).cycle().skip(2) {
            let column = packet(sequence, &column);
            if sent > SENT_MAX || tls.write_all(&column).await.is_err() {
                break;
            }
            sent += column.len();
        }
        sent
    });
    let settings = bench.settings(json!({"port": port, "timeout_seconds": 20}));
    let started = Instant::now();
    let attempted = bench
        .deliver(&settings, &facts(1, "application/json"), "1")
        .await;
    assert!(
        matches!(attempted.outcome, Outcome::Retry(Reason::Protocol)),
        "{}",
        attempted.detail
    );
    assert!(started.elapsed() < Duration::from_secs(15));
    let sent = task.await.unwrap();
    assert!((64 << 10..TAKEN_MAX).contains(&sent), "{sent}");
}
