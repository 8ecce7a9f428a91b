//! A request's body: whole, or streamed.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use hyper::body::{Body, Frame, SizeHint};
use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// What a request carries. Its length is known beforehand and stands in `content-length`.
pub struct Outgoing(Kind);

enum Kind {
    Whole(Bytes),
    Streamed { pieces: BoxStream<'static, io::Result<Bytes>>, left_bytes: u64 },
}

impl Outgoing {
    /// A body of `size_bytes`, made as it is sent. A stream that ends early, or that fails, breaks the request off.
    pub fn streamed(size_bytes: u64, pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self(Kind::Streamed { pieces: pieces.boxed(), left_bytes: size_bytes })
    }
}

impl From<Bytes> for Outgoing {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Whole(bytes))
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Outgoing({:?} bytes)", self.size_hint().exact())
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.0 {
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Streamed { pieces, left_bytes } => Poll::Ready(match ready!(pieces.poll_next_unpin(cx)) {
                None if *left_bytes > 0 => Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body is shorter than announced"))),
                None => None,
                Some(Err(error)) => Some(Err(error)),
                Some(Ok(piece)) => match left_bytes.checked_sub(piece.len() as u64) {
                    Some(left) => {
                        *left_bytes = left;
                        Some(Ok(Frame::data(piece)))
                    }
                    None => Some(Err(io::Error::new(io::ErrorKind::InvalidData, "the body is longer than announced"))),
                },
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Streamed { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.0 {
            Kind::Whole(bytes) => bytes.len() as u64,
            Kind::Streamed { left_bytes, .. } => *left_bytes,
        })
    }
}
