//! Decodes the body of an answer to text: removes its content codings (RFC 9110, §8.4) and applies
//! its charset (§8.3.2).
//!
//! Decoding takes bounded time and memory whatever a receiver sends. A body that cannot be decoded
//! is described instead of shown.

use std::io::Read;

use domain::media_type;
use encoding_rs::{Encoding, UTF_8};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// The largest number of bytes that are decoded of one body.
const DECODED_BYTES_MAX: usize = 64 * 1024;
/// The largest number of codings on one body. More are a mistake or an attack.
const CODINGS_MAX: usize = 3;
/// The largest window of a zstd frame that is decoded, as a power of two: 8 MiB, the limit that RFC
/// 9659 sets for senders.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];

/// The beginning of a body as text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) text: String,
    /// Whether the body continues after this text.
    pub(crate) is_cut: bool,
}

/// Whether more of the body has to be read than is kept, because decoding changes its length.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    !codings(headers).is_empty() || charset(headers).is_some_and(|charset| charset != UTF_8)
}

/// Decodes the beginning of a body. `is_cut` says that the body continues after `bytes`.
pub(crate) fn decode(headers: &HeaderMap, bytes: &[u8], is_cut: bool) -> Decoded {
    let mut codings = codings(headers);
    if codings.is_empty() && bytes.starts_with(&GZIP_MAGIC) {
        codings.push("gzip".to_owned());
    }
    if codings.is_empty() || bytes.is_empty() {
        return Decoded {
            text: text(headers, bytes),
            is_cut,
        };
    }
    match undo_all(&codings, bytes) {
        Some((decoded, ended_early)) => Decoded {
            text: text(headers, &decoded),
            is_cut: is_cut || ended_early,
        },
        None => {
            let more = if is_cut { "more than " } else { "" };
            let text = format!(
                "[compressed with {}, {more}{} bytes; it cannot be shown]",
                codings.join(", "),
                bytes.len()
            );
            Decoded { text, is_cut }
        }
    }
}

/// Returns the codings in the order in which they were applied.
fn codings(headers: &HeaderMap) -> Vec<String> {
    let values = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let names = values
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase());
    names
        .filter(|name| !name.is_empty() && name != "identity")
        .collect()
}

/// Removes the codings, the last one first. Returns `None` if one is unknown or the bytes cannot be
/// decoded.
fn undo_all(codings: &[String], bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    if codings.len() > CODINGS_MAX {
        return None;
    }
    let (mut decoded, mut ended_early) = (bytes.to_vec(), false);
    for coding in codings.iter().rev() {
        let (next, cut) = undo(coding, &decoded)?;
        (decoded, ended_early) = (next, ended_early || cut);
    }
    Some((decoded, ended_early))
}

fn undo(coding: &str, bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    match coding {
        "gzip" | "x-gzip" => beginning(MultiGzDecoder::new(bytes)),
        // RFC 9110 defines `deflate` as zlib, but some servers send raw deflate.
        "deflate" => {
            beginning(ZlibDecoder::new(bytes)).or_else(|| beginning(DeflateDecoder::new(bytes)))
        }
        "zstd" => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).ok()?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).ok()?;
            beginning(decoder)
        }
        _ => None,
    }
}

/// Reads the beginning of a decoder's output, and reports whether the output continues or broke
/// off. Returns `None` if decoding fails before the first byte.
fn beginning(mut decoder: impl Read) -> Option<(Vec<u8>, bool)> {
    let mut decoded = Vec::new();
    let mut buffer = [0; 4096];
    while decoded.len() < DECODED_BYTES_MAX {
        match decoder.read(&mut buffer) {
            Ok(0) => return Some((decoded, false)),
            Ok(read) => decoded.extend_from_slice(&buffer[..read]),
            Err(_) if decoded.is_empty() => return None,
            Err(_) => break,
        }
    }
    Some((decoded, true))
}

fn text(headers: &HeaderMap, bytes: &[u8]) -> String {
    let declared =
        charset(headers).or_else(|| Encoding::for_bom(bytes).map(|(encoding, _)| encoding));
    declared.unwrap_or(UTF_8).decode(bytes).0.into_owned()
}

/// Returns the charset that the media type declares, if the WHATWG encoding standard knows it.
fn charset(headers: &HeaderMap) -> Option<&'static Encoding> {
    let label = media_type::charset(headers.get(CONTENT_TYPE)?.to_str().ok()?)?;
    Encoding::for_label(label.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const TEXT: &str = r#"{"error": "no such hook: é"}"#;

    fn headers(coding: &str, media_type: &str) -> HeaderMap {
        let pairs = [(CONTENT_ENCODING, coding), (CONTENT_TYPE, media_type)];
        pairs
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name, value.parse().unwrap()))
            .collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn shown(coding: &str, bytes: &[u8]) -> String {
        decode(&headers(coding, "application/json"), bytes, false).text
    }

    #[test]
    fn every_coding_that_is_known_is_undone() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(TEXT.as_bytes()).unwrap();
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(TEXT.as_bytes()).unwrap();
        let zstd = zstd::bulk::compress(TEXT.as_bytes(), 3).unwrap();
        let cases = [
            ("gzip", gzip(TEXT.as_bytes())),
            ("X-GZip", gzip(TEXT.as_bytes())),
            ("", gzip(TEXT.as_bytes())),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", deflate.finish().unwrap()),
            ("zstd", zstd.clone()),
            ("identity", TEXT.into()),
            ("zstd, gzip", gzip(&zstd)),
        ];
        for (coding, bytes) in cases {
            assert_eq!(shown(coding, &bytes), TEXT, "{coding}");
        }
    }

    #[test]
    fn an_undecodable_body_is_described_as_compressed() {
        for (coding, bytes) in [
            ("br", &b"\x0b\x02\x80hello\x03"[..]),
            ("gzip", b"not gzip"),
            ("gzip, gzip, gzip, gzip", b"x"),
        ] {
            let text = shown(coding, bytes);
            assert!(
                text.starts_with(&format!("[compressed with {coding}, {} bytes", bytes.len())),
                "{text}"
            );
        }
        assert_eq!(shown("gzip", b""), "");
    }

    #[test]
    fn a_body_that_is_cut_or_a_bomb_is_decoded_as_far_as_it_goes() {
        let noise: String = (0..4000_u32)
            .map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 27) as u8 % 26))
            .collect();
        let whole = gzip(noise.as_bytes());
        let cut = decode(&headers("gzip", ""), &whole[..whole.len() / 2], true);
        assert!(cut.is_cut && !cut.text.is_empty() && noise.starts_with(&cut.text));
        let bomb = gzip(&vec![0; 32 << 20]);
        assert!(bomb.len() < 64 * 1024);
        let bomb = decode(&headers("gzip", ""), &bomb, false);
        assert!(bomb.is_cut && bomb.text.len() <= DECODED_BYTES_MAX + 4096);
    }

    #[test]
    fn a_declared_charset_is_read() {
        let (latin, _, _) = encoding_rs::WINDOWS_1252.encode("Fehler: ungültig – 5 €");
        for label in ["iso-8859-1", "\"windows-1252\"", "LATIN1"] {
            let headers = headers("", &format!("text/plain; x=y; Charset={label}"));
            assert!(is_encoded(&headers));
            assert_eq!(
                decode(&headers, &latin, false).text,
                "Fehler: ungültig – 5 €",
                "{label}"
            );
        }
        let (japanese, _, _) = encoding_rs::SHIFT_JIS.encode("無効");
        assert_eq!(
            decode(
                &headers("gzip", "text/html; charset=shift_jis"),
                &gzip(&japanese),
                false
            )
            .text,
            "無効"
        );
        assert_eq!(
            decode(&headers("", "text/plain"), b"\xff\xfeh\x00i\x00", false).text,
            "hi"
        );
        assert!(
            !is_encoded(&headers("", "text/plain; charset=utf-8"))
                && !is_encoded(&headers("", "text/plain; charset=none-such"))
        );
    }
}
