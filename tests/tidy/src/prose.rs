//! Phrases that the documentation must not use, each with a plain replacement.

/// A phrase and its replacement.
const REPLACED_PHRASES: &[(&str, &str)] = &[
    ("anew", "again"),
    ("anybody", "anyone"),
    ("at hand", "available"),
    ("beside", "next to"),
    ("for ever", "permanently"),
    ("is none", "does not exist"),
    ("nobody", "no one, or the person or part that is meant"),
    ("somebody", "someone, or the person or part that is meant"),
    ("stands in", "is in"),
];

/// Returns the lines of a text that have such a phrase: the number of the line, the phrase, and its
/// replacement.
#[must_use]
pub fn phrases_to_replace(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let words = line.to_lowercase();
        let words = format!(
            " {} ",
            words
                .split(|c: char| !c.is_alphanumeric())
                .collect::<Vec<_>>()
                .join(" ")
        );
        let phrases = REPLACED_PHRASES
            .iter()
            .filter(|(phrase, _)| words.contains(&format!(" {phrase} ")));
        found.extend(phrases.map(|(phrase, replacement)| (number + 1, *phrase, *replacement)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_is_found_as_a_word() {
        let found =
            phrases_to_replace("A besides B.\nNobody is told.\nIt is kept for ever, beside the\n");
        let phrases: Vec<(usize, &str)> = found
            .iter()
            .map(|(line, phrase, _)| (*line, *phrase))
            .collect();
        assert_eq!(phrases, [(2, "nobody"), (3, "beside"), (3, "for ever")]);
    }
}
