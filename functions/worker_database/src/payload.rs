//! The bytes of a delivery, however many.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use worker::Unavailable;

/// A payload, read once from its beginning to its end.
pub struct Payload {
    size_bytes: u64,
    chunks: BoxStream<'static, Result<Bytes, Unavailable>>,
}

impl Payload {
    /// A payload that comes in chunks. An error is ours (where payloads are kept does not answer), never the destination's.
    pub fn stream(size_bytes: u64, chunks: BoxStream<'static, Result<Bytes, Unavailable>>) -> Self {
        Self { size_bytes, chunks }
    }

    /// Its length.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Unavailable> {
        self.chunks.next().await.transpose()
    }

    /// All of it. For payloads whose size has been looked at.
    pub(crate) async fn collect(mut self) -> Result<Bytes, Unavailable> {
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await? else { return Ok(first) };
        let mut all = BytesMut::with_capacity(usize::try_from(self.size_bytes).unwrap_or_default());
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        while let Some(chunk) = self.next().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self { size_bytes: bytes.len() as u64, chunks: stream::iter([Ok(bytes)]).boxed() }
    }
}
