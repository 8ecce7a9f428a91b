//! Cuts a payload into the parts of a multipart upload.

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _, stream};
use object_store::PutPayload;
use worker::{Payload, Pieces, Unavailable};

/// Cuts a payload into parts of `part_bytes`, of which the last one may be smaller. Nothing is
/// copied.
pub(crate) fn parts(
    payload: Payload,
    part_bytes: usize,
) -> impl Stream<Item = Result<PutPayload, Unavailable>> + Send {
    let splitter = PartSplitter {
        pieces: payload.into_pieces(),
        rest: Bytes::new(),
        part_bytes,
    };
    stream::try_unfold(splitter, PartSplitter::cut)
}

struct PartSplitter {
    pieces: Pieces,
    rest: Bytes,
    part_bytes: usize,
}

impl PartSplitter {
    async fn cut(mut self) -> Result<Option<(PutPayload, Self)>, Unavailable> {
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
        Ok((missing < self.part_bytes).then(|| (PutPayload::from_iter(part), self)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    async fn cut(
        declared: u64,
        pieces: &[&'static str],
        part_bytes: usize,
    ) -> Result<Vec<String>, Unavailable> {
        let pieces: Vec<Result<Bytes, Unavailable>> = pieces
            .iter()
            .map(|piece| Ok(Bytes::from_static(piece.as_bytes())))
            .collect();
        let parts: Vec<PutPayload> = parts(
            Payload::streamed(declared, stream::iter(pieces)),
            part_bytes,
        )
        .try_collect()
        .await?;
        Ok(parts
            .into_iter()
            .map(|part| String::from_utf8(Bytes::from(part).to_vec()).unwrap())
            .collect())
    }

    #[tokio::test]
    async fn parts_are_full_but_for_the_last() {
        assert_eq!(
            cut(9, &["ab", "cdefgh", "", "i"], 4).await.unwrap(),
            ["abcd", "efgh", "i"]
        );
        assert_eq!(cut(4, &["abcd"], 4).await.unwrap(), ["abcd"]);
        assert!(cut(0, &[], 4).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_payload_of_another_size_than_declared_is_refused() {
        for declared in [2, 4, 9] {
            assert!(cut(declared, &["abc"], 2).await.is_err(), "{declared}");
        }
    }
}
