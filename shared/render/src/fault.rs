//! Why something could not be rendered.

use std::fmt;

use template::RenderError;

/// Why something could not be rendered, and the setting that it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The name of the setting.
    pub name: &'static str,
    /// A description of the problem.
    pub detail: String,
    /// Whether the service is at fault and not the settings, so that the same may succeed later.
    pub is_ours: bool,
}

impl Fault {
    /// Creates a fault of the setting `name`.
    pub fn of(name: &'static str, detail: impl fmt::Display) -> Self {
        Self {
            name,
            detail: detail.to_string(),
            is_ours: false,
        }
    }

    /// Creates a fault of the service, which could not render `name` now.
    pub fn ours(name: &'static str, detail: impl fmt::Display) -> Self {
        Self {
            name,
            detail: detail.to_string(),
            is_ours: true,
        }
    }

    /// Creates the fault of a template that failed. If it was stopped before it did much work, the
    /// machine was busy.
    pub(crate) fn rendering(name: &'static str, error: &RenderError) -> Self {
        let is_ours = matches!(error, RenderError::Stopped { costly: false });
        Self {
            name,
            detail: error.to_string(),
            is_ours,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.detail)
    }
}
