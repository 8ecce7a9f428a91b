//! The addresses to which no connector connects.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kit::gcs;
use kit::sink::Sink;
use kit::stack::{Launch, NewDestination, Organization};
use serde_json::{Value, json};

use crate::stage;

/// A destination that connects to a given address, and the pointer of the field with the address.
struct AddressCase {
    kind: &'static str,
    settings: Value,
    credentials: Value,
    pointer: &'static str,
}

impl AddressCase {
    fn of(&self, acme: &Organization) -> NewDestination {
        let destination = acme
            .destination()
            .with("type", self.kind)
            .settings(self.settings.clone())
            .credentials(self.credentials.clone());
        destination.retries(0).skip_check()
    }

    fn is_http(&self) -> bool {
        matches!(self.kind, "webhook" | "s3" | "gcs" | "azure_blob")
    }
}

/// Returns a case for each connector. In the last one, a webhook requests its token from the
/// address.
fn cases_at(host: &str, port: u16) -> Vec<AddressCase> {
    let bare = host.trim_matches(['[', ']']);
    let url = format!("http://{host}:{port}/");
    let password = json!({"kind": "password", "username": "u", "password": "p"});
    let of = |kind, settings, credentials, pointer| AddressCase {
        kind,
        settings,
        credentials,
        pointer,
    };
    let mail = json!({"transport": {"smtp": {"host": bare, "port": port, "security": "none"}},
        "from": "a@b.example", "to": ["c@d.example"]});
    let database = json!({"host": bare, "port": port, "database": "d", "table": "t"});
    let host_key = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
    let key = json!({"kind": "access_key", "access_key_id": "a", "secret_access_key": "b"});
    let token = json!({"kind": "oauth2_client_credentials", "token_url": url, "client_id": "i",
        "client_secret": "s"});
    vec![
        of(
            "webhook",
            json!({"url": url}),
            json!({"kind": "none"}),
            "/settings/url",
        ),
        of(
            "email",
            mail,
            json!({"kind": "smtp_password", "username": "u", "password": "p"}),
            "/settings/transport/smtp/host",
        ),
        of(
            "s3",
            json!({"bucket": "bbb", "endpoint": url}),
            key,
            "/settings/endpoint",
        ),
        of(
            "gcs",
            json!({"bucket": "bbb", "endpoint": url}),
            json!({"kind": "service_account", "json": gcs::stranger()}),
            "/settings/endpoint",
        ),
        of(
            "azure_blob",
            json!({"account": "acme", "container": "ccc", "endpoint": url}),
            json!({"kind": "account_key", "account_key": "b3duIGtleQ=="}),
            "/settings/endpoint",
        ),
        of(
            "sftp",
            json!({"host": bare, "port": port, "username": "u", "host_key": host_key}),
            json!({"kind": "password", "password": "p"}),
            "/settings/host",
        ),
        of(
            "postgres",
            database.clone(),
            password.clone(),
            "/settings/host",
        ),
        of("mysql", database, password, "/settings/host"),
        of(
            "webhook",
            json!({"url": "https://example.com/"}),
            token,
            "/credentials/token_url",
        ),
    ]
}

/// No notation of a blocked address is accepted in the settings of any connector.
#[tokio::test]
async fn no_connector_accepts_an_inner_address() {
    let acme = stage::organization("Acme").await;
    let hosts = [
        "169.254.169.254",
        "10.0.0.1",
        "0xa9fea9fe",
        "2852039166",
        "0251.0376.0251.0376",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[fd00::1]",
        "192.168.0.1",
        "100.64.0.1",
    ];
    let mut refused = 0;
    for host in hosts {
        for case in cases_at(host, 8080) {
            let answer = case.of(&acme).asks().await;
            let problem = answer.problem(422, "validation_failed");
            assert_eq!(
                answer.mistakes(),
                [case.pointer],
                "{} {host}: {problem}",
                case.kind
            );
            assert_eq!(
                problem["errors"][0]["code"], "blocked_address",
                "{} {host}",
                case.kind
            );
            refused += 1;
        }
    }
    let events = acme
        .list("/v1/audit-events?action=blocked_address&limit=100")
        .await;
    assert_eq!(events.len(), refused, "each refusal is recorded");
    assert!(acme.list("/v1/destinations").await.is_empty());
}

/// A name does not circumvent the guard: every connector checks the address when it connects.
#[tokio::test]
async fn no_connector_follows_a_name_to_an_inner_address() {
    let stack = stage::launch()
        .arguments(["--allow-egress", "10.11.12.0/24"])
        .start()
        .await;
    let acme = stack.organization("Acme").await;
    let inner = TcpListener::bind("127.0.0.1:0").unwrap();
    inner.set_nonblocking(true).unwrap();
    let mut blocked = Vec::new();
    for case in cases_at("localhost", inner.local_addr().unwrap().port()) {
        let answer = case.of(&acme).asks().await;
        let check = acme
            .post("/v1/destinations/check", case.of(&acme).body())
            .await;
        assert_eq!(answer.status, 201, "{}: {}", case.kind, answer.text());
        assert!(
            !check.text().contains("\"ok\":true}"),
            "{}: {}",
            case.kind,
            check.text()
        );
        let message = json!({"event_type": "report.ready", "payload": {"n": 1},
            "destination_ids": [answer.json()["id"]]});
        let delivery = acme.submit(message).await.delivery(0).settles().await;
        let seen = (
            &delivery["status"],
            &delivery["reason"],
            &delivery["attempt_count"],
            &delivery["exhausted"],
        );
        assert_eq!(
            seen,
            (
                &json!("failed"),
                &json!("blocked_address"),
                &json!(1),
                &json!(false)
            ),
            "{}: {delivery}",
            case.kind
        );
        blocked.push(delivery["id"].as_str().unwrap().to_owned());
    }
    let recorded = stage::texts(
        &acme
            .list("/v1/audit-events?action=blocked_address&limit=100")
            .await,
        "target",
    );
    assert!(
        blocked.iter().all(|delivery| recorded.contains(delivery)),
        "{blocked:?} in {recorded:?}"
    );
    assert_eq!(
        inner.accept().unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "the inner address was connected to"
    );
}

/// Nor does a name that changes after it was checked (DNS rebinding): each connection uses the
/// address that was checked for it. The `/etc/hosts` of the process is a file of this test
/// (nss_wrapper).
#[tokio::test]
async fn no_connector_connects_to_a_rebound_name() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    let bind =
        |address: &str| std::fs::write(&hosts, format!("{address} rebound.example\n")).unwrap();
    bind("127.0.0.1");
    let outer = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = outer.local_addr().unwrap().port();
    let inner = TcpListener::bind(("127.0.0.2", port)).unwrap();
    inner.set_nonblocking(true).unwrap();
    // In one process: functions in processes of their own would not inherit this.
    let stack = Launch::of(env!("CARGO_BIN_EXE_waybill"))
        .arguments(["--allow-egress", "127.0.0.1/32"])
        .environment("LD_PRELOAD", "libnss_wrapper.so")
        .environment("NSS_WRAPPER_HOSTS", hosts.to_str().unwrap())
        .start()
        .await;
    let acme = stack.organization("Acme").await;
    // While the address is allowed, connections are accepted and closed.
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    std::thread::spawn(move || {
        outer
            .incoming()
            .for_each(|connection| drop(connection.map(|_| counted.fetch_add(1, Ordering::SeqCst))))
    });
    let mut rebound = Vec::new();
    for case in cases_at("rebound.example", port) {
        let before = connections.load(Ordering::SeqCst);
        let check = acme
            .post("/v1/destinations/check", case.of(&acme).body())
            .await;
        let connects = case.pointer.starts_with("/settings/");
        assert!(
            !connects || connections.load(Ordering::SeqCst) > before,
            "{}: the address is allowed, but there was no connection: {}",
            case.kind,
            check.text()
        );
        rebound.push((case.kind, case.of(&acme).create().await));
    }
    // The wrapper compares the modification time of the file, in seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    bind("127.0.0.2");
    let before = connections.load(Ordering::SeqCst);
    for (kind, destination) in rebound {
        let delivery = acme
            .send([&destination], json!({"n": 1}))
            .await
            .delivery(0)
            .settles()
            .await;
        assert_eq!(
            (&delivery["status"], &delivery["reason"]),
            (&json!("failed"), &json!("blocked_address")),
            "{kind}: {delivery}"
        );
    }
    assert_eq!(
        inner.accept().unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "the inner address was connected to"
    );
    assert_eq!(connections.load(Ordering::SeqCst), before);
}

/// Redirects are not followed: connectors that use HTTP treat it as a response.
#[tokio::test]
async fn no_connector_follows_a_redirect() {
    let (acme, outer, elsewhere) = (
        stage::organization("Acme").await,
        Sink::start().await,
        Sink::start().await,
    );
    for status in [301, 302, 303, 307, 308] {
        outer.answers_with(status, &[("location", &elsewhere.url())], "");
        let address = outer.address();
        for case in cases_at(&address.ip().to_string(), address.port())
            .into_iter()
            .filter(AddressCase::is_http)
        {
            let before = outer.count();
            let destination = case.of(&acme).create().await;
            let delivery = acme
                .send([&destination], json!({"n": 1}))
                .await
                .delivery(0)
                .settles()
                .await;
            assert_eq!(
                delivery["status"], "failed",
                "{} {status}: {delivery}",
                case.kind
            );
            assert!(
                outer.count() > before,
                "{} {status}: the first address received a request",
                case.kind
            );
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(elsewhere.count(), 0);
}
