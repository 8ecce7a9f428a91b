//! A relay that limits how much a MySQL server may send. The client library opens its own
//! connections and buffers any amount of data, so it connects to a loopback port, and the relay
//! forwards bytes to and from the connection that the egress guard opened. TLS stays between the
//! library and the server.

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::connector::may_receive;

/// The size of the buffer of each direction.
const BUFFER_BYTES: usize = 64 << 10;

/// The relay of one connection. Dropping it closes the connection.
pub(super) struct Relay {
    /// The loopback port that is forwarded to the server.
    pub(super) port: u16,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    /// Accepts one connection and forwards bytes in both directions.
    pub(super) async fn to(server: TcpStream) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            // Both connections are closed, whatever ends the relay.
            drop(pass(listener, server).await);
        });
        Ok(Self { port, task })
    }

    /// Waits until both the client and the server have closed their connections.
    pub(super) async fn closed(&mut self) {
        drop((&mut self.task).await);
    }
}

async fn pass(listener: TcpListener, server: TcpStream) -> io::Result<()> {
    let (client, _) = listener.accept().await?;
    drop(listener);
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    let sent = AtomicU64::new(0);
    tokio::try_join!(
        up(client_in, server_out, &sent),
        down(server_in, client_out, &sent),
    )
    .map(drop)
}

async fn up(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, sent: &AtomicU64) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        sent.fetch_add(length as u64, Ordering::Relaxed);
        to.write_all(&buffer[..length]).await?;
    }
}

async fn down(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, sent: &AtomicU64) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut received = 0;
    // A client that has closed its connection does not read what the server still sends.
    let mut is_read = true;
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            // The client can still read the last bytes, and closes the connection afterwards.
            drop(to.shutdown().await);
            return Ok(());
        }
        received += length as u64;
        if received > may_receive(sent.load(Ordering::Relaxed)) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the server sent more than was requested",
            ));
        }
        is_read = is_read && to.write_all(&buffer[..length]).await.is_ok();
    }
}
