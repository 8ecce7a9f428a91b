//! Finds where one record ends and the next begins, without parsing the records.

use super::Format;

/// The result of searching the buffered bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A record of this length, after this many bytes to skip.
    Record { skip: usize, length: usize },
    /// The end of the record has not been received.
    More,
    /// There are no more records.
    End,
    /// The bytes are not a record.
    Fault(&'static str),
}

/// Finds records. Remembers its position and state, so that no byte is read twice.
#[derive(Debug)]
pub(super) struct Splitter {
    format: Format,
    position: Position,
    /// How many bytes of the buffer have been searched.
    seen: usize,
    skip: usize,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    /// Whether a CSV has one column, so that an empty line can be a record with an empty field.
    pub(super) has_one_field: bool,
}

/// The position in the structure of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Beginning,
    /// At the start of an array: an object or the end of the array follows.
    FirstItem,
    /// In an array, after a comma.
    NextItem,
    /// In an array, after an object.
    AfterItem,
    /// Between objects without an array, or in a CSV.
    Sequence,
    AfterArray,
}

impl Splitter {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            position: Position::Beginning,
            seen: 0,
            skip: 0,
            depth: 0,
            in_string: false,
            is_escaped: false,
            has_one_field: false,
        }
    }

    /// Finds the next record in `bytes`, which begin where the last record ended.
    pub(super) fn find(&mut self, bytes: &[u8], is_at_end: bool) -> Found {
        if self.position == Position::Beginning && !is_at_end && bytes.len() < BYTE_ORDER_MARK.len()
        {
            return Found::More;
        }
        if self.position == Position::Beginning
            && bytes.starts_with(BYTE_ORDER_MARK)
            && self.seen == 0
        {
            (self.seen, self.skip) = (BYTE_ORDER_MARK.len(), BYTE_ORDER_MARK.len());
        }
        match self.format {
            Format::Json => self.find_object(bytes, is_at_end),
            Format::Csv => self.find_line(bytes, is_at_end),
        }
    }

    fn found(&mut self, end: usize) -> Found {
        let found = Found::Record {
            skip: self.skip,
            length: end - self.skip,
        };
        (self.seen, self.skip) = (0, 0);
        found
    }

    fn find_object(&mut self, bytes: &[u8], is_at_end: bool) -> Found {
        while self.seen < bytes.len() {
            let byte = bytes[self.seen];
            if self.depth > 0 {
                self.seen += 1;
                self.step_within(byte);
                if self.depth == 0 {
                    let in_array = self.position != Position::Sequence;
                    self.position = if in_array {
                        Position::AfterItem
                    } else {
                        Position::Sequence
                    };
                    return self.found(self.seen);
                }
                continue;
            }
            match self.step_between(byte) {
                Ok(()) if self.depth > 0 => self.skip = self.seen,
                Ok(()) => self.skip = self.seen + 1,
                Err(fault) => return Found::Fault(fault),
            }
            self.seen += 1;
        }
        match self.position {
            _ if !is_at_end => Found::More,
            _ if self.depth > 0 => Found::Fault("is cut short: the payload ends within it"),
            Position::Beginning | Position::Sequence | Position::AfterArray => Found::End,
            Position::FirstItem | Position::NextItem | Position::AfterItem => {
                Found::Fault("does not come: the JSON array has no end")
            }
        }
    }

    /// Processes a byte within an object.
    fn step_within(&mut self, byte: u8) {
        if self.in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
    }

    /// Processes a byte between objects.
    fn step_between(&mut self, byte: u8) -> Result<(), &'static str> {
        match (byte, self.position) {
            (b' ' | b'\t' | b'\r' | b'\n', _) => {}
            (b'[', Position::Beginning) => self.position = Position::FirstItem,
            (b'{', Position::Beginning | Position::Sequence) => {
                (self.position, self.depth) = (Position::Sequence, 1)
            }
            (b'{', Position::FirstItem | Position::NextItem) => self.depth = 1,
            (b']', Position::FirstItem | Position::AfterItem) => {
                self.position = Position::AfterArray
            }
            (b',', Position::AfterItem) => self.position = Position::NextItem,
            (_, Position::AfterArray) => return Err("follows the end of the JSON array"),
            (_, Position::AfterItem) => return Err("does not follow a comma"),
            _ => return Err("is not a JSON object"),
        }
        Ok(())
    }

    /// Finds a CSV record, which ends at a line end (CR, LF or both) outside quotes. Empty lines are
    /// skipped if they cannot be records.
    fn find_line(&mut self, bytes: &[u8], is_at_end: bool) -> Found {
        self.position = Position::Sequence;
        while self.seen < bytes.len() {
            let byte = bytes[self.seen];
            self.seen += 1;
            match byte {
                b'"' => self.in_string = !self.in_string,
                b'\r' if !self.in_string && self.seen == bytes.len() && !is_at_end => {
                    self.seen -= 1;
                    return Found::More;
                }
                b'\r' | b'\n' if !self.in_string => {
                    let is_empty = self.seen - 1 == self.skip;
                    if byte == b'\r' && bytes.get(self.seen) == Some(&b'\n') {
                        self.seen += 1;
                    }
                    match is_empty {
                        false => return self.found(self.seen),
                        true if self.has_one_field => return Found::Fault(EMPTY_LINE),
                        true => self.skip = self.seen,
                    }
                }
                _ => {}
            }
        }
        match is_at_end {
            false => Found::More,
            true if self.in_string => Found::Fault("is cut short: a quote is not closed"),
            true if self.seen > self.skip => self.found(bytes.len()),
            true => Found::End,
        }
    }
}

const EMPTY_LINE: &str =
    "is an empty line; in a CSV with one column, an empty value is written \"\"";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
