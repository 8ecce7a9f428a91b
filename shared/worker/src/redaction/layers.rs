//! Decodes the escapes and encodings of a text, and maps each decoded byte back to its source.
//!
//! A receiver may return a secret as it was sent; escaped for JSON, HTML, a URL or e-mail
//! (quoted-printable); in base64 or hexadecimal; split over lines; or with one of these inside
//! another. Each decoding of the text is a [`Layer`], which is decoded again up to [`DEPTH_MAX`]
//! times.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// How many nested encodings are decoded.
const DEPTH_MAX: usize = 3;
/// The longest text that is searched, in bytes. Connectors keep about a tenth of that from an
/// answer.
const TEXT_BYTES_MAX: usize = 128 << 10;
/// The most bytes that all layers of one text may have together. Only a text that was made to
/// exhaust the search decodes to more.
const LAYERS_BYTES_MAX: usize = 2 << 20;

/// A decoding of a text.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) bytes: Vec<u8>,
    /// For each byte, the range of source bytes that it was decoded from.
    from: Vec<(usize, usize)>,
}

/// The text decodes to more than can be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooDeep;

/// An encoding of bytes whose characters have a fixed number of bits.
struct Encoding {
    bits: usize,
    /// The number of characters that together stand for whole bytes.
    group: usize,
    /// Returns the character that stands for this byte in the decoded alphabet.
    symbol: fn(u8) -> Option<u8>,
    /// Decodes a text of the alphabet. Bits at its end that are not a byte are ignored.
    decode: fn(&[u8]) -> Vec<u8>,
}

/// Base64 in either alphabet (RFC 4648, 4 and 5).
const BASE64: Encoding = Encoding {
    bits: 6,
    group: 4,
    symbol: |byte| match byte {
        b'-' => Some(b'+'),
        b'_' => Some(b'/'),
        b'+' | b'/' => Some(byte),
        _ => byte.is_ascii_alphanumeric().then_some(byte),
    },
    decode: |text| {
        let whole = text.len() - usize::from(text.len() % 4 == 1);
        UNPADDED.decode(&text[..whole]).unwrap_or_default()
    },
};

const UNPADDED: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Hexadecimal in either case (RFC 4648, 8).
const HEXADECIMAL: Encoding = Encoding {
    bits: 4,
    group: 2,
    symbol: |byte| byte.is_ascii_hexdigit().then_some(byte),
    decode: |text| hex::decode(&text[..text.len() & !1]).unwrap_or_default(),
};

impl Layer {
    fn of(text: &str) -> Self {
        let from = (0..text.len()).map(|at| (at, at + 1)).collect();
        Self {
            bytes: text.as_bytes().to_vec(),
            from,
        }
    }

    fn empty(capacity: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
            from: Vec::with_capacity(capacity),
        }
    }

    /// Returns the range of the source for `bytes[start..end]`. `start` must be before `end`.
    pub(super) fn source(&self, start: usize, end: usize) -> (usize, usize) {
        (self.from[start].0, self.from[end - 1].1)
    }

    fn push(&mut self, decoded: &[u8], from: (usize, usize)) {
        self.bytes.extend_from_slice(decoded);
        self.from.extend(std::iter::repeat_n(from, decoded.len()));
    }

    /// Separates two runs, so that no secret is found across them.
    fn separate(&mut self) {
        if let Some((_, end)) = self.from.last().copied() {
            self.push(&[0], (end, end));
        }
    }

    /// Returns this layer with each escape decoded, or `None` if it contains no escape. `unescape`
    /// returns the decoded bytes and the length of the escape at the start of its argument.
    fn unescaped(&self, unescape: impl Fn(&[u8]) -> Option<(Vec<u8>, usize)>) -> Option<Self> {
        let (mut decoded, mut at, mut changed) = (Self::empty(self.bytes.len()), 0, false);
        while at < self.bytes.len() {
            if let Some((bytes, length)) = unescape(&self.bytes[at..]) {
                decoded.push(&bytes, self.source(at, at + length));
                (at, changed) = (at + length, true);
            } else {
                decoded.push(&self.bytes[at..=at], self.from[at]);
                at += 1;
            }
        }
        changed.then_some(decoded)
    }

    /// Returns the runs of at least `chars_min` characters of one alphabet, with the position of
    /// each character. Line breaks do not end a run, because MIME wraps lines.
    fn runs(&self, chars_min: usize, symbol: fn(u8) -> Option<u8>) -> Vec<Vec<(usize, u8)>> {
        let (mut runs, mut run) = (Vec::new(), Vec::new());
        for (at, byte) in self.bytes.iter().enumerate() {
            match symbol(*byte) {
                Some(symbol) => run.push((at, symbol)),
                None if matches!(byte, b'\r' | b'\n') && !run.is_empty() => {}
                None => runs.push(std::mem::take(&mut run)),
            }
        }
        runs.push(run);
        runs.retain(|run| run.len() >= chars_min);
        runs
    }

    /// Decodes the runs that stand for at least `bytes_min` bytes, at each alignment.
    fn decoded(&self, bytes_min: usize, encoding: &Encoding) -> Vec<Self> {
        let bits = encoding.bits;
        let runs = self.runs((bytes_min * 8).div_ceil(bits), encoding.symbol);
        if runs.is_empty() {
            return Vec::new();
        }
        let aligned = |alignment: usize| {
            let mut layer = Self::empty(self.bytes.len());
            for run in &runs {
                layer.separate();
                let run = &run[alignment..];
                let text: Vec<u8> = run.iter().map(|(_, symbol)| *symbol).collect();
                for (index, byte) in (encoding.decode)(&text).into_iter().enumerate() {
                    let (first, _) = run[index * 8 / bits];
                    let (last, _) = run[(index * 8 + 7) / bits];
                    layer.push(&[byte], (self.from[first].0, self.from[last].1));
                }
            }
            layer
        };
        (0..encoding.group).map(aligned).collect()
    }

    /// Returns all decodings of this layer that have at least `bytes_min` bytes.
    fn readings(&self, bytes_min: usize) -> Vec<Self> {
        let unescaped = [
            self.unescaped(percent),
            self.unescaped(backslash),
            self.unescaped(entity),
            self.unescaped(quoted_printable),
            self.unescaped(white_space),
        ];
        let mut readings: Vec<Self> = unescaped.into_iter().flatten().collect();
        readings.extend(self.decoded(bytes_min, &BASE64));
        readings.extend(self.decoded(bytes_min, &HEXADECIMAL));
        readings.retain(|layer| layer.bytes.len() >= bytes_min);
        readings
    }
}

/// Returns the text and all its decodings of at least `bytes_min` bytes. A decoding is never longer
/// than its source.
pub(super) fn layers(text: &str, bytes_min: usize) -> Result<Vec<Layer>, TooDeep> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(TooDeep);
    }
    let mut all = vec![Layer::of(text)];
    let (mut start, mut size) = (0, text.len());
    for _ in 0..DEPTH_MAX {
        let end = all.len();
        for at in start..end {
            let readings = all[at].readings(bytes_min.max(1));
            size += readings
                .iter()
                .map(|layer| layer.bytes.len())
                .sum::<usize>();
            if size > LAYERS_BYTES_MAX {
                return Err(TooDeep);
            }
            all.extend(readings);
        }
        start = end;
    }
    Ok(all)
}

/// Decodes `%2F` (RFC 3986, 2.1).
fn percent(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let digits = text.strip_prefix(b"%")?.get(..2)?;
    Some((hex::decode(digits).ok()?, 3))
}

/// Decodes `=2F` and soft line breaks (RFC 2045, 6.7).
fn quoted_printable(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let rest = text.strip_prefix(b"=")?;
    for line_break in [&b"\r\n"[..], b"\n"] {
        if rest.starts_with(line_break) {
            return Some((Vec::new(), 1 + line_break.len()));
        }
    }
    Some((hex::decode(rest.get(..2)?).ok()?, 3))
}

/// Removes white space, which separates the parts of a secret that was split over lines.
fn white_space(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    text.first()?
        .is_ascii_whitespace()
        .then_some((Vec::new(), 1))
}

/// Decodes `\"`, `\/`, `\n` and `\u0041` (RFC 8259, 7), and JavaScript's `\x41` and `\'`.
fn backslash(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let rest = text.strip_prefix(b"\\")?;
    let one = |byte: u8| Some((vec![byte], 2));
    match rest.first()? {
        b'n' => one(b'\n'),
        b'r' => one(b'\r'),
        b't' => one(b'\t'),
        b'b' => one(8),
        b'f' => one(12),
        b'x' => Some((encoded(hexadecimal(rest.get(1..3)?)?)?, 4)),
        b'u' => unicode(rest),
        byte if byte.is_ascii_punctuation() => one(*byte),
        _ => None,
    }
}

/// Decodes `u0041`, or the surrogate pair of a character beyond the basic plane.
fn unicode(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let high = hexadecimal(rest.get(1..5)?)?;
    if !(0xd800..0xdc00).contains(&high) {
        return Some((encoded(high)?, 6));
    }
    let low = rest
        .get(5..11)?
        .strip_prefix(b"\\u")
        .and_then(hexadecimal)
        .filter(|low| (0xdc00..0xe000).contains(low))?;
    Some((
        encoded(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))?,
        12,
    ))
}

/// Decodes `&amp;`, `&#47;` and `&#x2F;` (HTML, 13.5), with the names that escaping functions
/// write.
fn entity(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    const NAMES: [(&[u8], u8); 22] = [
        (b"amp", b'&'),
        (b"lt", b'<'),
        (b"gt", b'>'),
        (b"quot", b'"'),
        (b"apos", b'\''),
        (b"sol", b'/'),
        (b"plus", b'+'),
        (b"equals", b'='),
        (b"colon", b':'),
        (b"period", b'.'),
        (b"quest", b'?'),
        (b"num", b'#'),
        (b"percnt", b'%'),
        (b"commat", b'@'),
        (b"excl", b'!'),
        (b"dollar", b'$'),
        (b"lowbar", b'_'),
        (b"ast", b'*'),
        (b"semi", b';'),
        (b"comma", b','),
        (b"grave", b'`'),
        (b"bsol", b'\\'),
    ];
    let rest = text.strip_prefix(b"&")?;
    let Some(number) = rest.strip_prefix(b"#") else {
        let end = rest.iter().take(8).position(|byte| *byte == b';')?;
        let (_, byte) = NAMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(&rest[..end]))?;
        return Some((vec![*byte], end + 2));
    };
    let (digits, radix, before) = match number
        .strip_prefix(b"x")
        .or_else(|| number.strip_prefix(b"X"))
    {
        Some(digits) => (digits, 16, 3),
        None => (number, 10, 2),
    };
    let length = digits
        .iter()
        .take(7)
        .take_while(|byte| char::from(**byte).is_digit(radix))
        .count();
    let value = u32::from_str_radix(std::str::from_utf8(&digits[..length]).ok()?, radix).ok()?;
    let closed = usize::from(digits.get(length) == Some(&b';'));
    Some((encoded(value)?, before + length + closed))
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| {
        Some(value << 4 | char::from(*digit).to_digit(16)?)
    })
}

/// Encodes a character in UTF-8.
fn encoded(value: u32) -> Option<Vec<u8>> {
    Some(char::from_u32(value)?.to_string().into_bytes())
}
