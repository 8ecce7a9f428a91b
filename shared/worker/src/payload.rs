//! The payload of a delivery, in memory or as a stream.

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use store::OwnObject;

use crate::Unavailable;
use crate::dependency::Watch;

/// The pieces of a payload in their order. An error is a failure of Waybill, because the payload's
/// storage does not answer.
pub type Pieces = BoxStream<'static, Result<Bytes, Unavailable>>;

/// The payload of one delivery. It is read once, from beginning to end, and no faster than it can
/// be sent.
pub struct Payload {
    size_bytes: u64,
    content: Content,
    own_object: Option<OwnObject>,
}

enum Content {
    InMemory(Bytes),
    Streamed(Pieces),
}

impl Payload {
    /// Creates a payload that is in memory.
    #[must_use]
    pub fn in_memory(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            size_bytes: bytes.len() as u64,
            content: Content::InMemory(bytes),
            own_object: None,
        }
    }

    /// Creates a payload from a stream of pieces of any size. Reading fails if they are not exactly
    /// `size_bytes` bytes.
    pub fn streamed(
        size_bytes: u64,
        pieces: impl Stream<Item = Result<Bytes, Unavailable>> + Send + 'static,
    ) -> Self {
        Self {
            size_bytes,
            content: Content::Streamed(counted(size_bytes, pieces.boxed()).boxed()),
            own_object: None,
        }
    }

    /// Returns the payload with its reads watched.
    pub(crate) fn watched(self, watch: &Watch) -> Self {
        let content = match self.content {
            Content::Streamed(pieces) => Content::Streamed(watch.pieces(pieces)),
            in_memory @ Content::InMemory(_) => in_memory,
        };
        Self { content, ..self }
    }

    /// Returns the payload with the object in S3 that holds it, if the function may read that with
    /// its own role.
    #[must_use]
    pub fn with_own_object(self, own_object: Option<OwnObject>) -> Self {
        Self { own_object, ..self }
    }

    /// Returns the object in S3 that holds the payload, if the function may read it with its own
    /// role.
    #[must_use]
    pub fn own_object(&self) -> Option<&OwnObject> {
        self.own_object.as_ref()
    }

    /// Returns the size of the payload.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Returns the whole payload if it is in memory.
    #[must_use]
    pub fn bytes_in_memory(&self) -> Option<&Bytes> {
        match &self.content {
            Content::InMemory(bytes) => Some(bytes),
            Content::Streamed(_) => None,
        }
    }

    /// Returns the next bytes, or `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Unavailable> {
        match &mut self.content {
            Content::InMemory(bytes) if bytes.is_empty() => Ok(None),
            Content::InMemory(bytes) => Ok(Some(std::mem::take(bytes))),
            Content::Streamed(pieces) => pieces.next().await.transpose(),
        }
    }

    /// Reads the whole payload into memory. The caller has checked its size.
    pub async fn collect(self) -> Result<Bytes, Unavailable> {
        let pieces = match self.content {
            Content::InMemory(bytes) => return Ok(bytes),
            Content::Streamed(pieces) => pieces,
        };
        let all = BytesMut::with_capacity(usize::try_from(self.size_bytes).unwrap_or(0));
        let join = |mut all: BytesMut, piece: Bytes| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        };
        Ok(pieces.try_fold(all, join).await?.freeze())
    }

    /// Returns the payload as a stream of pieces.
    #[must_use]
    pub fn into_pieces(self) -> Pieces {
        match self.content {
            Content::InMemory(bytes) => stream::iter([Ok(bytes)]).boxed(),
            Content::Streamed(pieces) => pieces,
        }
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payload({} bytes)", self.size_bytes)
    }
}

/// Returns the pieces, followed by an error if they are not `size_bytes` bytes in total. Content of
/// another size than the stored payload must not be delivered.
fn counted(
    size_bytes: u64,
    pieces: Pieces,
) -> impl Stream<Item = Result<Bytes, Unavailable>> + Send {
    stream::try_unfold((pieces, size_bytes), |(mut pieces, left)| async move {
        match pieces.try_next().await? {
            None if left > 0 => Err(Unavailable::new(format!(
                "the payload ends {left} bytes too early"
            ))),
            None => Ok(None),
            Some(piece) => match left.checked_sub(piece.len() as u64) {
                Some(left) => Ok(Some((piece, (pieces, left)))),
                None => Err(Unavailable::new(
                    "the payload is longer than its recorded size",
                )),
            },
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(said: u64, pieces: &[&'static str]) -> Payload {
        let pieces: Vec<Result<Bytes, Unavailable>> = pieces
            .iter()
            .map(|piece| Ok(Bytes::from_static(piece.as_bytes())))
            .collect();
        Payload::streamed(said, stream::iter(pieces))
    }

    #[tokio::test]
    async fn a_payload_of_another_size_than_said_is_not_delivered() {
        for said in [2, 4, 9] {
            assert!(payload(said, &["abc"]).collect().await.is_err(), "{said}");
        }
        assert_eq!(payload(3, &["a", "bc"]).collect().await.unwrap(), "abc");
        assert_eq!(payload(0, &[]).collect().await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_payload_in_memory_is_one_piece() {
        let mut payload = Payload::in_memory(Bytes::from_static(b"abc"));
        assert_eq!(payload.bytes_in_memory().map(Bytes::len), Some(3));
        assert_eq!(payload.next().await.unwrap().unwrap(), "abc");
        assert_eq!(payload.next().await.unwrap(), None);
    }
}
