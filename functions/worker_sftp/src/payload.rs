//! What is delivered: bytes at hand, or a stream of them.

use std::io;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

/// The bytes of one delivery. A stream is read as fast as it can be sent, never faster.
pub struct Payload {
    /// How many there are.
    pub size_bytes: u64,
    /// The bytes.
    pub content: Content,
}

/// Bytes at hand, or a stream of them.
pub enum Content {
    /// All of them.
    Bytes(Bytes),
    /// In pieces of any size.
    Stream(BoxStream<'static, io::Result<Bytes>>),
}

impl Payload {
    /// Bytes at hand.
    #[must_use]
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { size_bytes: bytes.len() as u64, content: Content::Bytes(bytes) }
    }

    /// A stream that will have this many.
    #[must_use]
    pub fn stream(size_bytes: u64, stream: BoxStream<'static, io::Result<Bytes>>) -> Self {
        Self { size_bytes, content: Content::Stream(stream) }
    }

    pub(crate) fn into_stream(self) -> BoxStream<'static, io::Result<Bytes>> {
        match self.content {
            Content::Bytes(bytes) => stream::iter([Ok(bytes)]).boxed(),
            Content::Stream(stream) => stream,
        }
    }
}
