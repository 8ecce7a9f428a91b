//! Encodes attachments and texts so that their bytes arrive unchanged.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use domain::delivery::Delivery;
use mail_send::mail_builder::headers::HeaderType;
use mail_send::mail_builder::headers::content_type::ContentType;
use mail_send::mail_builder::headers::raw::Raw;
use mail_send::mail_builder::headers::text::Text;
use mail_send::mail_builder::mime::{BodyPart, MimePart};

/// The media type of an attachment whose own type cannot be used.
const UNKNOWN_TYPE: &str = "application/octet-stream";
/// The longest line without its line end (RFC 5322 §2.1.1).
const LINE_MAX: usize = 998;
/// The bytes of text in one encoded word. With the name of its header, the word then fits into a
/// line of 76 characters (RFC 2047 §2).
const WORD_BYTES_MAX: usize = 39;

/// A file to attach.
pub(crate) struct Attachment {
    content_type: String,
    filename: String,
    bytes: Bytes,
    encoding: Encoding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Base64,
    SevenBit,
    EightBit,
}

impl Attachment {
    /// Makes an attachment of the payload. Its filename is the one that the message was submitted
    /// with, or else the message's id.
    pub(crate) fn of(delivery: &Delivery, bytes: Bytes, is_8bit_possible: bool) -> Self {
        let info = &delivery.message.payload;
        let is_safe = |c: &char| !c.is_control() && !matches!(c, '"' | '\\' | '/');
        let given: Option<String> = info
            .filename
            .as_ref()
            .map(|name| name.chars().filter(is_safe).collect());
        let extension = if info.content_type == "application/json" {
            ".json"
        } else {
            ""
        };
        let filename = given
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| format!("{}{extension}", delivery.id.message));
        let declared = info.content_type.trim();
        let declared = if is_content_type(declared) {
            declared
        } else {
            UNKNOWN_TYPE
        };
        let (content_type, bytes, encoding) = encoded(declared, bytes, is_8bit_possible);
        Self {
            content_type: content_type.to_owned(),
            filename,
            bytes,
            encoding,
        }
    }

    /// Whether the message requires a server that accepts 8-bit text.
    pub(crate) fn is_8bit(&self) -> bool {
        self.encoding == Encoding::EightBit
    }

    /// Returns the MIME part.
    pub(crate) fn part(&self) -> MimePart<'_> {
        // For text, the library would choose an encoding and change line ends. For binary content
        // with raw headers, it writes base64 unless another encoding is declared.
        let mut headers: Vec<(Cow<'_, str>, HeaderType<'_>)> =
            vec![("Content-Type".into(), Raw::new(&*self.content_type).into())];
        let disposition = ContentType::new("attachment").attribute("filename", &*self.filename);
        headers.push(("Content-Disposition".into(), disposition.into()));
        match self.encoding {
            Encoding::Base64 => {}
            Encoding::SevenBit => {
                headers.push(("Content-Transfer-Encoding".into(), Raw::new("7bit").into()))
            }
            Encoding::EightBit => {
                headers.push(("Content-Transfer-Encoding".into(), Raw::new("8bit").into()))
            }
        }
        MimePart {
            headers,
            contents: BodyPart::Binary(Cow::Borrowed(&self.bytes)),
        }
    }
}

/// Messages and multiparts must not be encoded (RFC 2045 §6.4). One that cannot be attached
/// unencoded is attached in base64, as a file of unknown type.
fn encoded(declared: &str, bytes: Bytes, is_8bit_possible: bool) -> (&str, Bytes, Encoding) {
    let lower = declared.to_ascii_lowercase();
    if lower.starts_with("multipart/") {
        return (UNKNOWN_TYPE, bytes, Encoding::Base64);
    }
    if !lower.starts_with("message/") {
        return (declared, bytes, Encoding::Base64);
    }
    let lines = with_crlf(bytes.clone());
    let is_long = lines
        .split(|b| *b == b'\n')
        .any(|line| line.strip_suffix(b"\r").unwrap_or(line).len() > LINE_MAX);
    match lines.is_ascii() {
        _ if is_long || lines.contains(&0) || has_bare_cr(&lines) => {
            (UNKNOWN_TYPE, bytes, Encoding::Base64)
        }
        true => (declared, lines, Encoding::SevenBit),
        false if is_8bit_possible => (declared, lines, Encoding::EightBit),
        false => (UNKNOWN_TYPE, bytes, Encoding::Base64),
    }
}

/// Converts line ends to CRLF, which messages require (RFC 5322 §2.3).
fn with_crlf(bytes: Bytes) -> Bytes {
    let is_bare = |at: usize| bytes[at] == b'\n' && (at == 0 || bytes[at - 1] != b'\r');
    if !(0..bytes.len()).any(is_bare) {
        return bytes;
    }
    let mut lines = Vec::with_capacity(bytes.len() + bytes.len() / 32);
    for at in 0..bytes.len() {
        if is_bare(at) {
            lines.push(b'\r');
        }
        lines.push(bytes[at]);
    }
    lines.into()
}

fn has_bare_cr(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .enumerate()
        .any(|(at, byte)| *byte == b'\r' && bytes.get(at + 1) != Some(&b'\n'))
}

/// Whether a text is a media type: `type/subtype`, with parameters that are tokens or quoted
/// strings in printable ASCII, so that it cannot end its header.
fn is_content_type(text: &str) -> bool {
    let is_token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&b))
    };
    let is_quoted = |text: &str| {
        let inner = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        inner.is_some_and(|inner| {
            inner
                .bytes()
                .all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\' | b';'))
        })
    };
    let is_parameter = |text: &str| {
        text.trim()
            .split_once('=')
            .is_some_and(|(name, value)| is_token(name) && (is_token(value) || is_quoted(value)))
    };
    let mut parts = text.split(';');
    let essence = parts.next().unwrap_or_default().trim();
    let is_type = essence
        .split_once('/')
        .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
    is_type
        && parts
            .filter(|part| !part.trim().is_empty())
            .all(is_parameter)
}

/// Returns a subject that arrives with exactly these characters. Text that looks like an encoded
/// word is encoded, because readers would decode it.
pub(crate) fn subject(text: &str) -> HeaderType<'static> {
    if !text.contains("=?") {
        return Text::new(text.to_owned()).into();
    }
    let mut words: Vec<String> = vec![String::new()];
    for c in text.chars() {
        match words.last_mut() {
            Some(word) if word.len() + c.len_utf8() <= WORD_BYTES_MAX => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("=?utf-8?B?{}?=", BASE64.encode(word)))
        .collect();
    Raw::new(words.join(" ")).into()
}

/// Returns a text part of the message. `subtype` is `plain` or `html`.
pub(crate) fn text_part(subtype: &str, text: String) -> MimePart<'static> {
    let content_type = format!("text/{subtype}");
    // Unencoded lines may contain neither NUL nor a bare CR (RFC 5321 §2.3.8), and the library does
    // not check for them.
    if text.contains('\0') || has_bare_cr(text.as_bytes()) {
        let headers = vec![(
            "Content-Type".into(),
            Raw::new(format!("{content_type}; charset=utf-8")).into(),
        )];
        return MimePart {
            headers,
            contents: BodyPart::Binary(text.into_bytes().into()),
        };
    }
    MimePart::new(content_type, BodyPart::Text(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_is_kept_with_its_parameters_unless_it_could_end_its_header() {
        for good in [
            "text/csv",
            "text/csv; charset=iso-8859-1",
            "text/csv;charset=\"utf-8\"; header=present",
            "application/ld+json;",
            "x/y ; a=b",
        ] {
            assert!(is_content_type(good), "{good}");
        }
        for bad in [
            "",
            "text",
            "text/",
            "text/csv; charset",
            "text/csv; charset=a b",
            "text/csv\r\nBcc: a@b.example",
            "text/csv; name=\"a\"b\"",
            "text/çsv",
        ] {
            assert!(!is_content_type(bad), "{bad}");
        }
    }

    #[test]
    fn a_message_is_never_encoded_and_its_lines_end_with_crlf() {
        type Row = (
            &'static str,
            &'static [u8],
            bool,
            &'static str,
            &'static [u8],
            Encoding,
        );
        let rows: [Row; 7] = [
            (
                "message/rfc822",
                b"Subject: x\r\n\r\nhi\r\n",
                false,
                "message/rfc822",
                b"Subject: x\r\n\r\nhi\r\n",
                Encoding::SevenBit,
            ),
            (
                "Message/RFC822",
                b"\nhi\n",
                false,
                "Message/RFC822",
                b"\r\nhi\r\n",
                Encoding::SevenBit,
            ),
            (
                "message/rfc822",
                b"\xc3\xa9\r\n",
                true,
                "message/rfc822",
                b"\xc3\xa9\r\n",
                Encoding::EightBit,
            ),
            (
                "message/rfc822",
                b"\xc3\xa9\n",
                false,
                UNKNOWN_TYPE,
                b"\xc3\xa9\n",
                Encoding::Base64,
            ),
            (
                "message/rfc822",
                b"a\rb\n",
                true,
                UNKNOWN_TYPE,
                b"a\rb\n",
                Encoding::Base64,
            ),
            (
                "multipart/mixed; boundary=x",
                b"--x",
                true,
                UNKNOWN_TYPE,
                b"--x",
                Encoding::Base64,
            ),
            (
                "text/csv; charset=utf-8",
                b"a\n",
                true,
                "text/csv; charset=utf-8",
                b"a\n",
                Encoding::Base64,
            ),
        ];
        for (declared, bytes, is_8bit_possible, content_type, sent, encoding) in rows {
            let found = encoded(declared, Bytes::from_static(bytes), is_8bit_possible);
            assert_eq!(
                found,
                (content_type, Bytes::from_static(sent), encoding),
                "{declared} {bytes:?}"
            );
        }
        let long = Bytes::from("x".repeat(999));
        assert_eq!(
            encoded("message/rfc822", long.clone(), true),
            (UNKNOWN_TYPE, long, Encoding::Base64)
        );
    }
}
