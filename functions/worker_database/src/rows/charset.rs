//! Converts a payload to UTF-8 from the charset that its content type declares.

use bytes::Bytes;
use domain::media_type::charset;
use encoding_rs::{DecoderResult, Encoding, UTF_8};
use worker::{ConnectorError, Payload};

/// How many bytes are decoded at once. A decoded character has at most three bytes for each of its
/// own.
const PIECE_BYTES: usize = 64 << 10;

/// The labels of ASCII.
const ASCII: [&str; 2] = ["us-ascii", "ascii"];

/// A payload's bytes, decoded while they are read if they are not UTF-8.
pub(super) struct Characters {
    payload: Payload,
    decoder: Option<(encoding_rs::Decoder, &'static Encoding)>,
    is_at_end: bool,
}

impl Characters {
    /// Chooses the decoder by the `charset` of a content type. Without one, payloads are UTF-8.
    pub(super) fn new(content_type: &str, payload: Payload) -> Result<Self, ConnectorError> {
        let decoder = match charset(content_type) {
            // ASCII is valid UTF-8. The WHATWG standard maps this label to Windows-1252, which
            // would corrupt files that are in fact UTF-8.
            None => None,
            Some(label) if ASCII.iter().any(|ascii| label.eq_ignore_ascii_case(ascii)) => None,
            Some(label) => {
                let encoding = Encoding::for_label(label.as_bytes());
                let encoding = encoding.ok_or_else(|| {
                    ConnectorError::rejected(format!(
                        "the charset {label} of the payload is not known"
                    ))
                })?;
                (encoding != UTF_8).then(|| (encoding.new_decoder(), encoding))
            }
        };
        Ok(Self {
            payload,
            decoder,
            is_at_end: false,
        })
    }

    /// Returns the next bytes, or `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ConnectorError> {
        let Some((decoder, encoding)) = &mut self.decoder else {
            return Ok(self.payload.next().await?);
        };
        if self.is_at_end {
            return Ok(None);
        }
        let piece = self.payload.next().await?;
        self.is_at_end = piece.is_none();
        let mut decoded = String::new();
        decode(
            decoder,
            &piece.unwrap_or_default(),
            self.is_at_end,
            &mut decoded,
        )
        .map_err(|()| {
            ConnectorError::rejected(format!(
                "the payload is not {}, which its content type declares",
                encoding.name()
            ))
        })?;
        Ok(Some(decoded.into()))
    }
}

fn decode(
    decoder: &mut encoding_rs::Decoder,
    mut bytes: &[u8],
    is_last: bool,
    out: &mut String,
) -> Result<(), ()> {
    loop {
        out.reserve(PIECE_BYTES);
        let (result, read) = decoder.decode_to_string_without_replacement(bytes, out, is_last);
        bytes = &bytes[read..];
        match result {
            DecoderResult::InputEmpty => return Ok(()),
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => return Err(()),
        }
    }
}
