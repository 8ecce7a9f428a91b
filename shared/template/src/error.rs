//! What is wrong with a template, in words for the one who wrote it.

use std::fmt;

use minijinja::{Error, ErrorKind};

/// A template that cannot be saved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Longer than a template may be.
    #[error("the template has more than {max} bytes")]
    TooLong {
        /// What it may have.
        max: usize,
    },
    /// It nests more deeply than a template may.
    #[error("line {line}: the template is too deeply nested (at most {max} levels)")]
    TooDeep {
        /// From 1.
        line: usize,
        /// What it may have.
        max: usize,
    },
    /// It does not parse.
    #[error("line {line}: {detail}")]
    Syntax {
        /// From 1.
        line: usize,
        /// What the parser says.
        detail: String,
    },
    /// It names a variable that there is not.
    #[error("there is no variable {name}")]
    UnknownVariable {
        /// As the template has it.
        name: String,
    },
    /// It parses, and has something in it that templates here must not or cannot have.
    #[error("line {line}: {detail}")]
    NotAllowed {
        /// From 1.
        line: usize,
        /// What.
        detail: String,
    },
}

/// A template that does not work out with the values of this message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The result is longer than it may be.
    #[error("the template makes more than {max} bytes")]
    TooLong {
        /// What it may make.
        max: usize,
    },
    /// It takes more steps, or makes more on its way, than it may.
    #[error("the template takes too many steps or too much memory")]
    TooCostly,
    /// It was stopped from outside; `costly` when it had done enough work to be the cause itself.
    #[error("the template takes too long")]
    Stopped {
        /// Whether the template, and not a busy machine, is what took the time.
        costly: bool,
    },
    /// A value that is missing, or of a kind that an operation or a filter does not take.
    #[error("line {line}: {detail}")]
    Failed {
        /// From 1.
        line: usize,
        /// What MiniJinja says; it may hold parts of the template, never of the values.
        detail: String,
    },
}

impl TemplateError {
    pub(crate) fn syntax(error: &Error) -> Self {
        Self::Syntax { line: line(error), detail: told(error) }
    }
}

impl RenderError {
    pub(crate) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::OutOfFuel => Self::TooCostly,
            _ => Self::Failed { line: line(error), detail: told(error) },
        }
    }
}

fn line(error: &Error) -> usize {
    error.line().unwrap_or(1)
}

fn told(error: &Error) -> String {
    let kind: &dyn fmt::Display = &error.kind();
    error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}"))
}
