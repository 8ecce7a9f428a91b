//! The memory of a worker is limited by bytes, not by the number of its tasks. Measured on the
//! processes that are deployed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kit::stack::{Launch, Message, Organization, Stack};
use local::template::{COMPILED_IN, Template};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::uploads::put;

const MIB: usize = 1 << 20;
/// The number of concurrent deliveries, of two organizations.
const AT_ONCE: usize = 10;
/// The time after which a receiver reads, so that all deliveries are in progress at the same time.
const READS_AFTER: Duration = Duration::from_millis(500);

/// Three quarters of the memory that the template gives a function.
fn usable_mib(binary: &str) -> usize {
    let stack = Template::read(COMPILED_IN, &std::collections::BTreeMap::new())
        .expect("the template reads")
        .stack();
    let functions = stack.expect("the template is understood").functions;
    let function = functions
        .iter()
        .find(|function| function.binary == binary)
        .expect("the template has the function");
    usize::try_from(function.memory_mb * 3 / 4).expect("it fits")
}

/// Serves every connection by `serve` and returns the port.
async fn server<F>(serve: impl Fn(BufReader<TcpStream>) -> F + Send + 'static) -> u16
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve(BufReader::new(connection)));
        }
    });
    port
}

/// Accepts requests one after another, counts the bytes of their bodies, and stores nothing.
async fn takes_requests(
    mut connection: BufReader<TcpStream>,
    taken: Arc<AtomicUsize>,
) -> std::io::Result<()> {
    loop {
        let mut left = 0;
        loop {
            let mut line = String::new();
            if connection.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(length) = line.strip_prefix("content-length:") {
                left = length.trim().parse().expect("a number");
            }
            if line.is_empty() {
                break;
            }
        }
        sleep(READS_AFTER).await;
        let mut piece = vec![0; 64 << 10];
        while left > 0 {
            let length = piece.len().min(left);
            let read = connection.read(&mut piece[..length]).await?;
            assert!(read > 0, "the body ends early");
            left -= read;
            taken.fetch_add(read, Ordering::SeqCst);
        }
        connection
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await?;
    }
}

/// Accepts every mail, counts its bytes, and stores nothing.
async fn takes_mails(
    mut connection: BufReader<TcpStream>,
    taken: Arc<AtomicUsize>,
) -> std::io::Result<()> {
    connection.write_all(b"220 mail.test ESMTP\r\n").await?;
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let reply: &[u8] = match line.split_whitespace().next().unwrap_or_default() {
            "EHLO" => b"250-mail.test\r\n250 AUTH PLAIN LOGIN\r\n",
            "AUTH" => b"235 2.7.0 accepted\r\n",
            "DATA" => {
                connection.write_all(b"354 go on\r\n").await?;
                sleep(READS_AFTER).await;
                loop {
                    let mut text = Vec::new();
                    taken.fetch_add(
                        connection.read_until(b'\n', &mut text).await?,
                        Ordering::SeqCst,
                    );
                    if text == b".\r\n" {
                        break;
                    }
                }
                b"250 2.0.0 OK: queued as 1\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 2.0.0 OK\r\n",
        };
        connection.write_all(reply).await?;
    }
}

/// The most memory that any process of a function has had, in MiB.
fn peak_mib(stack: &Stack, binary: &str) -> usize {
    let parent = format!("PPid:\t{}", stack.process_id());
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let statuses =
        processes.filter_map(|process| std::fs::read_to_string(process.path().join("status")).ok());
    // The kernel keeps 15 characters of a name.
    let name = format!("Name:\t{}\n", &binary[..binary.len().min(15)]);
    let own = statuses.filter(|status| status.contains(&parent) && status.starts_with(&name));
    let peaks = own.filter_map(|status| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?
            .trim()
            .to_owned();
        line.strip_suffix(" kB")?.parse::<usize>().ok()
    });
    peaks.max().expect("a process of the function runs") >> 10
}

async fn upload(organization: &Organization, bytes: usize) -> Value {
    let body = json!({"content_type": "application/octet-stream", "filename": "large.bin",
        "size_bytes": bytes});
    let upload = organization.post("/v1/uploads", body).await.ok(201);
    assert_eq!(put(&upload, vec![b'x'; bytes].into()).await, 200);
    upload["id"].clone()
}

/// Sends a file of this size to `AT_ONCE` destinations of two organizations at once, and waits
/// until all have it.
async fn deliver(
    stack: &Stack,
    bytes: usize,
    describe: impl Fn(&Organization) -> kit::stack::NewDestination,
) {
    let mut sent: Vec<Message> = Vec::new();
    for name in ["Acme", "Globex"] {
        let organization = stack.organization(name).await;
        let mut ids = Vec::new();
        for _ in 0..AT_ONCE / 2 {
            ids.push(describe(&organization).skip_check().create().await.id);
        }
        let upload = upload(&organization, bytes).await;
        sent.push(
            organization
                .submit(json!({"event_type": "file.ready", "upload_id": upload,
            "destination_ids": ids}))
                .await,
        );
    }
    for message in &sent {
        let settled = message.settles_within(Duration::from_secs(120)).await;
        assert_eq!(settled["status"], "succeeded", "{settled}");
    }
}

#[tokio::test]
async fn ten_large_webhooks_at_once_stay_within_the_workers_memory() {
    assert!(
        Path::new("/proc/self/status").exists(),
        "the peak of a process's memory is read from /proc"
    );
    let stack = Launch::of(env!("CARGO_BIN_EXE_waybill"))
        .arguments(["--processes"])
        .start()
        .await;
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let port = server(move |connection| takes_requests(connection, Arc::clone(&counter))).await;
    let url = format!("http://127.0.0.1:{port}/");
    deliver(&stack, 60 * MIB, |organization| {
        organization
            .destination()
            .url(&url)
            .settings(json!({"timeout_seconds": 30}))
    })
    .await;
    let peak = peak_mib(&stack, "worker_webhook");
    println!("ten webhooks of 60 MiB: at most {peak} MiB");
    assert!(taken.load(Ordering::SeqCst) >= AT_ONCE * 60 * MIB);
    let usable = usable_mib("worker_webhook");
    assert!(peak < usable, "{peak} MiB of {usable}");
}

#[tokio::test]
async fn ten_large_mails_at_once_stay_within_the_workers_memory() {
    let stack = Launch::of(env!("CARGO_BIN_EXE_waybill"))
        .arguments(["--processes"])
        .start()
        .await;
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let port = server(move |connection| takes_mails(connection, Arc::clone(&counter))).await;
    let settings = json!({"transport": {"smtp": {"host": "127.0.0.1", "port": port,
        "security": "none"}}, "from": "a@acme.example",
        "to": ["b@acme.example"], "subject_template": "x", "attach": "always",
        "timeout_seconds": 60});
    let credentials =
        json!({"kind": "smtp_password", "username": "a", "password": "a-long-password"});
    let describe = |organization: &Organization| {
        organization
            .destination()
            .with("type", "email")
            .settings(settings.clone())
            .credentials(credentials.clone())
    };
    deliver(&stack, 25 * MIB, describe).await;
    let peak = peak_mib(&stack, "worker_email");
    println!("ten mails of 25 MiB: at most {peak} MiB");
    assert!(taken.load(Ordering::SeqCst) >= AT_ONCE * 33 * MIB);
    let usable = usable_mib("worker_email");
    assert!(peak < usable, "{peak} MiB of {usable}");
}
