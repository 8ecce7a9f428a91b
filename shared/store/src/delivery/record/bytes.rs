//! Encodes numbers as varints and texts with a terminating zero.

/// The error for bytes that are not a record.
#[derive(Debug, thiserror::Error)]
#[error("the attempt's record is unreadable: {0}")]
pub(crate) struct Unreadable(String);

impl Unreadable {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

const END: u8 = 0;
/// Precedes a byte that equals [`END`] or `ESCAPE`; that byte is stored plus one.
const ESCAPE: u8 = 1;

#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    /// Writes seven bits per byte, least significant first.
    pub(super) fn number(&mut self, mut number: u64) -> &mut Self {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8)
    }

    /// Writes the sign into the lowest bit, so that small numbers of either sign are short.
    pub(super) fn signed(&mut self, number: i64) -> &mut Self {
        self.number(((number << 1) ^ (number >> 63)) as u64)
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for byte in text.bytes() {
            match byte {
                END | ESCAPE => self.0.extend([ESCAPE, byte + 1]),
                _ => self.0.push(byte),
            }
        }
        self.byte(END)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Unreadable> {
        let (first, rest) = self
            .0
            .split_first()
            .ok_or_else(|| Unreadable::new("it ends early"))?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn number<T: TryFrom<u64>>(&mut self) -> Result<T, Unreadable> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return T::try_from(number).map_err(|_| Unreadable::new("a number out of range"));
            }
        }
        Err(Unreadable::new("a number without an end"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, Unreadable> {
        let number: u64 = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub(super) fn text(&mut self) -> Result<String, Unreadable> {
        let mut text = Vec::new();
        loop {
            match self.byte()? {
                END => {
                    return String::from_utf8(text)
                        .map_err(|_| Unreadable::new("a text that is not UTF-8"));
                }
                ESCAPE => text.push(self.byte()?.wrapping_sub(1)),
                byte => text.push(byte),
            }
        }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }
}
