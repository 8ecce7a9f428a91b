//! Percent-encoding of everything that is not unreserved (RFC 3986 §2.3), as AWS's signatures and
//! the names in headers (RFC 8187) require it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Encodes everything but unreserved characters.
#[must_use]
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Encodes everything but unreserved characters and slashes.
#[must_use]
pub fn encoded_path(path: &str) -> String {
    const ESCAPED_IN_PATH: &AsciiSet = &ESCAPED.remove(b'/');
    utf8_percent_encode(path, ESCAPED_IN_PATH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(encoded("aZ0-._~/ *+é"), "aZ0-._~%2F%20%2A%2B%C3%A9");
        assert_eq!(encoded_path("a b/c%"), "a%20b/c%25");
    }
}
