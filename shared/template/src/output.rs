//! Text that stops growing at its limit.

use std::io;

/// Takes bytes up to a limit, and remembers whether there were more.
#[derive(Debug)]
pub(crate) struct Bounded {
    bytes: Vec<u8>,
    max: usize,
    overflowed: bool,
}

impl Bounded {
    pub(crate) fn new(max: usize) -> Self {
        Self { bytes: Vec::new(), max, overflowed: false }
    }

    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// What was written; always text, for only text is written.
    pub(crate) fn into_text(self) -> String {
        String::from_utf8(self.bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.max {
            self.overflowed = true;
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
