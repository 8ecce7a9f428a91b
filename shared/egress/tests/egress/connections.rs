//! Tests connections that receivers close, reset, refuse or forget.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crate::{Script, client, client_of, guard, post, target, within};
use bytes::Bytes;
use egress::{Client, Failure, FailureKind, Guard, Outgoing, Policy, on_behalf_of};
use futures_util::{future::join_all, stream};
use http::{HeaderMap, Method};
use kit::{
    raw::{Receiver, Turn},
    sink::Sink,
    tls::Authority,
};
use rustls::RootCertStore;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::{Instant, timeout},
};

async fn send(client: &Client, url: &str, millis: u64) -> Result<u16, Failure> {
    let mut request = post(url);
    request.deadline = within(millis);
    let response = client.send(request).await?;
    let status = response.status.as_u16();
    response.read(100).await;
    Ok(status)
}

/// Starts a receiver that answers the first request of its first connection, takes this turn with
/// the second, and answers all others.
async fn spoils_the_first(turn: Turn) -> Receiver {
    Receiver::start(move |connection, request| {
        if (connection, request) == (1, 2) {
            turn.clone()
        } else {
            Turn::ok()
        }
    })
    .await
}

async fn http_2_spoils_the_first(authority: &Authority, turn: Turn) -> Receiver {
    let script = move |connection, request| {
        if (connection, request) == (1, 2) {
            turn.clone()
        } else {
            Turn::ok_http_2()
        }
    };
    Receiver::start_http_2(authority.server(&["127.0.0.1"], &["h2"]), script).await
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_costs_no_attempt() {
    for turn in [Turn::Close, Turn::Reset] {
        let (client, receiver) = (client(), spoils_the_first(turn.clone()).await);
        for expected in [(1, 1), (2, 3), (2, 4)] {
            assert_eq!(
                send(&client, &receiver.url(), 2_000).await.unwrap(),
                200,
                "{turn:?}"
            );
            assert_eq!(
                (receiver.connections(), receiver.requests()),
                expected,
                "{turn:?}"
            );
        }
    }
}

#[tokio::test]
async fn http_2_says_what_was_not_processed() {
    let authority = Authority::new();
    for turn in [Turn::Refuse, Turn::GoAway, Turn::Close, Turn::Reset] {
        let client = client_of(guard(), authority.roots());
        let receiver = http_2_spoils_the_first(&authority, turn.clone()).await;
        for requests in [1, 3, 4] {
            assert_eq!(
                send(&client, &receiver.url(), 2_000).await.unwrap(),
                200,
                "{turn:?}"
            );
            assert_eq!(receiver.requests(), requests, "{turn:?}");
        }
    }
}

/// Concurrent requests share the first connection that is opened, regardless of which of them
/// opened it.
#[tokio::test]
async fn a_shared_connection_of_http_2_that_is_closed_costs_none_of_its_requests() {
    let authority = Authority::new();
    for turn in [Turn::Close, Turn::Reset, Turn::GoAway, Turn::Refuse] {
        let (first, expected) = (AtomicBool::new(true), turn.clone());
        let script = move |_, _| {
            if first.swap(false, Ordering::SeqCst) {
                turn.clone()
            } else {
                Turn::ok_http_2()
            }
        };
        let receiver =
            Receiver::start_http_2(authority.server(&["127.0.0.1"], &["h2"]), script).await;
        let client = client_of(guard(), authority.roots());
        let url = receiver.url();
        let statuses = join_all((0..10).map(|_| send(&client, &url, 5_000))).await;
        for status in statuses {
            assert_eq!(status.unwrap(), 200, "{expected:?}");
        }
    }
}

#[tokio::test]
async fn a_new_connection_of_http_2_that_is_closed_is_a_failure_at_once() {
    let authority = Authority::new();
    let receiver = Receiver::start_http_2(authority.server(&["127.0.0.1"], &["h2"]), |_, _| {
        Turn::Close
    })
    .await;
    let client = client_of(guard(), authority.roots());
    for requests in [1, 2] {
        assert_eq!(
            send(&client, &receiver.url(), 2_000)
                .await
                .unwrap_err()
                .kind(),
            FailureKind::Protocol
        );
        assert_eq!(receiver.requests(), requests);
    }
}

const TIMED_OUT: &str =
    "HTTP/1.1 408 Request Time-out\r\nconnection: close\r\ncontent-length: 4\r\n\r\nidle";

#[tokio::test]
async fn a_kept_connection_that_timed_out_costs_no_attempt() {
    let receiver = spoils_the_first(Turn::AnswerAndClose(TIMED_OUT.into())).await;
    let client = client();
    for expected in [(1, 1), (2, 3), (2, 4)] {
        assert_eq!(send(&client, &receiver.url(), 2_000).await.unwrap(), 200);
        assert_eq!((receiver.connections(), receiver.requests()), expected);
    }
}

/// On a new connection, or on one that stays open, 408 is the answer to the request.
#[tokio::test]
async fn a_request_that_timed_out_is_answered_408() {
    let receiver = Receiver::start(|_, _| Turn::AnswerAndClose(TIMED_OUT.into())).await;
    assert_eq!(send(&client(), &receiver.url(), 2_000).await.unwrap(), 408);
    assert_eq!(receiver.requests(), 1);

    let receiver = spoils_the_first(Turn::text(
        "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n",
    ))
    .await;
    let client = client();
    assert_eq!(send(&client, &receiver.url(), 2_000).await.unwrap(), 200);
    assert_eq!(send(&client, &receiver.url(), 2_000).await.unwrap(), 408);
    assert_eq!((receiver.connections(), receiver.requests()), (1, 2));
}

/// A connection that was never used before shows how the receiver treats every request.
#[tokio::test]
async fn a_new_connection_that_is_closed_is_a_failure_at_once() {
    for turn in [Turn::Close, Turn::Reset] {
        let expected = turn.clone();
        let receiver = Receiver::start(move |_, _| turn.clone()).await;
        assert_eq!(
            send(&client(), &receiver.url(), 2_000)
                .await
                .unwrap_err()
                .kind(),
            FailureKind::Protocol
        );
        assert_eq!(
            (receiver.connections(), receiver.requests()),
            (1, 1),
            "{expected:?}"
        );
    }
}

#[tokio::test]
async fn a_request_is_sent_once_more_and_not_twice() {
    let receiver = Receiver::start(|connection, request| {
        if (connection, request) == (1, 1) {
            Turn::ok()
        } else {
            Turn::Close
        }
    })
    .await;
    let client = client();
    assert_eq!(send(&client, &receiver.url(), 2_000).await.unwrap(), 200);
    assert_eq!(
        send(&client, &receiver.url(), 2_000)
            .await
            .unwrap_err()
            .kind(),
        FailureKind::Protocol
    );
    assert_eq!((receiver.connections(), receiver.requests()), (2, 3));
}

/// A receiver that handles one request at a time, or reads slowly, answers no HTTP/2 pings meanwhile.
#[tokio::test]
async fn a_slow_receiver_gets_a_request_once_and_has_the_whole_time() {
    let authority = Authority::new();
    let busy = Turn::ok_http_2_after(Duration::from_secs(8));
    let receiver = http_2_spoils_the_first(&authority, busy).await;
    let client = client_of(guard(), authority.roots());
    assert_eq!(send(&client, &receiver.url(), 2_000).await.unwrap(), 200);
    assert_eq!(send(&client, &receiver.url(), 15_000).await.unwrap(), 200);
    assert_eq!((receiver.connections(), receiver.requests()), (1, 2));
}

/// After a time-out, no request uses a connection of the same route, neither with HTTP/2 nor with
/// HTTP/1.1.
#[tokio::test]
async fn after_a_time_out_a_new_connection_is_used() {
    let authority = Authority::new();
    let receiver = http_2_spoils_the_first(&authority, Turn::FallSilent).await;
    let client = client_of(guard(), authority.roots());
    assert_eq!(send(&client, &receiver.url(), 2_000).await.unwrap(), 200);
    assert_eq!(
        send(&client, &receiver.url(), 700)
            .await
            .unwrap_err()
            .kind(),
        FailureKind::Timeout
    );
    assert_eq!(
        send(&client, &receiver.url(), 700).await.unwrap(),
        200,
        "on a new connection"
    );
    assert_eq!((receiver.connections(), receiver.requests()), (2, 3));
}

#[tokio::test]
async fn organizations_share_no_connection() {
    let sink = Sink::start().await;
    let client = client();
    for organization in ["org_a", "org_b", "org_a"] {
        on_behalf_of(organization, send(&client, &sink.url(), 2_000))
            .await
            .unwrap();
    }
    assert_eq!(
        sink.requests()
            .iter()
            .map(|request| request.connection)
            .collect::<Vec<_>>(),
        [1, 2, 1]
    );
}

#[tokio::test]
async fn a_stream_that_was_read_from_is_not_sent_again() {
    let receiver = spoils_the_first(Turn::Close).await;
    let client = client();
    assert_eq!(send(&client, &receiver.url(), 2_000).await.unwrap(), 200);
    let body = Outgoing::streamed(4, stream::iter([Ok(Bytes::from_static(b"once"))]));
    let sent = client
        .send_body(
            Method::PUT,
            &target(&receiver.url()),
            HeaderMap::new(),
            body,
            within(2_000),
        )
        .await;
    assert_eq!(sent.unwrap_err().kind(), FailureKind::Protocol);
    assert_eq!((receiver.connections(), receiver.requests()), (1, 2));
}

#[tokio::test]
async fn an_empty_body_says_so() {
    let sink = Sink::start().await;
    for method in [Method::POST, Method::PUT, Method::PATCH] {
        let mut request = post(&sink.url());
        (request.method, request.body) = (method, Bytes::new());
        client().send(request).await.unwrap();
    }
    let lengths: Vec<_> = sink
        .requests()
        .iter()
        .map(|request| request.header("content-length").map(str::to_owned))
        .collect();
    assert_eq!(lengths, vec![Some("0".to_owned()); 3]);
}

/// An address that accepts no connections: its queue is full, so the system drops new ones.
struct BlackHole {
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl BlackHole {
    async fn at(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(1).unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = timeout(Duration::from_millis(200), connect(address)).await {
            waiting.push(stream);
        }
        Self {
            _listener: listener,
            _waiting: waiting,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what Waybill may connect to is not what is tested here"
)]
async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

#[tokio::test]
async fn another_address_of_the_name_is_tried_within_the_attempt() {
    let sink = Sink::start().await;
    let port = sink.address().port();
    let dead = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
    let mut holes = Vec::new();
    for address in dead {
        holes.push(BlackHole::at(SocketAddr::new(address.parse().unwrap(), port)).await);
    }
    let all = &["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1"][..];
    let guard = Guard::with_resolver(
        Policy::parse("127.0.0.0/8").unwrap(),
        Script::of(&[all, all, all, all]),
    );
    let client = client_of(guard.clone(), RootCertStore::empty());
    let url = format!("http://hooks.example.com:{port}/");
    assert!(client.probe(&target(&url), within(3_000)).await.passed());
    let started = Instant::now();
    assert_eq!(send(&client, &url, 3_000).await.unwrap(), 200);
    assert!(
        started.elapsed() < Duration::from_millis(500),
        "those that failed last are tried last: {:?}",
        started.elapsed()
    );

    let guard = Guard::with_resolver(
        Policy::parse("127.0.0.0/8").unwrap(),
        Script::of(&[all, all]),
    );
    let client = client_of(guard.clone(), RootCertStore::empty());
    assert_eq!(
        send(&client, &url, 3_000).await.unwrap(),
        200,
        "three of four are dead"
    );
    assert_eq!(
        sink.requests()
            .iter()
            .map(|request| request.connection)
            .collect::<Vec<_>>()
            .len(),
        2
    );
}

/// An address whose TLS handshake hangs does not delay others. If it is the only one, the failure
/// describes the handshake.
#[tokio::test]
async fn a_handshake_that_hangs_is_reported_as_such() {
    let authority = Authority::new();
    let sink = Sink::start_tls(authority.server(&["hooks.example.com"], &[])).await;
    let port = sink.address().port();
    let mute = TcpListener::bind(("127.0.0.2", port)).await.unwrap();
    let policy = || Policy::parse("127.0.0.0/8").unwrap();
    let url = format!("https://hooks.example.com:{port}/");

    let client = client_of(
        Guard::with_resolver(policy(), Script::of(&[&["127.0.0.2"], &["127.0.0.2"]])),
        authority.roots(),
    );
    let failure = send(&client, &url, 700).await.unwrap_err();
    assert_eq!(
        (failure.kind(), failure.detail()),
        (
            FailureKind::Timeout,
            "the TLS handshake with hooks.example.com took too long"
        )
    );

    let both = &["127.0.0.2", "127.0.0.1"][..];
    let client = client_of(
        Guard::with_resolver(policy(), Script::of(&[both, both])),
        authority.roots(),
    );
    assert!(client.probe(&target(&url), within(3_000)).await.passed());
    let client = client_of(
        Guard::with_resolver(policy(), Script::of(&[both, both])),
        authority.roots(),
    );
    assert_eq!(send(&client, &url, 3_000).await.unwrap(), 200);
    drop(mute);
}

/// If a receiver accepts no connection, the attempt ends after ten seconds, regardless of its
/// time-out.
#[tokio::test]
async fn connecting_takes_ten_seconds_at_most() {
    let sink = Sink::start().await;
    let address = SocketAddr::new("127.0.0.5".parse().unwrap(), sink.address().port());
    let _hole = BlackHole::at(address).await;
    tokio::time::pause();
    let started = Instant::now();
    let guard = Guard::new(Policy::parse("127.0.0.0/8").unwrap());
    let host = egress::Host::parse("127.0.0.5").unwrap();
    let failure = guard
        .connect(&host, address.port(), within(60_000))
        .await
        .unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Timeout);
    let client = client_of(guard, RootCertStore::empty());
    let url = format!("http://{address}/");
    assert_eq!(
        send(&client, &url, 60_000).await.unwrap_err().kind(),
        FailureKind::Timeout
    );
    assert_eq!(
        client
            .probe(&target(&url), within(60_000))
            .await
            .failure()
            .unwrap()
            .kind(),
        FailureKind::Timeout
    );
    let took = started.elapsed();
    assert!(
        (30..33).contains(&took.as_secs()),
        "three attempts took {took:?}"
    );
}
