//! Escapes plain text as Markdown that shows exactly this text.

use super::Bounded;

/// Appends `text`, with a backslash before each special character (CommonMark 0.31, §2.4).
///
/// An underscore between letters or digits has no meaning and stays unescaped, so that ids stay
/// readable.
pub(super) fn escape(mut out: Bounded, text: &str, special: &[char]) -> Bounded {
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_inner = c == '_'
            && before.is_alphanumeric()
            && rest.peek().is_some_and(|after| after.is_alphanumeric());
        if special.contains(&c) && !is_inner {
            out.push(&format!("\\{c}"));
        } else {
            out.push(c.encode_utf8(&mut [0; 4]));
        }
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_shown_and_ids_stay() {
        let escaped = |text: &str| escape(Bounded::new(1000), text, &['*', '_', '[', ']']).text;
        assert_eq!(
            escaped("*a* _b_ dst_1 [c](d)"),
            r"\*a\* \_b\_ dst_1 \[c\](d)"
        );
    }
}
