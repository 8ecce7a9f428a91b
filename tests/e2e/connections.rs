//! Attempts when receivers and networks misbehave: on the running process, with receivers on bare
//! sockets and a name server of the test.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kit::dns::NameServer;
use kit::raw::{Receiver, Turn};
use kit::sink::{Reply, Sink};
use kit::stack::{Launch, Organization, Stack};
use kit::tls::Authority;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::stage;

/// Starts a process that resolves names with this server.
async fn stack_with_names(server: &NameServer) -> Stack {
    stage::launch()
        .environment("WAYBILL_NAME_SERVER", &server.address().to_string())
        .start()
        .await
}

/// Makes one delivery to this URL, without retries.
async fn delivered(acme: &Organization, url: &str, settings: Value, credentials: Value) -> Value {
    let new = acme
        .destination()
        .url(url)
        .settings(settings)
        .credentials(credentials);
    let destination = new.retries(0).skip_check().create().await;
    acme.send([&destination], json!({"n": 1}))
        .await
        .delivery(0)
        .settles()
        .await
}

fn trusting(authority: &Authority) -> Value {
    json!({"kind": "none", "ca_pem": authority.certificate_pem()})
}

#[tokio::test]
async fn a_kept_connection_that_the_receiver_closes_costs_no_attempt() {
    let acme = stage::organization("Acme").await;
    for turn in [Turn::Close, Turn::Reset] {
        let spoiled = turn.clone();
        // The check opens two connections: one to look at each step, and one for its request, which
        // it leaves behind.
        let script = move |connection, request| {
            if (connection, request) == (2, 2) {
                spoiled.clone()
            } else {
                Turn::ok()
            }
        };
        let receiver = Receiver::start(script).await;
        let destination = acme
            .destination()
            .url(&receiver.url())
            .retries(0)
            .create()
            .await;
        let delivery = acme
            .send([&destination], json!(1))
            .await
            .delivery(0)
            .settles()
            .await;
        assert_eq!(
            (&delivery["status"], &delivery["attempt_count"]),
            (&json!("succeeded"), &json!(1)),
            "{turn:?}: {delivery}"
        );
        assert_eq!(
            (receiver.connections(), receiver.requests()),
            (3, 3),
            "{turn:?}"
        );
    }
}

#[tokio::test]
async fn a_check_and_a_token_request_survive_a_closed_connection_too() {
    let acme = stage::organization("Acme").await;
    let token = r#"{"access_token": "t", "token_type": "bearer", "expires_in": 1}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{token}",
        token.len()
    );
    let tokens = Receiver::start(move |connection, request| {
        if (connection, request) == (1, 2) {
            Turn::Close
        } else {
            Turn::text(&answer)
        }
    });
    let tokens = tokens.await;
    let receiver = Receiver::start(|connection, request| {
        if (connection, request) == (2, 2) {
            Turn::Reset
        } else {
            Turn::ok()
        }
    })
    .await;
    let credentials = json!({"kind": "oauth2_client_credentials", "token_url": tokens.url(),
        "client_id": "i", "client_secret": "s"});
    let destination = acme
        .destination()
        .url(&receiver.url())
        .credentials(credentials)
        .retries(0)
        .create()
        .await;
    let check = destination.action("check", json!({})).await.ok(200);
    assert_eq!(check["check"]["ok"], true, "{check}");
    assert_eq!(
        (tokens.requests(), receiver.requests()),
        (3, 3),
        "each lost one request and sent it again"
    );
}

#[tokio::test]
async fn a_silent_http_2_connection_is_not_used_again() {
    let (acme, authority) = (stage::organization("Acme").await, Authority::new());
    let script = |connection, request| {
        if (connection, request) == (2, 2) {
            Turn::FallSilent
        } else {
            Turn::ok_http_2()
        }
    };
    let receiver = Receiver::start_http_2(authority.server(&["127.0.0.1"], &["h2"]), script).await;
    let new = acme
        .destination()
        .url(&receiver.url())
        .settings(json!({"timeout_seconds": 2}))
        .credentials(trusting(&authority));
    let destination = new.retries(1).create().await;
    let mut attempts = Vec::new();
    for _ in 0..5 {
        let delivery = acme
            .send([&destination], json!(1))
            .await
            .delivery(0)
            .settles()
            .await;
        assert_eq!(delivery["status"], "succeeded", "{delivery}");
        attempts.push(delivery["attempt_count"].as_u64().unwrap());
    }
    // The connection check and the first delivery have used it before.
    assert_eq!(attempts.iter().sum::<u64>(), 6, "{attempts:?}");
    assert_eq!(destination.read().await["status"], "enabled");
}

#[tokio::test]
async fn a_request_that_http_2_reports_as_unprocessed_is_sent_again() {
    let (acme, authority) = (stage::organization("Acme").await, Authority::new());
    for turn in [Turn::Refuse, Turn::GoAway] {
        let spoiled = turn.clone();
        let script = move |connection, request| {
            if (connection, request) == (2, 2) {
                spoiled.clone()
            } else {
                Turn::ok_http_2()
            }
        };
        let receiver =
            Receiver::start_http_2(authority.server(&["127.0.0.1"], &["h2"]), script).await;
        let new = acme
            .destination()
            .url(&receiver.url())
            .credentials(trusting(&authority));
        let destination = new.retries(0).create().await;
        let delivery = acme
            .send([&destination], json!(1))
            .await
            .delivery(0)
            .settles()
            .await;
        assert_eq!(
            (&delivery["status"], &delivery["attempt_count"]),
            (&json!("succeeded"), &json!(1)),
            "{turn:?}: {delivery}"
        );
    }
}

/// A listener that accepts nothing: the system drops further connections.
struct BlackHole {
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl BlackHole {
    async fn at(address: &str, port: u16) -> Self {
        let address = format!("{address}:{port}").parse().unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(1).unwrap();
        let mut waiting = Vec::new();
        #[expect(clippy::disallowed_methods, reason = "a test fills its own listener")]
        while let Ok(Ok(stream)) =
            timeout(Duration::from_millis(200), TcpStream::connect(address)).await
        {
            waiting.push(stream);
        }
        Self {
            _listener: listener,
            _waiting: waiting,
        }
    }
}

#[tokio::test]
async fn another_address_of_the_name_is_tried_within_the_attempt() {
    let sink = Sink::start().await;
    let port = sink.address().port();
    let dead = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
    let mut holes = Vec::new();
    for address in dead {
        holes.push(BlackHole::at(address, port).await);
    }
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    let lines = "127.0.0.2 two.example four.example dead.example\n127.0.0.3 \
         four.example\n127.0.0.4 four.example\n";
    std::fs::write(
        &hosts,
        format!("{lines}127.0.0.1 two.example four.example\n"),
    )
    .unwrap();
    // In one process: functions in processes of their own would not inherit this.
    let stack = Launch::of(env!("CARGO_BIN_EXE_waybill"))
        .environment("LD_PRELOAD", "libnss_wrapper.so")
        .environment("NSS_WRAPPER_HOSTS", hosts.to_str().unwrap())
        .start()
        .await;
    let acme = stack.organization("Acme").await;
    for name in ["two.example", "four.example"] {
        let new = acme
            .destination()
            .url(&format!("http://{name}:{port}/"))
            .settings(json!({"timeout_seconds": 3}));
        let destination = new.retries(0).create().await;
        let delivery = acme
            .send([&destination], json!(1))
            .await
            .delivery(0)
            .settles()
            .await;
        assert_eq!(
            (&delivery["status"], &delivery["attempt_count"]),
            (&json!("succeeded"), &json!(1)),
            "{name}: {delivery}"
        );
    }
    let dead = delivered(
        &acme,
        &format!("http://dead.example:{port}/"),
        json!({"timeout_seconds": 1}),
        json!({"kind": "none"}),
    )
    .await;
    assert_eq!(
        (&dead["reason"], &dead["attempts"][0]["detail"]),
        (
            &json!("timeout"),
            &json!(format!(
                "127.0.0.2:{port} did not accept a connection in time"
            ))
        )
    );
    drop(holes);
}

#[tokio::test]
async fn a_handshake_that_hangs_is_reported_as_such() {
    let acme = stage::organization("Acme").await;
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", mute.local_addr().unwrap());
    let delivery = delivered(
        &acme,
        &url,
        json!({"timeout_seconds": 1}),
        json!({"kind": "none"}),
    )
    .await;
    let attempt = &delivery["attempts"][0];
    assert_eq!(attempt["reason"], "timeout", "{delivery}");
    assert!(
        attempt["detail"]
            .as_str()
            .unwrap()
            .starts_with("the TLS handshake with 127.0.0.1"),
        "{attempt}"
    );
    let problem = acme
        .destination()
        .url(&url)
        .settings(json!({"timeout_seconds": 1}))
        .asks()
        .await
        .problem(422, "connection_check_failed");
    assert_eq!(stage::failed_step(&problem["check"]), "tls");
}

#[tokio::test]
async fn names_that_no_server_answers_delay_no_other_organization() {
    let (server, sink) = (NameServer::start().await, Sink::start().await);
    let stack = stack_with_names(&server).await;
    let (slow, fast) = (
        stack.organization("Slow").await,
        stack.organization("Fast").await,
    );
    server.silence("slow.example");
    server.set("fast.example", &["127.0.0.1"], 60);
    let mut destinations = Vec::new();
    for number in 0..100 {
        let new = slow
            .destination()
            .url(&format!("http://n{number}.slow.example/"))
            .skip_check();
        destinations.push(
            new.settings(json!({"timeout_seconds": 5}))
                .retries(0)
                .create()
                .await,
        );
    }
    let port = sink.address().port();
    let healthy = fast
        .destination()
        .url(&format!("http://fast.example:{port}/"))
        .create()
        .await;
    for destination in &destinations {
        slow.send([destination], json!(1)).await;
    }
    let started = Instant::now();
    fast.send([&healthy], json!(1))
        .await
        .delivery(0)
        .reaches("succeeded")
        .await;
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "took {:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn the_status_line_decides_whatever_else_is_in_the_head() {
    let acme = stage::organization("Acme").await;
    let many = |count: usize, line: &str| {
        (0..count)
            .map(|number| format!("{line}{number}\r\n"))
            .collect::<String>()
    };
    let heads = [
        many(101, "x: "),
        many(500, "set-cookie: c="),
        format!("x: {}\r\n", "v".repeat(60_000)),
        "Server : x\r\n".to_owned(),
        "a line without a colon\r\n".to_owned(),
        "x: one\r\n two\r\n".to_owned(),
        "x: a\u{1}b\r\n".to_owned(),
    ];
    for head in heads {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}content-length: 0\r\n\r\n");
        let receiver = Receiver::start(move |_, _| Turn::text(&answer)).await;
        let delivery = delivered(&acme, &receiver.url(), json!({}), json!({"kind": "none"})).await;
        assert_eq!(
            delivery["status"],
            "succeeded",
            "{:?}: {delivery}",
            &head[..head.len().min(40)]
        );
        assert_eq!(receiver.requests(), 1);
    }
    let answer = format!(
        "HTTP/1.1 429 Slow\r\n{}retry-after: 3600\r\ncontent-length: 0\r\n\r\n",
        many(120, "set-cookie: c=")
    );
    let receiver = Receiver::start(move |_, _| Turn::text(&answer)).await;
    let destination = acme
        .destination()
        .url(&receiver.url())
        .skip_check()
        .create()
        .await;
    let delivery = acme
        .send([&destination], json!(1))
        .await
        .delivery(0)
        .attempts(1)
        .await;
    assert_eq!(
        (&delivery["status"], &delivery["attempts"][0]["reason"]),
        (&json!("retrying"), &json!("rate_limited")),
        "{delivery}"
    );
}

#[tokio::test]
async fn an_empty_body_says_that_it_is_empty() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let content = json!({"base64": "", "content_type": "text/plain"});
    let message = json!({"event_type": "report.ready", "content": content,
        "destination_ids": [destination.id]});
    acme.submit(message)
        .await
        .delivery(0)
        .reaches("succeeded")
        .await;
    assert_eq!(sink.requests()[0].header("content-length"), Some("0"));
}

#[tokio::test]
async fn a_destination_with_an_authority_of_its_own_keeps_its_connection_though_it_was_saved_unchecked()
 {
    let (acme, authority) = (stage::organization("Acme").await, Authority::new());
    let sink = Sink::start_tls(authority.server(&["127.0.0.1"], &[])).await;
    let destination = acme
        .destination()
        .webhook(&sink)
        .credentials(trusting(&authority))
        .skip_check()
        .create()
        .await;
    for _ in 0..3 {
        acme.send([&destination], json!(1))
            .await
            .delivery(0)
            .reaches("succeeded")
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

/// OpenSSL's server, which speaks TLS 1.2 and requires a client certificate.
struct DemandingServer {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl DemandingServer {
    async fn start(authority: &Authority) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = authority.certificate(&["127.0.0.1"]);
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let port = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut command = Command::new("openssl");
        command.args([
            "s_server",
            "-quiet",
            "-www",
            "-tls1_2",
            "-Verify",
            "1",
            "-verify_return_error",
            "-accept",
            &format!("127.0.0.1:{port}"),
        ]);
        command
            .arg("-cert")
            .arg(file("cert.pem", &certificate))
            .arg("-key")
            .arg(file("key.pem", &key));
        command
            .arg("-CAfile")
            .arg(file("ca.pem", &authority.certificate_pem()));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command
            .spawn()
            .expect("openssl is installed (./test installs it)");
        #[expect(clippy::disallowed_methods, reason = "a test waits for its own server")]
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
        Self {
            child,
            port,
            _folder: folder,
        }
    }
}

impl Drop for DemandingServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_missing_client_certificate_under_tls_1_2_is_an_authentication_failure() {
    let (acme, authority) = (stage::organization("Acme").await, Authority::new());
    let server = DemandingServer::start(&authority).await;
    let url = format!("https://127.0.0.1:{}/", server.port);
    let delivery = delivered(&acme, &url, json!({}), trusting(&authority)).await;
    let attempt = &delivery["attempts"][0];
    assert_eq!(attempt["reason"], "authentication", "{delivery}");
    assert!(
        attempt["detail"]
            .as_str()
            .unwrap()
            .contains("requires a client certificate"),
        "{attempt}"
    );
}

/// Slow responses to one organization do not delay another organization at the same receiver.
#[tokio::test]
async fn organizations_share_no_connection() {
    let (acme, beta) = (
        stage::organization("Acme").await,
        stage::organization("Beta").await,
    );
    let sink = Sink::start().await;
    sink.replies([Reply::status(200)]);
    for organization in [&acme, &beta] {
        let destination = organization
            .destination()
            .webhook(&sink)
            .skip_check()
            .create()
            .await;
        organization
            .send([&destination], json!(1))
            .await
            .delivery(0)
            .reaches("succeeded")
            .await;
    }
    let requests = sink.wait_for(1, Duration::from_secs(5)).await;
    let mut connections: Vec<u64> = requests.iter().map(|request| request.connection).collect();
    connections.dedup();
    assert_eq!(connections.len(), requests.len(), "{connections:?}");
}
