//! IAM patterns: `*` matches any characters, `?` matches one.

/// Whether the pattern matches the whole text.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut pattern_at) = (0, 0);
    // Where to continue if what follows the last star does not match: one character further.
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(pattern_at) {
            Some('*') => {
                retry = Some((pattern_at + 1, at));
                pattern_at += 1;
            }
            Some(&expected) if expected == '?' || expected == text[at] => {
                pattern_at += 1;
                at += 1;
            }
            _ => match retry {
                Some((after_star, from)) => {
                    retry = Some((after_star, from + 1));
                    pattern_at = after_star;
                    at = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[pattern_at..].iter().all(|&rest| rest == '*')
}

/// Whether the pattern matches, ignoring case, as IAM compares actions.
pub(super) fn matches_ignoring_case(pattern: &str, text: &str) -> bool {
    matches(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("dynamodb:*Item", "dynamodb:PutItem", true),
            ("dynamodb:*Item", "dynamodb:PutItems", false),
            ("arn:aws:s3:::b/*/c", "arn:aws:s3:::b/x/c/c", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("table/T", "table/T/index/i", false),
            ("table/T*", "table/T/index/i", true),
            ("*a*b", "xaxxb", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
        assert!(matches_ignoring_case(
            "DynamoDB:putitem",
            "dynamodb:PutItem"
        ));
    }
}
