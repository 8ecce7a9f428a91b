//! Phrases that the documentation must not use, each with a plain replacement.

/// A phrase and its replacement.
const GIVEN_UP: &[(&str, &str)] = &[
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
pub fn given_up(text: &str) -> Vec<(usize, &'static str, &'static str)> {
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
        let turns = GIVEN_UP
            .iter()
            .filter(|(turn, _)| words.contains(&format!(" {turn} ")));
        found.extend(turns.map(|(turn, instead)| (number + 1, *turn, *instead)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_found_as_a_word() {
        let found = given_up("A besides B.\nNobody is told.\nIt is kept for ever, beside the\n");
        let turns: Vec<(usize, &str)> =
            found.iter().map(|(line, turn, _)| (*line, *turn)).collect();
        assert_eq!(turns, [(2, "nobody"), (3, "beside"), (3, "for ever")]);
    }
}
