//! The part of HTTP/2 (RFC 9113) that a receiver with prepared frames needs.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::Turn;

/// `:status: 200`, entry 8 of the static table (RFC 7541, appendix A).
pub(super) const STATUS_200: &[u8] = &[0x88];

const PREFACE_BYTES: usize = 24;
const FRAME_BYTES_MAX: usize = 16_384;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
const CONTINUATION: u8 = 0x9;
const ACK: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

const NO_ERROR: u32 = 0x0;
const REFUSED_STREAM: u32 = 0x7;

/// Returns a header block: status 200 and `count` headers of 100 bytes, each a literal without
/// indexing.
pub(super) fn head(count: usize) -> Vec<u8> {
    let mut block = STATUS_200.to_vec();
    for number in 0..count {
        let name = format!("x-{number:08}");
        block.extend([0x00, 10]);
        block.extend(name.as_bytes());
        block.push(90);
        block.extend([b'v'; 90]);
    }
    block
}

/// Serves until the script or the client ends the connection. Returns the turn that ended it.
pub(super) async fn serve(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    next: impl Fn() -> Turn,
) -> Option<Turn> {
    stream.read_exact(&mut [0; PREFACE_BYTES]).await.ok()?;
    write(stream, SETTINGS, 0, 0, &[]).await?;
    let mut last_answered = 0;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await.ok()?;
        let id = u32::from_be_bytes(id);
        match kind {
            SETTINGS if flags & ACK == 0 => write(stream, SETTINGS, ACK, 0, &[]).await?,
            PING if flags & ACK == 0 => write(stream, PING, ACK, 0, &payload).await?,
            HEADERS | DATA if flags & END_STREAM != 0 => match next() {
                Turn::Answer(block) => {
                    last_answered = id;
                    answer(stream, id, &block).await?;
                }
                Turn::AnswerAfter(delay, block) => {
                    tokio::time::sleep(delay).await;
                    last_answered = id;
                    answer(stream, id, &block).await?;
                }
                Turn::Refuse => {
                    write(stream, RST_STREAM, 0, id, &REFUSED_STREAM.to_be_bytes()).await?
                }
                Turn::GoAway => {
                    let payload =
                        [u32::to_be_bytes(last_answered), NO_ERROR.to_be_bytes()].concat();
                    write(stream, GOAWAY, 0, 0, &payload).await?;
                    let _ = stream.shutdown().await;
                    return Some(Turn::GoAway);
                }
                Turn::FallSilent => std::future::pending().await,
                turn => return Some(turn),
            },
            _ => {}
        }
    }
}

async fn answer(stream: &mut (impl AsyncWrite + Unpin), id: u32, block: &[u8]) -> Option<()> {
    let mut pieces = block.chunks(FRAME_BYTES_MAX).peekable();
    let mut kind = HEADERS;
    while let Some(piece) = pieces.next() {
        let ends_headers = if pieces.peek().is_none() {
            END_HEADERS
        } else {
            0
        };
        let ends_stream = if kind == HEADERS { END_STREAM } else { 0 };
        write(stream, kind, ends_headers | ends_stream, id, piece).await?;
        kind = CONTINUATION;
    }
    Some(())
}

async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    kind: u8,
    flags: u8,
    id: u32,
    payload: &[u8],
) -> Option<()> {
    let length = u32::try_from(payload.len()).ok()?.to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(id.to_be_bytes());
    frame.extend(payload);
    stream.write_all(&frame).await.ok()?;
    stream.flush().await.ok()
}
