//! A request's body, whole or streamed.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use hyper::body::{Body, Frame, SizeHint};
use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

/// The body of a request. Its length is known in advance and sent as `content-length`.
pub struct Outgoing(Kind);

enum Kind {
    Whole(Bytes),
    Streamed {
        size_bytes: u64,
        pieces: SharedPieces,
    },
}

type SharedPieces = Arc<Mutex<Pieces>>;

/// A stream that one reader at a time uses: the request, or the one that replaces it.
struct Pieces {
    stream: BoxStream<'static, io::Result<Bytes>>,
    reader: u32,
    has_begun: bool,
}

impl Outgoing {
    /// Creates a body of `size_bytes` that is streamed. If the stream ends early or fails, the
    /// request is aborted.
    pub fn streamed(
        size_bytes: u64,
        pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Self {
        let pieces = Pieces {
            stream: pieces.boxed(),
            reader: 0,
            has_begun: false,
        };
        Self(Kind::Streamed {
            size_bytes,
            pieces: Arc::new(Mutex::new(pieces)),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Streamed { size_bytes, .. } => *size_bytes == 0,
        }
    }

    /// Returns the body for one request, or `None` if the stream has been read from, because those
    /// bytes cannot be sent again.
    pub(crate) fn body(&self) -> Option<reqwest::Body> {
        let (size_bytes, shared) = match &self.0 {
            Kind::Whole(bytes) => return Some(reqwest::Body::from(bytes.clone())),
            Kind::Streamed { size_bytes, pieces } => (*size_bytes, pieces),
        };
        let mut pieces = lock(shared);
        if pieces.has_begun {
            return None;
        }
        pieces.reader += 1;
        let reader = Reader {
            pieces: Arc::clone(shared),
            number: pieces.reader,
            left_bytes: size_bytes,
        };
        Some(reqwest::Body::wrap(reader))
    }
}

impl From<Bytes> for Outgoing {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Whole(bytes))
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size_bytes = match &self.0 {
            Kind::Whole(bytes) => bytes.len() as u64,
            Kind::Streamed { size_bytes, .. } => *size_bytes,
        };
        write!(out, "Outgoing({size_bytes} bytes)")
    }
}

fn lock(pieces: &SharedPieces) -> MutexGuard<'_, Pieces> {
    pieces.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The body of one request, read from a stream.
struct Reader {
    pieces: SharedPieces,
    number: u32,
    left_bytes: u64,
}

impl Body for Reader {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let next = {
            let mut pieces = lock(&self.pieces);
            if pieces.reader != self.number {
                return Poll::Ready(Some(Err(io::Error::other(
                    "another request sends this body",
                ))));
            }
            pieces.has_begun = true;
            ready!(pieces.stream.poll_next_unpin(cx))
        };
        let wrong = |kind, text| Poll::Ready(Some(Err(io::Error::new(kind, text))));
        match next {
            None if self.left_bytes > 0 => wrong(
                io::ErrorKind::UnexpectedEof,
                "the body is shorter than announced",
            ),
            None => Poll::Ready(None),
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            Some(Ok(piece)) => match self.left_bytes.checked_sub(piece.len() as u64) {
                Some(left_bytes) => {
                    self.left_bytes = left_bytes;
                    Poll::Ready(Some(Ok(Frame::data(piece))))
                }
                None => wrong(
                    io::ErrorKind::InvalidData,
                    "the body is longer than announced",
                ),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left_bytes)
    }
}
