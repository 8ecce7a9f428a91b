//! A layer below the SFTP library that completes STATUS packets of the server.
//!
//! The library ends the session on a STATUS that version 3 does not define: one with a code above 8
//! (from servers of later drafts), or one without a message or language tag (from servers of
//! earlier drafts and several gateways). Such a packet reports the failure of one request, so it is
//! rewritten to one that the library can parse. All other packets pass through without being parsed
//! or copied.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

const STATUS: u8 = 101;
/// `SSH_FX_NO_SUCH_FILE`, `SSH_FX_PERMISSION_DENIED` and `SSH_FX_FAILURE`.
const NO_SUCH_FILE: u32 = 2;
const PERMISSION_DENIED: u32 = 3;
const FAILURE: u32 = 4;
/// The last code of version 3, `SSH_FX_OP_UNSUPPORTED`.
const LAST_CODE: u32 = 8;
/// The length and the type, with which every packet begins.
const HEADER_BYTES: usize = 5;
/// The longest STATUS that is rewritten. The library handles longer ones.
const STATUS_BYTES_MAX: usize = 64 << 10;

/// A stream that completes the STATUS packets it reads.
pub(crate) struct TolerantStream<S> {
    inner: S,
    state: State,
    /// Dropped with the stream, which notifies the receiver of the end.
    _alive: watch::Sender<()>,
}

enum State {
    /// Collects the header of a packet.
    Header {
        bytes: [u8; HEADER_BYTES],
        filled: usize,
    },
    /// Passes on the rest of a packet that is not a STATUS.
    Passing { left: usize },
    /// Collects the body of a STATUS.
    Status { body: Vec<u8>, filled: usize },
    /// Returns the collected bytes, and then passes on `then` more bytes of the packet.
    Ready {
        packet: Vec<u8>,
        given: usize,
        then: usize,
    },
}

const START: State = State::Header {
    bytes: [0; HEADER_BYTES],
    filled: 0,
};

impl<S> TolerantStream<S> {
    /// Wraps a stream. The receiver returns an error once the stream has been dropped.
    pub(crate) fn new(inner: S) -> (Self, watch::Receiver<()>) {
        let (alive, ended) = watch::channel(());
        (
            Self {
                inner,
                state: START,
                _alive: alive,
            },
            ended,
        )
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TolerantStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            match &mut this.state {
                State::Header { bytes, filled } => {
                    if !ready!(fill(&mut this.inner, cx, bytes, filled))? {
                        return Poll::Ready(Ok(()));
                    }
                    this.state = after_header(*bytes);
                }
                State::Status { body, filled } => {
                    if !ready!(fill(&mut this.inner, cx, body, filled))? {
                        return Poll::Ready(Ok(()));
                    }
                    this.state = State::Ready {
                        packet: completed(body),
                        given: 0,
                        then: 0,
                    };
                }
                State::Ready {
                    packet,
                    given,
                    then,
                } => {
                    let count = buffer.remaining().min(packet.len() - *given);
                    buffer.put_slice(&packet[*given..*given + count]);
                    *given += count;
                    if *given == packet.len() {
                        this.state = passing(*then);
                    }
                    return Poll::Ready(Ok(()));
                }
                State::Passing { left } => {
                    let length = buffer.remaining().min(*left);
                    let mut part = ReadBuf::new(buffer.initialize_unfilled_to(length));
                    ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
                    let count = part.filled().len();
                    buffer.advance(count);
                    this.state = passing(*left - count);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TolerantStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

/// Reads until `bytes` is full. Returns `false` if the stream ends before.
fn fill<S: AsyncRead + Unpin>(
    inner: &mut S,
    cx: &mut Context<'_>,
    bytes: &mut [u8],
    filled: &mut usize,
) -> Poll<io::Result<bool>> {
    while *filled < bytes.len() {
        let mut rest = ReadBuf::new(&mut bytes[*filled..]);
        ready!(Pin::new(&mut *inner).poll_read(cx, &mut rest))?;
        match rest.filled().len() {
            0 => return Poll::Ready(Ok(false)),
            count => *filled += count,
        }
    }
    Poll::Ready(Ok(true))
}

fn passing(left: usize) -> State {
    if left == 0 {
        START
    } else {
        State::Passing { left }
    }
}

fn after_header(bytes: [u8; HEADER_BYTES]) -> State {
    let [a, b, c, d, kind] = bytes;
    // The length includes the type.
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    let left = length.saturating_sub(1);
    if kind == STATUS && left <= STATUS_BYTES_MAX {
        State::Status {
            body: vec![0; left],
            filled: 0,
        }
    } else {
        State::Ready {
            packet: bytes.to_vec(),
            given: 0,
            then: left,
        }
    }
}

/// Returns a complete STATUS packet of version 3, made of the request's id, the code and, if they
/// are present, the message and language tag.
fn completed(body: &[u8]) -> Vec<u8> {
    let Some((id, rest)) = body.split_first_chunk::<4>() else {
        return framed(body);
    };
    let (code, rest) = match rest.split_first_chunk::<4>() {
        Some((code, rest)) => (u32::from_be_bytes(*code), rest),
        None => (FAILURE, &[][..]),
    };
    let message = message(rest);
    let (code, message) = match code {
        0..=LAST_CODE => (code, message.to_vec()),
        later => {
            let (code, meaning) = later_code(later);
            let meaning = meaning.map_or_else(|| format!("status code {later}"), str::to_owned);
            let separator: &[u8] = if message.is_empty() { b"" } else { b": " };
            (code, [meaning.as_bytes(), separator, message].concat())
        }
    };
    let length = u32::try_from(message.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    framed(&[&id[..], &code.to_be_bytes(), &length, &message, &[0; 4]].concat())
}

fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 1)
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    [&length[..], &[STATUS], body].concat()
}

/// Returns the message, or the part of it that is present.
fn message(rest: &[u8]) -> &[u8] {
    let Some((length, rest)) = rest.split_first_chunk::<4>() else {
        return &[];
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    &rest[..rest.len().min(length)]
}

/// Maps a code of later drafts (draft-ietf-secsh-filexfer-13 §9.1) to one of version 3 and its
/// meaning.
fn later_code(code: u32) -> (u32, Option<&'static str>) {
    match code {
        9 => (FAILURE, Some("invalid handle")),
        10 => (NO_SUCH_FILE, Some("no such path")),
        11 => (FAILURE, Some("the file already exists")),
        12 => (PERMISSION_DENIED, Some("write-protected")),
        13 => (FAILURE, Some("no media in the drive")),
        14 => (FAILURE, Some("no space left on the file system")),
        15 => (FAILURE, Some("quota exceeded")),
        16 => (FAILURE, Some("unknown principal")),
        17 => (FAILURE, Some("the file is locked")),
        18 => (FAILURE, Some("the directory is not empty")),
        19 => (FAILURE, Some("not a directory")),
        20 => (FAILURE, Some("invalid file name")),
        21 => (FAILURE, Some("too many links")),
        29 => (PERMISSION_DENIED, Some("not the owner")),
        30 => (PERMISSION_DENIED, Some("no permission for this group")),
        _ => (FAILURE, None),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn status(parts: &[&[u8]]) -> Vec<u8> {
        framed(&parts.concat())
    }

    fn text(text: &str) -> Vec<u8> {
        [
            &u32::try_from(text.len()).unwrap().to_be_bytes()[..],
            text.as_bytes(),
        ]
        .concat()
    }

    fn whole(code: u32, message: &str) -> Vec<u8> {
        status(&[
            &7_u32.to_be_bytes(),
            &code.to_be_bytes(),
            &text(message),
            &text(""),
        ])
    }

    #[test]
    fn a_status_of_any_length_and_code_is_one_of_version_3() {
        let id = 7_u32.to_be_bytes();
        let head = |code: u32| [id, code.to_be_bytes()].concat();
        let rows: Vec<(Vec<u8>, Vec<u8>)> = vec![
            (whole(4, "No space left"), whole(4, "No space left")),
            (status(&[&head(0)]), whole(0, "")),
            (status(&[&head(2), &text("gone")]), whole(2, "gone")),
            (status(&[&head(4), &text("cut")[..6]]), whole(4, "cu")),
            (status(&[&head(10)]), whole(2, "no such path")),
            (whole(11, "x"), whole(4, "the file already exists: x")),
            (status(&[&head(15)]), whole(4, "quota exceeded")),
            (whole(4711, "boo"), whole(4, "status code 4711: boo")),
            (status(&[&id]), whole(4, "")),
        ];
        for (sent, expected) in rows {
            assert_eq!(completed(&sent[HEADER_BYTES..]), expected, "{sent:?}");
        }
    }

    #[tokio::test]
    async fn packets_arrive_in_order_however_they_are_cut() {
        let data = [&6_u32.to_be_bytes()[..], &[103], &[101; 5]].concat();
        let short = status(&[&7_u32.to_be_bytes(), &15_u32.to_be_bytes()]);
        let sent = [&data[..], &short, &data, &whole(0, "")].concat();
        let expected = [&data[..], &whole(4, "quota exceeded"), &data, &whole(0, "")].concat();
        for piece in [1, 2, 3, 7, 1000] {
            let (mut server, client) = tokio::io::duplex(64);
            let (mut client, mut ended) = TolerantStream::new(client);
            let sent = sent.clone();
            let sending = tokio::spawn(async move {
                for part in sent.chunks(piece) {
                    server.write_all(part).await.unwrap();
                }
            });
            let mut received = Vec::new();
            client.read_to_end(&mut received).await.unwrap();
            sending.await.unwrap();
            assert_eq!(received, expected, "in pieces of {piece}");
            drop(client);
            assert!(ended.changed().await.is_err());
        }
    }
}
