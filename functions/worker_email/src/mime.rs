//! How a file is attached and a text is written, so that its bytes arrive as they are.

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

/// What stands for a type that cannot be stated.
const UNKNOWN_TYPE: &str = "application/octet-stream";
/// RFC 5322 §2.1.1, without the line's end.
const LINE_MAX: usize = 998;
/// Bytes of text in an encoded word: with the name of its header, it then fits into a line of 76 characters (RFC 2047 §2).
const WORD_BYTES_MAX: usize = 39;

/// A file to be attached.
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
    /// The payload as a file, named as its submitter named it, or after its message.
    pub(crate) fn of(delivery: &Delivery, bytes: Bytes, is_8bit_possible: bool) -> Self {
        let info = &delivery.message.payload;
        let is_safe = |c: &char| !c.is_control() && !matches!(c, '"' | '\\' | '/');
        let given: Option<String> = info.filename.as_ref().map(|name| name.chars().filter(is_safe).collect());
        let extension = if info.content_type == "application/json" { ".json" } else { "" };
        let filename = given.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("{}{extension}", delivery.id.message));
        let declared = info.content_type.trim();
        let declared = if is_content_type(declared) { declared } else { UNKNOWN_TYPE };
        let (content_type, bytes, encoding) = encoded(declared, bytes, is_8bit_possible);
        Self { content_type: content_type.to_owned(), filename, bytes, encoding }
    }

    /// Whether the message needs a server that takes 8-bit text.
    pub(crate) fn is_8bit(&self) -> bool {
        self.encoding == Encoding::EightBit
    }

    /// The part of the message.
    pub(crate) fn part(&self) -> MimePart<'_> {
        // As text the library would choose an encoding by its own rules, and change line ends; as raw headers it writes base64.
        let mut headers: Vec<(Cow<'_, str>, HeaderType<'_>)> = vec![("Content-Type".into(), Raw::new(&*self.content_type).into())];
        let disposition = ContentType::new("attachment").attribute("filename", &*self.filename);
        headers.push(("Content-Disposition".into(), disposition.into()));
        match self.encoding {
            Encoding::Base64 => {}
            Encoding::SevenBit => headers.push(("Content-Transfer-Encoding".into(), Raw::new("7bit").into())),
            Encoding::EightBit => headers.push(("Content-Transfer-Encoding".into(), Raw::new("8bit").into())),
        }
        MimePart { headers, contents: BodyPart::Binary(Cow::Borrowed(&self.bytes)) }
    }
}

/// Messages and multiparts must not be encoded (RFC 2045 §6.4): what cannot be attached as it is, is attached as a file of no known type.
fn encoded(declared: &str, bytes: Bytes, is_8bit_possible: bool) -> (&str, Bytes, Encoding) {
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence.starts_with("multipart/") {
        return (UNKNOWN_TYPE, bytes, Encoding::Base64);
    }
    if !essence.starts_with("message/") {
        return (declared, bytes, Encoding::Base64);
    }
    let lines = with_crlf(bytes.clone());
    let is_long = lines.split(|b| *b == b'\n').any(|line| line.strip_suffix(b"\r").unwrap_or(line).len() > LINE_MAX);
    match lines.is_ascii() {
        _ if is_long || lines.contains(&0) || has_bare_cr(&lines) => (UNKNOWN_TYPE, bytes, Encoding::Base64),
        true => (declared, lines, Encoding::SevenBit),
        false if is_8bit_possible => (declared, lines, Encoding::EightBit),
        false => (UNKNOWN_TYPE, bytes, Encoding::Base64),
    }
}

/// A message's lines end with CRLF on its way (RFC 5322 §2.3), however its file ends them.
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
    bytes.iter().enumerate().any(|(at, byte)| *byte == b'\r' && bytes.get(at + 1) != Some(&b'\n'))
}

/// `type/subtype`, and parameters whose values are tokens or quoted: in printable ASCII, so that nothing in it can end its header.
fn is_content_type(text: &str) -> bool {
    let is_token = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&b));
    let is_quoted = |text: &str| {
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        inner.is_some_and(|inner| inner.bytes().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\' | b';')))
    };
    let is_parameter =
        |text: &str| text.trim().split_once('=').is_some_and(|(name, value)| is_token(name) && (is_token(value) || is_quoted(value)));
    let mut parts = text.split(';');
    let essence = parts.next().unwrap_or_default().trim();
    let is_type = essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
    is_type && parts.filter(|part| !part.trim().is_empty()).all(is_parameter)
}

/// A subject that arrives as the characters it has. What looks like an encoded word would be decoded by who reads it, so it is encoded.
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
    let words: Vec<String> = words.iter().map(|word| format!("=?utf-8?B?{}?=", BASE64.encode(word))).collect();
    Raw::new(words.join(" ")).into()
}

/// A text of the message: `plain` or `html`.
pub(crate) fn text_part(subtype: &str, text: String) -> MimePart<'static> {
    let content_type = format!("text/{subtype}");
    // Neither may stand in an unencoded line (RFC 5321 §2.3.8), which the library does not look for.
    if text.contains('\0') || has_bare_cr(text.as_bytes()) {
        let headers = vec![("Content-Type".into(), Raw::new(format!("{content_type}; charset=utf-8")).into())];
        return MimePart { headers, contents: BodyPart::Binary(text.into_bytes().into()) };
    }
    MimePart::new(content_type, BodyPart::Text(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_is_kept_with_its_parameters_unless_it_could_end_its_header() {
        for good in
            ["text/csv", "text/csv; charset=iso-8859-1", "text/csv;charset=\"utf-8\"; header=present", "application/ld+json;", "x/y ; a=b"]
        {
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
        type Row = (&'static str, &'static [u8], bool, &'static str, &'static [u8], Encoding);
        let rows: [Row; 7] = [
            ("message/rfc822", b"Subject: x\r\n\r\nhi\r\n", false, "message/rfc822", b"Subject: x\r\n\r\nhi\r\n", Encoding::SevenBit),
            ("Message/RFC822", b"\nhi\n", false, "Message/RFC822", b"\r\nhi\r\n", Encoding::SevenBit),
            ("message/rfc822", b"\xc3\xa9\r\n", true, "message/rfc822", b"\xc3\xa9\r\n", Encoding::EightBit),
            ("message/rfc822", b"\xc3\xa9\n", false, UNKNOWN_TYPE, b"\xc3\xa9\n", Encoding::Base64),
            ("message/rfc822", b"a\rb\n", true, UNKNOWN_TYPE, b"a\rb\n", Encoding::Base64),
            ("multipart/mixed; boundary=x", b"--x", true, UNKNOWN_TYPE, b"--x", Encoding::Base64),
            ("text/csv; charset=utf-8", b"a\n", true, "text/csv; charset=utf-8", b"a\n", Encoding::Base64),
        ];
        for (declared, bytes, is_8bit_possible, content_type, sent, encoding) in rows {
            let found = encoded(declared, Bytes::from_static(bytes), is_8bit_possible);
            assert_eq!(found, (content_type, Bytes::from_static(sent), encoding), "{declared} {bytes:?}");
        }
        let long = Bytes::from("x".repeat(999));
        assert_eq!(encoded("message/rfc822", long.clone(), true), (UNKNOWN_TYPE, long, Encoding::Base64));
    }
}
