//! What is delivered: in memory, or piece by piece.

use std::io;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::PutPayload;

/// Pieces of a payload, in their order.
pub type Pieces = BoxStream<'static, io::Result<Bytes>>;

/// A payload of known size.
pub struct Payload {
    size_bytes: u64,
    pieces: Pieces,
}

impl Payload {
    /// All of it in memory.
    pub fn whole(bytes: Bytes) -> Self {
        Self { size_bytes: bytes.len() as u64, pieces: stream::iter([Ok(bytes)]).boxed() }
    }

    /// As it comes: exactly `size_bytes`, or the attempt fails.
    pub fn streamed(size_bytes: u64, pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self { size_bytes, pieces: pieces.boxed() }
    }

    /// How much there is.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(crate) fn into_pieces(self) -> Pieces {
        self.pieces
    }

    /// All of it. Only for payloads known to be small.
    pub(crate) async fn collect(mut self) -> io::Result<Bytes> {
        let expected = usize::try_from(self.size_bytes).map_err(io::Error::other)?;
        let mut pieces: Vec<Bytes> = Vec::new();
        let mut size = 0;
        while let Some(piece) = self.pieces.try_next().await? {
            size += piece.len();
            if size > expected {
                return Err(longer());
            }
            pieces.push(piece);
        }
        match pieces.len() {
            _ if size < expected => Err(shorter()),
            0 => Ok(Bytes::new()),
            1 => Ok(pieces.remove(0)),
            _ => Ok(pieces
                .iter()
                .fold(BytesMut::with_capacity(size), |mut all, piece| {
                    all.extend_from_slice(piece);
                    all
                })
                .freeze()),
        }
    }

    /// Cut into parts of `part_bytes`, the last one smaller. Nothing is copied.
    pub(crate) fn into_parts(self, part_bytes: usize) -> impl Stream<Item = io::Result<PutPayload>> + Send {
        let cutter = Cutter { pieces: self.pieces, rest: Bytes::new(), left_bytes: self.size_bytes, part_bytes };
        stream::try_unfold(cutter, Cutter::cut)
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payload({} bytes)", self.size_bytes)
    }
}

struct Cutter {
    pieces: Pieces,
    rest: Bytes,
    left_bytes: u64,
    part_bytes: usize,
}

impl Cutter {
    async fn cut(mut self) -> io::Result<Option<(PutPayload, Self)>> {
        let mut part = Vec::new();
        let mut missing = self.part_bytes;
        while missing > 0 {
            if self.rest.is_empty() {
                match self.pieces.try_next().await? {
                    Some(piece) => self.rest = piece,
                    None => break,
                }
            }
            let taken = self.rest.split_to(self.rest.len().min(missing));
            missing -= taken.len();
            part.push(taken);
        }
        let size_bytes = (self.part_bytes - missing) as u64;
        if size_bytes == 0 {
            return if self.left_bytes == 0 { Ok(None) } else { Err(shorter()) };
        }
        self.left_bytes = self.left_bytes.checked_sub(size_bytes).ok_or_else(longer)?;
        Ok(Some((PutPayload::from_iter(part), self)))
    }
}

fn shorter() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the payload is shorter than it is said to be")
}

fn longer() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the payload is longer than it is said to be")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn payload(said: u64, pieces: &[&'static str]) -> Payload {
        let pieces: Vec<io::Result<Bytes>> = pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))).collect();
        Payload::streamed(said, stream::iter(pieces))
    }

    async fn cut(payload: Payload, part_bytes: usize) -> io::Result<Vec<String>> {
        let parts: Vec<PutPayload> = payload.into_parts(part_bytes).try_collect().await?;
        Ok(parts.into_iter().map(|part| String::from_utf8(Bytes::from(part).to_vec()).unwrap()).collect())
    }

    #[tokio::test]
    async fn parts_are_full_but_for_the_last() {
        assert_eq!(cut(payload(9, &["ab", "cdefgh", "", "i"]), 4).await.unwrap(), ["abcd", "efgh", "i"]);
        assert_eq!(cut(payload(4, &["abcd"]), 4).await.unwrap(), ["abcd"]);
        assert!(cut(payload(0, &[]), 4).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_payload_of_another_size_than_said_is_refused() {
        for said in [2, 4, 9] {
            assert!(cut(payload(said, &["abc"]), 2).await.is_err(), "{said}");
            assert!(payload(said, &["abc"]).collect().await.is_err(), "{said}");
        }
        assert_eq!(payload(3, &["a", "bc"]).collect().await.unwrap(), "abc");
    }
}
