//! A connection between connector and server that is cut at any message of the connector.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How long to wait for the server's answer to the last message before the connection is cut.
const ANSWER_MAX: Duration = Duration::from_millis(100);

/// When the connection is cut.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cut {
    /// The server does not receive this message.
    Before(usize),
    /// The server acts on this message, but the connector does not receive the answer.
    After(usize),
    /// As after, but the connection stays open without an answer.
    Silent(usize),
}

/// A connection to a server on this machine that can be cut.
pub(crate) struct Wire {
    pub(crate) port: u16,
    sent: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wire {
    pub(crate) async fn to(server: u16, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&sent);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                carry(client, server, cut, &counter).await;
            }
        });
        Self { port, sent, task }
    }

    /// Returns how many messages the connector has sent.
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }
}

async fn carry(client: TcpStream, server: u16, cut: Cut, sent: &AtomicUsize) {
    #[expect(clippy::disallowed_methods, reason = "the test's own server")]
    let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut client_in, mut client_out) = client.into_split();
    let (mut server_in, mut server_out) = server.into_split();
    let (mut up, mut down) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            read = client_in.read(&mut up) => {
                let Ok(length @ 1..) = read else { return };
                let message = sent.fetch_add(1, Ordering::SeqCst) + 1;
                if matches!(cut, Cut::Before(at) if at <= message) {
                    return;
                }
                if server_out.write_all(&up[..length]).await.is_err() {
                    return;
                }
                if matches!(cut, Cut::Silent(at) if at <= message) {
                    drop(tokio::time::timeout(ANSWER_MAX, server_in.read(&mut down)).await);
                    // Until the connector closes the connection.
                    drop(client_in.read(&mut up).await);
                    return;
                }
                if matches!(cut, Cut::After(at) if at <= message) {
                    drop(tokio::time::timeout(ANSWER_MAX, server_in.read(&mut down)).await);
                    return;
                }
            }
            read = server_in.read(&mut down) => {
                let Ok(length @ 1..) = read else { return };
                if client_out.write_all(&down[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
