//! Compresses with zstd, reusing one context per thread: creating a context costs more than
//! compressing a delivery's record.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

/// Contexts grow with the size of their input. A longer text gets a context of its own, so that
/// threads keep little memory.
const KEPT_CONTEXT_BYTES_MAX: usize = 64 << 10;

thread_local! {
    static COMPRESSOR: RefCell<Compressor<'static>> = RefCell::default();
    static DECOMPRESSOR: RefCell<Decompressor<'static>> = RefCell::default();
}

/// Compresses `bytes` into a zstd frame with `dictionary`, which may be empty.
pub(super) fn compress(bytes: &[u8], level: i32, dictionary: &[u8]) -> Vec<u8> {
    let compress = |compressor: &mut Compressor<'static>| {
        compressor.set_dictionary(level, dictionary)?;
        compressor.compress(bytes)
    };
    let compressed = match bytes.len() <= KEPT_CONTEXT_BYTES_MAX {
        true => COMPRESSOR.with_borrow_mut(compress),
        false => compress(&mut Compressor::default()),
    };
    compressed.expect("compressing from memory into memory needs nothing but memory")
}

/// Decompresses `size` bytes from a frame that [`compress`] made with the same `dictionary`.
pub(super) fn decompress(frame: &[u8], size: usize, dictionary: &[u8]) -> io::Result<Vec<u8>> {
    let decompress = |decompressor: &mut Decompressor<'static>| {
        decompressor.set_dictionary(dictionary)?;
        decompressor.decompress(frame, size)
    };
    match size <= KEPT_CONTEXT_BYTES_MAX {
        true => DECOMPRESSOR.with_borrow_mut(decompress),
        false => decompress(&mut Decompressor::default()),
    }
}

/// Returns the decompressed length that a frame declares, if it does.
pub(super) fn content_size(frame: &[u8]) -> Option<usize> {
    let size = zstd::zstd_safe::get_frame_content_size(frame)
        .ok()
        .flatten()?;
    usize::try_from(size).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_context_remembers_no_dictionary_and_no_text() {
        let text = b"a record of what was sent and what came back".repeat(3);
        let other = b"something else altogether".repeat(5);
        for _ in 0..2 {
            let against = compress(&text, 6, &text);
            assert!(against.len() < 30, "{}", against.len());
            assert_eq!(decompress(&against, text.len(), &text).unwrap(), text);
            assert!(decompress(&against, text.len(), b"").is_err());

            let alone = compress(&other, 9, b"");
            assert_eq!(alone, zstd::bulk::compress(&other, 9).unwrap());
            assert_eq!(content_size(&alone), Some(other.len()));
            assert_eq!(decompress(&alone, other.len(), b"").unwrap(), other);
        }
    }

    #[test]
    fn a_long_text_survives_between_short_ones() {
        let long: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let short = b"short".repeat(20);
        for text in [&short, &long, &short] {
            assert_eq!(
                decompress(&compress(text, 9, b""), text.len(), b"").unwrap(),
                *text
            );
        }
        assert!(decompress(b"no frame", 10, b"").is_err());
        assert_eq!(
            decompress(&compress(&short, 9, b""), short.len(), b"").unwrap(),
            short
        );
    }
}
