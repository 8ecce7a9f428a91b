//! Reads media types, which are the values of `Content-Type`, by the rules of browsers (WHATWG,
//! MIME Sniffing, 4.4): a malformed parameter is ignored and does not hide the type.

use data_url::mime::Mime;

use crate::settings::webhook::is_header_value;

/// Returns whether the text is a media type, `type/subtype` with or without parameters (RFC 9110
/// §8.3.1, with the names of RFC 6838 §4.2).
#[must_use]
pub fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        name.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    let media_type = text.parse::<Mime>();
    is_header_value(text)
        && media_type
            .is_ok_and(|media_type| is_name(&media_type.type_) && is_name(&media_type.subtype))
}

/// Returns the `type/subtype` of a media type in lower case, without its parameters. It is empty if
/// the text is not a media type.
#[must_use]
pub fn essence(media_type: &str) -> String {
    media_type.parse::<Mime>().map_or_else(
        |_| String::new(),
        |Mime { type_, subtype, .. }| format!("{type_}/{subtype}"),
    )
}

/// Returns the charset that a media type declares.
#[must_use]
pub fn charset(media_type: &str) -> Option<String> {
    let media_type: Mime = media_type.parse().ok()?;
    media_type.get_parameter("charset").map(str::to_owned)
}

/// Whether a media type declares that a CSV has no header (RFC 4180 §3).
#[must_use]
pub fn has_no_header(media_type: &str) -> bool {
    let media_type = media_type.parse::<Mime>();
    media_type.is_ok_and(|media_type| {
        let header = media_type.get_parameter("header");
        header.is_some_and(|header| header.eq_ignore_ascii_case("absent"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_read_whatever_its_parameters_are() {
        for text in [
            "text/csv",
            " Text/CSV ",
            "text/csv;",
            "text/csv ; header",
            "text/csv; charset=",
            "text/csv; charset=\"utf-8",
            "text/csv;;=;\u{e9}",
        ] {
            assert_eq!(essence(text), "text/csv", "{text}");
        }
        for text in ["", "text", "text/", "/csv", "text csv", "; text/csv"] {
            assert_eq!(essence(text), "", "{text}");
        }
    }

    #[test]
    fn a_csv_can_declare_that_it_has_no_header() {
        for text in [
            "text/csv; header=absent",
            "text/csv;charset=utf-8;Header=\"ABSENT\"",
        ] {
            assert!(has_no_header(text), "{text}");
        }
        for text in ["text/csv", "text/csv; header=present", "header=absent"] {
            assert!(!has_no_header(text), "{text}");
        }
    }

    #[test]
    fn a_charset_is_read_with_and_without_quotation_marks() {
        for text in [
            "text/csv; charset=latin1",
            "text/csv;CHARSET=latin1;charset=utf-8",
            "text/csv; header; charset=\"latin1\"",
            "text/csv; name=\"a;charset=utf-8\"; charset=latin1 ",
        ] {
            assert_eq!(charset(text).as_deref(), Some("latin1"), "{text}");
        }
        for text in [
            "text/csv",
            "text/csv; charset",
            "text/csv; charset=",
            "charset=latin1",
        ] {
            assert_eq!(charset(text), None, "{text}");
        }
    }

    #[test]
    fn a_media_type_has_two_names_and_can_be_in_a_header() {
        for text in ["text/csv", "application/ld+json; profile=\"x;y\"", "a/b ;c"] {
            assert!(is_media_type(text), "{text}");
        }
        for text in [
            "",
            "text",
            "*/*",
            "a/b/c",
            "a/b c",
            " a/b",
            "a/b\r\nx: y",
            "a/b; c=\u{e9}",
        ] {
            assert!(!is_media_type(text), "{text}");
        }
    }
}
