//! The text of a template, its YAML tree, and the lines of its parts.

use yaml_serde::{Mapping, Value};

use super::fault::{Fault, TemplateError};

/// The text and its tree. The tree has no line numbers, so errors look theirs up in the text.
pub(super) struct Source {
    text: String,
    root: Mapping,
}

impl Source {
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let root = match yaml_serde::from_str(text) {
            Ok(Value::Mapping(root)) => root,
            Ok(_) => {
                return Err(TemplateError {
                    line: 1,
                    location: "the template".into(),
                    problem: "is not a mapping".into(),
                });
            }
            Err(error) => {
                let line = error.location().map_or(1, |at| at.line());
                return Err(TemplateError {
                    line,
                    location: "the template".into(),
                    problem: format!("is not YAML: {error}"),
                });
            }
        };
        Ok(Self {
            text: text.to_owned(),
            root,
        })
    }

    pub(super) fn root(&self) -> &Mapping {
        &self.root
    }

    /// Returns the entries of a section; an absent one is empty.
    pub(super) fn section(&self, name: &str) -> Result<Vec<(&str, &Value)>, Fault> {
        match self.root.get(name) {
            None => Ok(Vec::new()),
            Some(value) => entries(value).map_err(|fault| fault.under(name)),
        }
    }

    pub(super) fn locate(&self, fault: Fault) -> TemplateError {
        let path: Vec<&str> = fault.path.iter().map(String::as_str).collect();
        let location = if path.is_empty() {
            "the template".to_owned()
        } else {
            path.join(".")
        };
        TemplateError {
            line: line_of(&self.text, &path),
            location,
            problem: fault.what,
        }
    }
}

/// Returns the entries of a mapping with their keys as text.
pub(super) fn entries(value: &Value) -> Result<Vec<(&str, &Value)>, Fault> {
    let Value::Mapping(mapping) = value else {
        return Err(Fault::new("must be a mapping"));
    };
    mapping
        .iter()
        .map(|(key, value)| {
            key.as_str()
                .map(|key| (key, value))
                .ok_or_else(|| Fault::new("has a key that is not text"))
        })
        .collect()
}

/// Returns the line of the deepest step of `path` that has a line of its own, following block
/// indentation.
fn line_of(text: &str, path: &[&str]) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let (mut found, mut parent_indent, mut next) = (0, None, 0);
    for step in path {
        let child = match step.parse() {
            Ok(index) => item(&lines, next, parent_indent, index),
            Err(_) => key(&lines, next, parent_indent, step),
        };
        let Some((line, indent)) = child else { break };
        found = line;
        parent_indent = Some(indent);
        // The first key of an item is on the item's own line.
        next = if step.parse::<usize>().is_ok() {
            line
        } else {
            line + 1
        };
    }
    found + 1
}

/// Returns the lines of the block under a parent, starting at line `next`, with their indentation.
fn block<'a>(
    lines: &'a [&str],
    next: usize,
    parent_indent: Option<usize>,
) -> impl Iterator<Item = (usize, usize, &'a str)> {
    let lines = lines
        .iter()
        .enumerate()
        .skip(next)
        .filter_map(|(at, line)| {
            let content = line.trim_start();
            let says_something = !content.is_empty() && !content.starts_with('#');
            says_something.then_some((at, line.len() - content.len(), content))
        });
    lines.take_while(move |(_, indent, _)| parent_indent.is_none_or(|parent| *indent > parent))
}

/// Returns the line and indentation of a key of the mapping under a parent. The dash of a sequence
/// counts as indentation.
fn key(
    lines: &[&str],
    next: usize,
    parent_indent: Option<usize>,
    name: &str,
) -> Option<(usize, usize)> {
    // Inside an item, the first line of its block is the item's own.
    let first = lines
        .get(next)
        .filter(|line| line.trim_start().starts_with("- "))
        .map(|line| {
            let content = line.trim_start().trim_start_matches("- ");
            (next, line.len() - content.len(), content)
        });
    let rest = block(lines, next + usize::from(first.is_some()), parent_indent);
    let mut keys = first.into_iter().chain(rest).peekable();
    let own_indent = keys.peek()?.1;
    keys.find(|(_, indent, content)| *indent == own_indent && is_key(content, name))
        .map(|(at, indent, _)| (at, indent))
}

/// Returns the line and the indentation of the dash of an item of the sequence under a parent.
fn item(
    lines: &[&str],
    next: usize,
    parent_indent: Option<usize>,
    index: usize,
) -> Option<(usize, usize)> {
    let mut items = block(lines, next, parent_indent)
        .filter(|(_, _, content)| content.starts_with("- "))
        .peekable();
    let own_indent = items.peek()?.1;
    items
        .filter(|(_, indent, _)| *indent == own_indent)
        .nth(index)
        .map(|(at, indent, _)| (at, indent))
}

fn is_key(content: &str, key: &str) -> bool {
    let bare = content.strip_prefix('"').unwrap_or(content);
    bare.strip_prefix(key)
        .is_some_and(|rest| rest.strip_prefix('"').unwrap_or(rest).starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_placed_on_its_line() {
        let text = "Resources:\n  A:\n    Type: x\n    Properties:\n      # Name: not this\n      \
             Tags:\n        - Key: k\n          Name: n\n  B:\n    Properties:\n      Name: m\n";
        let cases: &[(&[&str], usize)] = &[
            (&["Resources"], 1),
            (&["Resources", "A", "Type"], 3),
            (&["Resources", "A", "Properties", "Tags", "0", "Key"], 7),
            (&["Resources", "A", "Properties", "Tags", "0", "Name"], 8),
            (&["Resources", "A", "Properties", "Tags", "0", "Gone"], 7),
            (&["Resources", "B", "Properties", "Name"], 11),
            (&["Resources", "A", "Properties", "Name"], 4),
            (&[], 1),
        ];
        for (path, line) in cases {
            assert_eq!(line_of(text, path), *line, "{path:?}");
        }
    }

    #[test]
    fn invalid_yaml_is_refused_with_its_line() {
        let error = Source::parse("A: 1\nB: [\n")
            .err()
            .expect("an open bracket");
        assert!(error.line >= 2, "{error}");
        assert!(Source::parse("- 1\n").is_err());
    }
}
