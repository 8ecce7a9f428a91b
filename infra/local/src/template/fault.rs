//! Errors in a template, with their position.

use std::collections::VecDeque;

/// An error in a template, with its position and what to change.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("template line {line}: {location}: {problem}")]
pub struct TemplateError {
    /// The line, starting at 1.
    pub line: usize,
    /// The section, resource and property, joined by dots.
    pub location: String,
    /// What is wrong at this position.
    pub problem: String,
}

/// An error on its way up from where it was found. Each level prepends its own step to the path.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) path: VecDeque<String>,
    pub(super) what: String,
}

impl Fault {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self {
            path: VecDeque::new(),
            what: what.into(),
        }
    }

    /// Returns the error with a step prepended to its path.
    pub(super) fn under(mut self, step: impl Into<String>) -> Self {
        self.path.push_front(step.into());
        self
    }
}
