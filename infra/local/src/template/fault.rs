//! What is wrong with a template, and where.

use std::collections::VecDeque;

/// Why a template cannot be run here: the place, the line and what to change.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("template line {line}: {place}: {what}")]
pub struct TemplateError {
    /// The line, counted from 1.
    pub line: usize,
    /// Section, resource and property, joined by dots.
    pub place: String,
    /// What is wrong there.
    pub what: String,
}

/// A fault on its way up from where it was found: each level puts its own step in front.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) path: VecDeque<String>,
    pub(super) what: String,
}

impl Fault {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { path: VecDeque::new(), what: what.into() }
    }

    /// The same fault, seen from one level up.
    pub(super) fn under(mut self, step: impl Into<String>) -> Self {
        self.path.push_front(step.into());
        self
    }
}
