//! Formats JSON text without changing its values.

/// The format of JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonLayout {
    /// No white space: `{"a":[1,2]}`.
    Compact,
    /// A space after each separator: `{"a": [1, 2]}`.
    Spaced,
    /// A line for each member, indented by this many spaces per level.
    Indented(usize),
}

/// Formats valid JSON. Returns `None` if the result has more than `bytes_max` bytes.
#[must_use]
pub fn laid_out(json: &str, layout: JsonLayout, bytes_max: usize) -> Option<String> {
    // Most JSON is sent without white space and needs no change.
    if layout == JsonLayout::Compact
        && ![' ', '\t', '\n', '\r']
            .iter()
            .any(|space| json.contains(*space))
    {
        return (json.len() <= bytes_max).then(|| json.to_owned());
    }
    let mut writer = Writer {
        out: String::new(),
        layout,
        depth: 0,
        bytes_max,
    };
    let mut rest = json;
    let mut is_open = false;
    while let Some(first) = rest.bytes().next() {
        let length = match first {
            b' ' | b'\t' | b'\n' | b'\r' => 1,
            b'"' => writer.item(&mut is_open, &rest[..string_length(rest)])?,
            b'{' | b'[' => {
                writer.item(&mut is_open, &rest[..1])?;
                writer.depth += 1;
                is_open = true;
                1
            }
            b'}' | b']' => {
                writer.depth = writer.depth.saturating_sub(1);
                if !std::mem::take(&mut is_open) {
                    writer.line()?;
                }
                writer.push(&rest[..1])?
            }
            b',' => {
                writer.push(if layout == JsonLayout::Spaced {
                    ", "
                } else {
                    ","
                })?;
                writer.line()?;
                1
            }
            b':' => {
                writer.push(if layout == JsonLayout::Compact {
                    ":"
                } else {
                    ": "
                })?;
                1
            }
            _ => {
                let end = rest
                    .find([',', '}', ']', ':', ' ', '\t', '\n', '\r'])
                    .unwrap_or(rest.len());
                writer.item(&mut is_open, &rest[..end])?
            }
        };
        rest = &rest[length..];
    }
    Some(writer.out)
}

struct Writer {
    out: String,
    layout: JsonLayout,
    depth: usize,
    bytes_max: usize,
}

impl Writer {
    /// Writes a scalar, a key or the beginning of a container. The first one in a container begins
    /// a line.
    fn item(&mut self, is_open: &mut bool, text: &str) -> Option<usize> {
        if std::mem::take(is_open) {
            self.line()?;
        }
        self.push(text)
    }

    fn line(&mut self) -> Option<()> {
        let JsonLayout::Indented(width) = self.layout else {
            return Some(());
        };
        let indent = width.checked_mul(self.depth)?;
        (self.out.len().checked_add(indent)? < self.bytes_max).then_some(())?;
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', indent));
        Some(())
    }

    fn push(&mut self, text: &str) -> Option<usize> {
        (self.out.len() + text.len() <= self.bytes_max).then_some(())?;
        self.out.push_str(text);
        Some(text.len())
    }
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}
