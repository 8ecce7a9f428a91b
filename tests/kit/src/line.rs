//! A connection to a server on the loopback that can be slow, go silent, or break.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// The most bytes that one read takes.
const CHUNK_BYTES: usize = 64 * 1024;

/// The behaviour of a line.
#[derive(Clone, Copy, Debug)]
pub enum LineBehaviour {
    /// Delays everything in both directions.
    Delayed(Duration),
    /// Delivers nothing more after this many bytes from the client, over all its connections.
    Silent(u64),
    /// Closes the connection after this many bytes from the client.
    Broken(u64),
}

/// A line to a server. Dropping it closes its connections.
#[derive(Debug)]
pub struct Line {
    /// The port of the line on 127.0.0.1.
    pub port: u16,
    open: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Line {
    /// Opens a line to a port on 127.0.0.1.
    pub async fn to(port: u16, nature: LineBehaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the loopback has a free port");
        let own_port = listener
            .local_addr()
            .expect("a bound listener has an address")
            .port();
        let open = Arc::new(AtomicUsize::new(0));
        let sent = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&open);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (counted, sent) = (Arc::clone(&counted), Arc::clone(&sent));
                counted.fetch_add(1, Ordering::SeqCst);
                connections.spawn(async move {
                    join(client, port, nature, &sent).await;
                    counted.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            port: own_port,
            open,
            task,
        }
    }

    /// Returns how many connections are open.
    pub fn open_connections(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "connects to the test's own server on the loopback"
)]
async fn join(client: TcpStream, port: u16, nature: LineBehaviour, sent: &AtomicU64) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("TCP takes this option");
    }
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let nothing = AtomicU64::new(0);
    let back = match nature {
        LineBehaviour::Delayed(_) => nature,
        LineBehaviour::Silent(_) | LineBehaviour::Broken(_) => {
            LineBehaviour::Delayed(Duration::ZERO)
        }
    };
    // If one end closes, so does the other.
    tokio::select! {
        () = carry(client_read, server_write, nature, sent) => {}
        () = carry(server_read, client_write, back, &nothing) => {}
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    nature: LineBehaviour,
    sent: &AtomicU64,
) {
    let (ahead, mut arriving) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let Ok(length @ 1..) = from.read(&mut chunk).await else {
                return;
            };
            chunk.truncate(length);
            let total = sent.fetch_add(length as u64, Ordering::SeqCst) + length as u64;
            let due = match nature {
                LineBehaviour::Delayed(delay) => Instant::now() + delay,
                LineBehaviour::Broken(after) if total > after => return,
                LineBehaviour::Silent(after) if total > after => std::future::pending().await,
                LineBehaviour::Broken(_) | LineBehaviour::Silent(_) => Instant::now(),
            };
            if ahead.send((due, chunk)).is_err() {
                return;
            }
        }
    };
    let write = async {
        while let Some((due, chunk)) = arriving.recv().await {
            sleep_until(due).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(read, write);
}
