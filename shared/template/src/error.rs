//! Errors of templates, in words for their author.

use std::fmt;

use minijinja::{Error, ErrorKind};

/// Why a template cannot be saved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The template is longer than permitted.
    #[error("the template has more than {max} bytes")]
    TooLong {
        /// The permitted number of bytes.
        max: usize,
    },
    /// The template is nested more deeply than permitted.
    #[error("line {line}: the template is too deeply nested (at most {max} levels)")]
    TooDeep {
        /// The line number, from 1.
        line: usize,
        /// The permitted number of levels.
        max: usize,
    },
    /// The template has a syntax error.
    #[error("line {line}: {detail}")]
    Syntax {
        /// The line number, from 1.
        line: usize,
        /// The message of the parser.
        detail: String,
    },
    /// The template uses an unknown variable.
    #[error("there is no variable {name}")]
    UnknownVariable {
        /// The name as it is in the template.
        name: String,
    },
    /// The template uses something that is not supported or not permitted.
    #[error("line {line}: {detail}")]
    NotAllowed {
        /// The line number, from 1.
        line: usize,
        /// A description of the problem.
        detail: String,
    },
}

/// Why a template cannot be rendered with the values of a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The output is longer than permitted.
    #[error("the template's output has more than {max} bytes")]
    TooLong {
        /// The permitted number of bytes.
        max: usize,
    },
    /// The template takes more steps or memory than permitted.
    #[error("the template takes too many steps or too much memory")]
    TooCostly,
    /// The render was stopped from outside.
    #[error("the template takes too long")]
    Stopped {
        /// Whether the template was the cause, and not a busy machine.
        costly: bool,
    },
    /// A value is missing, or its type is not supported by an operation or filter.
    #[error("line {line}: {detail}")]
    Failed {
        /// The line number, from 1.
        line: usize,
        /// The message of MiniJinja, which may contain parts of the template but not of the values.
        detail: String,
    },
}

impl TemplateError {
    pub(crate) fn syntax(error: &Error) -> Self {
        Self::Syntax {
            line: line(error),
            detail: describe(error),
        }
    }
}

impl RenderError {
    pub(crate) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::OutOfFuel => Self::TooCostly,
            _ => Self::Failed {
                line: line(error),
                detail: describe(error),
            },
        }
    }
}

fn line(error: &Error) -> usize {
    error.line().unwrap_or(1)
}

fn describe(error: &Error) -> String {
    let kind: &dyn fmt::Display = &error.kind();
    error
        .detail()
        .map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}"))
}
