//! Tests how requests are sent and answers are handled.

use crate::{client, post, target, within};
use egress::{BODY_READ_BYTES_MAX, FailureKind, StepName};
use http::HeaderValue;
use kit::sink::{Reply, Sink};
use std::{process::Command, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::Instant,
};

const KEPT_BYTES: usize = 4 * 1024;

#[tokio::test]
async fn a_request_arrives_as_it_was_made() {
    let sink = Sink::start().await;
    sink.answers_with(201, &[("x-request-id", "r1")], "made");
    let mut request = post(&format!("{}a/b?c=d%20e", sink.url()));
    request
        .headers
        .insert("webhook-id", HeaderValue::from_static("dlv_1"));
    request.body = vec![b'x'; 8 << 20].into();
    let response = client().send(request).await.unwrap();
    assert_eq!(
        (response.status.as_u16(), response.peer),
        (201, Some(sink.address()))
    );
    assert_eq!(response.headers["x-request-id"], "r1");
    let body = response.read(KEPT_BYTES).await;
    assert_eq!((&*body.bytes, body.truncated), (&b"made"[..], false));

    let got = &sink.requests()[0];
    assert_eq!(
        (got.path.as_str(), got.query.as_deref(), got.body.len()),
        ("/a/b", Some("c=d%20e"), 8 << 20)
    );
    assert_eq!(
        got.header("host"),
        Some(sink.address().to_string().as_str())
    );
    assert_eq!(
        (got.header("webhook-id"), got.header("content-length")),
        (Some("dlv_1"), Some("8388608"))
    );
    assert_eq!(
        got.headers.len(),
        4,
        "the HTTP client adds `accept: */*`: {:?}",
        got.headers
    );
}

#[tokio::test]
async fn connections_are_kept() {
    let sink = Sink::start().await;
    let client = client();
    for _ in 0..3 {
        client
            .send(post(&sink.url()))
            .await
            .unwrap()
            .read(KEPT_BYTES)
            .await;
    }
    assert_eq!(
        sink.requests()
            .iter()
            .map(|request| request.connection)
            .collect::<Vec<_>>(),
        [1, 1, 1]
    );
}

/// The environment names a proxy that does not exist, so a client that used it would fail.
#[test]
fn proxies_of_the_environment_are_ignored() {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "answers::connections_are_kept"]);
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
    ] {
        again.env(name, "http://127.0.0.1:9");
    }
    let output = again
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{printed}"
    );
}

/// The target of a redirect is never contacted.
#[tokio::test]
async fn redirects_are_not_followed() {
    let (sink, elsewhere) = (Sink::start().await, Sink::start().await);
    sink.redirects_to(&elsewhere.url());
    let response = client().send(post(&sink.url())).await.unwrap();
    assert_eq!((response.status.as_u16(), elsewhere.count()), (302, 0));
}

/// Neither an endless nor a slow body takes more memory or time than the limits allow.
#[tokio::test]
async fn bodies_are_bounded() {
    let sink = Sink::start().await;
    sink.replies([
        Reply::endless(),
        Reply::drip(1_000, Duration::from_millis(10)),
        Reply::status(500).body(vec![b'x'; KEPT_BYTES]),
        Reply::status(200).body(vec![b'x'; KEPT_BYTES + 1]),
        Reply::status(200).body(vec![b'x'; BODY_READ_BYTES_MAX * 2]),
    ]);
    let client = client();
    let mut lengths = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        let mut request = post(&sink.url());
        request.deadline = within(300);
        let body = client.send(request).await.unwrap().read(KEPT_BYTES).await;
        assert!(
            started.elapsed() < Duration::from_millis(600),
            "took {:?}",
            started.elapsed()
        );
        lengths.push((body.bytes.len(), body.truncated));
    }
    assert!(
        lengths[1].0 > 5 && lengths[1].0 < 40 && lengths[1].1,
        "dripped {:?}",
        lengths[1]
    );
    lengths.remove(1);
    assert_eq!(
        lengths,
        [
            (KEPT_BYTES, true),
            (KEPT_BYTES, false),
            (KEPT_BYTES, true),
            (KEPT_BYTES, true)
        ]
    );
}

/// Bytes that arrive slowly after enough is kept do not delay the attempt until its deadline.
#[tokio::test]
async fn the_rest_of_a_body_does_not_delay_the_attempt() {
    let sink = Sink::start().await;
    sink.drips(1_000, Duration::from_millis(10));
    let started = Instant::now();
    let body = client()
        .send(post(&sink.url()))
        .await
        .unwrap()
        .read(3)
        .await;
    assert_eq!((body.bytes.len(), body.truncated), (3, true));
    assert!(
        started.elapsed() < Duration::from_millis(1_000),
        "took {:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn failures_have_a_category() {
    let sink = Sink::start().await;
    let (client, url) = (client(), sink.url());
    let fails = async |millis| {
        let mut request = post(&url);
        request.deadline = within(millis);
        let failure = client.send(request).await.unwrap_err();
        (failure.kind(), failure.to_string())
    };
    let closed = (
        FailureKind::Protocol,
        "the connection was closed without an answer".to_owned(),
    );
    sink.drops();
    assert_eq!(fails(2_000).await, closed);
    assert_eq!(sink.count(), 1, "an attempt is one request");

    sink.replies([Reply::status(200), Reply::drop()]);
    client
        .send(post(&url))
        .await
        .unwrap()
        .read(KEPT_BYTES)
        .await;
    assert_eq!(fails(2_000).await, closed, "on a connection that was kept");
    assert_eq!(
        sink.count(),
        4,
        "once on the kept connection and once on a new one"
    );

    sink.hangs();
    assert_eq!(
        fails(200).await,
        (FailureKind::Timeout, "no answer came in time".to_owned())
    );

    sink.refuses().await;
    assert_eq!(
        fails(2_000).await,
        (
            FailureKind::Connect,
            format!("{} refused the connection", sink.address())
        )
    );
}

/// Starts a server that reads a little and writes these bytes.
async fn raw_server(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 512]).await;
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
    });
    url
}

#[tokio::test]
async fn answers_that_are_not_http() {
    let big_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(1 << 20));
    for answer in [
        "",
        "HTTP/1.1 2",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 banana\r\n\r\n",
        "\0\0\0\0",
        &big_head,
    ] {
        let url = raw_server(answer.as_bytes().to_vec()).await;
        let failure = client().send(post(&url)).await.unwrap_err();
        assert_eq!(
            failure.kind(),
            FailureKind::Protocol,
            "{failure} after {:?}",
            &answer[..answer.len().min(40)]
        );
    }
    let url = raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec()).await;
    let body = client()
        .send(post(&url))
        .await
        .unwrap()
        .read(KEPT_BYTES)
        .await;
    assert_eq!(
        (&*body.bytes, body.truncated),
        (&b"half"[..], true),
        "the status line has decided"
    );
}

#[tokio::test]
async fn a_probe_reports_each_step() {
    let sink = Sink::start().await;
    let probe = client().probe(&target(&sink.url()), within(1_000)).await;
    let steps: Vec<_> = probe
        .steps
        .iter()
        .map(|step| (step.name, step.detail.clone()))
        .collect();
    let accepted = format!("{} accepted the connection", sink.address());
    let expected = [
        (StepName::Resolve, "127.0.0.1 is 127.0.0.1".to_owned()),
        (StepName::Connect, accepted),
    ];
    assert_eq!(steps, expected);
    assert!(probe.passed());
    assert_eq!(sink.count(), 0);
}
