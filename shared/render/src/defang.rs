//! Quotes text of customers and receivers in Waybill's own e-mail: on one line, and without
//! anything that a mail program turns into a link.

/// Returns a text in quotes, without links.
#[must_use]
pub(crate) fn quoted(text: &str) -> String {
    format!(
        "\u{201c}{}\u{201d}",
        defanged(text).replace(['\u{201c}', '\u{201d}', '"'], "'")
    )
}

/// Returns a text in which no URL or e-mail address can be recognised: `https://evil.example`
/// becomes `hxxps[:]//evil[.]example`.
#[must_use]
pub(crate) fn defanged(text: &str) -> String {
    let characters: Vec<char> = text
        .chars()
        .map(|c| {
            if c.is_control() || is_format(c) {
                ' '
            } else {
                c
            }
        })
        .collect();
    let mut defanged = String::with_capacity(text.len());
    for (position, c) in characters.iter().enumerate() {
        let before = position
            .checked_sub(1)
            .and_then(|position| characters.get(position))
            .copied()
            .unwrap_or(' ');
        let after = |n: usize| characters.get(position + n).copied().unwrap_or(' ');
        match c {
            '.' | '\u{3002}' | '\u{ff0e}'
                if !before.is_whitespace()
                    && after(1).is_alphanumeric()
                    && !before.is_ascii_digit() =>
            {
                defanged.push_str("[.]")
            }
            '.' if before.is_ascii_digit() && after(1).is_alphabetic() => defanged.push_str("[.]"),
            ':' if after(1) == '/' || (before.is_alphabetic() && !after(1).is_whitespace()) => {
                defanged.push_str("[:]")
            }
            '@' if !after(1).is_whitespace() => defanged.push_str("[@]"),
            c => defanged.push(*c),
        }
    }
    for (scheme, broken) in [("http", "hxxp"), ("HTTP", "HXXP"), ("Http", "Hxxp")] {
        for end in ["[:]", "s[:]", "S[:]"] {
            defanged = defanged.replace(&format!("{scheme}{end}"), &format!("{broken}{end}"));
        }
    }
    defanged
}

/// Whether a character is invisible and changes how others are displayed.
fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_others_wrote_is_a_link() {
        let cases = [
            (
                "https://evil.example/login?a=b.c",
                "hxxps[:]//evil[.]example/login?a=b[.]c",
            ),
            ("HTTP://EVIL.EXAMPLE", "HXXP[:]//EVIL[.]EXAMPLE"),
            (
                "visit www.evil.example now.",
                "visit www[.]evil[.]example now.",
            ),
            ("mailto:a@evil.example", "mailto[:]a[@]evil[.]example"),
            ("http://10.0.0.1/x", "hxxp[:]//10.0.0.1/x"),
            ("1.evil.example", "1[.]evil[.]example"),
            ("javascript:alert(1)", "javascript[:]alert(1)"),
            ("evil\u{3002}example", "evil[.]example"),
            ("ev\u{ad}il", "ev il"),
        ];
        for (text, expected) in cases {
            assert_eq!(defanged(text), expected, "{text}");
        }
        for plain in [
            "Billing",
            "v1.2 (beta)",
            "It failed. Twice.",
            "the receiver answered 500",
            "Größe: 7",
            "12:30",
        ] {
            assert_eq!(defanged(plain), plain);
        }
    }

    #[test]
    fn a_quotation_cannot_be_ended_by_its_text() {
        assert_eq!(
            quoted("a\u{201d} is fine. \u{201c}b\r\nc"),
            "\u{201c}a' is fine. 'b  c\u{201d}"
        );
    }
}
