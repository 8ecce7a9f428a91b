//! The walkthroughs in `docs/ARCHITECTURE.md`, from one function to the next.

/// One step: its file, a name in it, and the description.
#[derive(Debug, PartialEq, Eq)]
pub struct Step<'p> {
    /// The path of the file from the root.
    pub file: &'p str,
    /// A function of that file, or another text in it.
    pub name: &'p str,
    /// The description of the step.
    pub description: &'p str,
}

impl Step<'_> {
    /// Whether something other than an earlier step starts it, such as a queue or a trait.
    #[must_use]
    pub fn is_started_elsewhere(&self) -> bool {
        self.description.starts_with("started ")
    }
}

/// Returns the steps of each walkthrough under the heading "Three walkthroughs".
#[must_use]
pub fn walkthroughs(page: &str) -> Vec<Vec<Step<'_>>> {
    let section = page
        .split("\n## ")
        .find(|section| section.starts_with("Three walkthroughs\n"))
        .unwrap_or_default();
    section
        .split("\n### ")
        .skip(1)
        .map(|one| one.lines().filter_map(step).collect())
        .collect()
}

/// Parses a step: ``1. `file` `name`: words``.
fn step(line: &str) -> Option<Step<'_>> {
    let (number, rest) = line.split_once(". `")?;
    number.parse::<u32>().ok()?;
    let (file, rest) = rest.split_once("` `")?;
    let (name, description) = rest.split_once("`: ")?;
    Some(Step {
        file,
        name,
        description,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_are_read() {
        let page = "# A\n\n## Three walkthroughs\n\nWords.\n\n### One\n\n1. `a.rs` `f`: does.\n2. `b.rs` \
             `g`: started by a queue.\n\n## Other\n1. `c.rs` `h`: no.\n";
        let steps = walkthroughs(page);
        assert_eq!(steps.len(), 1);
        assert_eq!(
            steps[0][0],
            Step {
                file: "a.rs",
                name: "f",
                description: "does."
            }
        );
        assert!(!steps[0][0].is_started_elsewhere() && steps[0][1].is_started_elsewhere());
    }
}
