//! Servers of every protocol repeat the credentials that they received in their refusals. No
//! credential is readable in the history, at a check or in the log.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use kit::scripted_mail::{Script, ScriptedMail};
use kit::sink::Sink;
use kit::stack::{NewDestination, Organization};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::stage;

const SECRET: &str = "planted/pa\"ss+wo<rd>&=9";
/// A text in refusals that show nothing else, by which a test recognizes them in the history.
const MARK: &str = "greetings from the server";

fn forms() -> Vec<(&'static str, String)> {
    let escaped = json!(SECRET).to_string();
    let each = |format: fn(u8) -> String| SECRET.bytes().map(format).collect::<String>();
    let (start, end) = SECRET.split_at(9);
    vec![
        ("plain", SECRET.to_owned()),
        ("base64", STANDARD.encode(SECRET)),
        (
            "base64 of a login",
            URL_SAFE_NO_PAD.encode(format!("\0user\0{SECRET}")),
        ),
        ("URL-encoded", each(|byte| format!("%{byte:02X}"))),
        ("hexadecimal", each(|byte| format!("{byte:02x}"))),
        ("quoted-printable", each(|byte| format!("={byte:02X}"))),
        ("JSON", escaped.trim_matches('"').to_owned()),
        ("two lines", format!("{start}\n{end}")),
        (
            "base64 over two lines",
            STANDARD.encode(SECRET).replacen("dGVk", "dG\nVk", 1),
        ),
    ]
}

/// A server that says `greeting`, reads once, says `refusal` and closes the connection.
async fn refusing(greeting: Vec<u8>, refusal: Vec<u8>) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (greeting, refusal) = (Arc::new(greeting), Arc::new(refusal));
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(refuse(stream, Arc::clone(&greeting), Arc::clone(&refusal)));
        }
    });
    (port, serving)
}

async fn refuse(
    mut stream: TcpStream,
    greeting: Arc<Vec<u8>>,
    refusal: Arc<Vec<u8>>,
) -> std::io::Result<()> {
    stream.write_all(&greeting).await?;
    let mut request = vec![0; 4096];
    if stream.read(&mut request).await? > 0 {
        stream.write_all(&refusal).await?;
        stream.flush().await?;
        while stream.read(&mut request).await? > 0 {}
    }
    Ok(())
}

/// PostgreSQL's ErrorResponse, in the place of an answer to the request for TLS (PostgreSQL 17
/// documentation, 53.7).
fn postgres_error(text: &str) -> Vec<u8> {
    let fields = format!("SFATAL\0VFATAL\0C28P01\0M{text}\0D{text}\0\0");
    [
        &b"E"[..],
        &u32::try_from(fields.len() + 4).unwrap().to_be_bytes(),
        fields.as_bytes(),
    ]
    .concat()
}

/// A packet of MySQL's protocol.
fn mysql_packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    [&length[..3], &[sequence], body].concat()
}

/// A refusal instead of the greeting.
fn mysql_error(text: &str) -> Vec<u8> {
    mysql_packet(0, &[b"\xff\x15\x04", text.as_bytes()].concat())
}

struct Hostile {
    kind: &'static str,
    settings: Value,
    credentials: Value,
    /// Whether the text of the server is kept in the history.
    is_quoted: bool,
    _server: Box<dyn std::any::Any>,
}

fn database(port: u16) -> (Value, Value) {
    let settings = json!({"host": "127.0.0.1", "port": port, "database": "app", "table": "events",
        "tls": "require"});
    (
        settings,
        json!({"kind": "password", "username": "user", "password": SECRET}),
    )
}

async fn servers(form: &str) -> Vec<Hostile> {
    let said = format!("{MARK} {form}");
    let one_line = said.replace('\n', " ");
    let lines: Vec<&str> = said.split('\n').collect();
    let (last, first) = lines.split_last().unwrap();
    let mut refusal: String = first.iter().map(|line| format!("535-{line}\r\n")).collect();
    refusal.push_str(&format!("535 {last}"));
    let refusal: &'static str = refusal.leak();
    let mail = ScriptedMail::start(Script {
        answers: vec![("AUTH", Some(refusal))],
        ..Script::default()
    })
    .await;
    let smtp = json!({"transport": {"smtp": {"host": "127.0.0.1", "port": mail.port,
        "security": "none"}},
        "from": "a@acme.example", "to": ["b@customer.example"]});
    let bucket = Sink::start().await;
    let xml = format!("<Error><Code>AccessDenied</Code><Message>{said}</Message></Error>");
    bucket.answers_with(
        403,
        &[
            ("content-type", "application/xml"),
            ("x-amz-request-id", &one_line),
        ],
        xml,
    );
    let s3 = json!({"bucket": "bucket", "region": "us-east-1",
        "endpoint": format!("http://{}", bucket.address()), "key_template": "a"});
    let (postgres, postgres_server) = refusing(Vec::new(), postgres_error(&said)).await;
    let (mysql, mysql_server) = refusing(mysql_error(&said), Vec::new()).await;
    let (ssh, ssh_server) = refusing(
        format!("{one_line}\r\nSSH-2.0-{}\r\n", one_line.replace(' ', "_")).into_bytes(),
        said.clone().into_bytes(),
    )
    .await;
    let sftp = json!({"host": "127.0.0.1", "port": ssh, "username": "user",
        "host_key": format!("SHA256:{}", "A".repeat(43))});
    let password = json!({"kind": "smtp_password", "username": "user", "password": SECRET});
    let ((postgres, login), (mysql, _)) = (database(postgres), database(mysql));
    let hostile = |kind, settings, credentials, is_quoted, server| Hostile {
        kind,
        settings,
        credentials,
        is_quoted,
        _server: server,
    };
    vec![
        hostile(
            "email",
            smtp,
            password,
            true,
            Box::new(mail) as Box<dyn std::any::Any>,
        ),
        hostile(
            "s3",
            s3,
            json!({"kind": "access_key", "access_key_id": "AKIAIOSFODNN7EXAMPLE",
                "secret_access_key": SECRET}),
            true,
            Box::new(bucket),
        ),
        hostile(
            "postgres",
            postgres,
            login.clone(),
            false,
            Box::new(postgres_server),
        ),
        hostile("mysql", mysql, login, true, Box::new(mysql_server)),
        hostile(
            "sftp",
            sftp,
            json!({"kind": "password", "password": SECRET}),
            false,
            Box::new(ssh_server),
        ),
    ]
}

/// Eight characters in a row of the secret, in any of its forms, are too many.
#[track_caller]
fn assert_unreadable(text: &str, what: &str) {
    for (name, form) in forms() {
        // What comes before the secret is the user's name.
        let form = form.trim_start_matches("AHVzZXIA").replace('\n', " ");
        for part in form
            .as_bytes()
            .windows(8)
            .filter_map(|part| std::str::from_utf8(part).ok())
        {
            assert!(
                !text.contains(part),
                "{what}: {part:?} of the secret can be read ({name}): {text}"
            );
        }
    }
}

async fn described(acme: &Organization, hostile: &Hostile) -> NewDestination {
    let new = acme
        .destination()
        .with("type", hostile.kind)
        .settings(hostile.settings.clone());
    new.credentials(hostile.credentials.clone()).retries(0)
}

#[tokio::test]
async fn secrets_that_servers_of_any_protocol_echo_are_readable_neither_in_the_history_nor_in_the_log()
 {
    let mut stack = stage::launch()
        .environment("LOG_LEVEL", "trace")
        .start()
        .await;
    let acme = stack.organization("Acme").await;
    for (name, form) in forms() {
        for hostile in servers(&form).await {
            let what = format!("{} as {name}", hostile.kind);
            let refused = described(&acme, &hostile).await.asks().await;
            refused.problem(422, "connection_check_failed");
            let destination = described(&acme, &hostile).await.skip_check().create().await;
            let delivery = acme
                .send([&destination], json!({"n": 1}))
                .await
                .delivery(0)
                .settles()
                .await;
            assert_eq!(delivery["status"], "failed", "{what}: {delivery}");
            let health = destination.health().await.to_string();
            let read = format!("{} {delivery} {health}", refused.text());
            assert!(
                !hostile.is_quoted || read.contains(MARK) || read.contains("[redacted]"),
                "{what}: {read}"
            );
            assert_unreadable(&read, &what);
        }
    }
    assert_eq!(stack.stop().await.0, Some(0));
    assert_unreadable(&stack.log(), "the log");
}
