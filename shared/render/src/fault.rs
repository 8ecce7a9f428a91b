//! Why something could not be rendered.

use std::fmt;

use template::RenderError;

/// Why something could not be rendered, and by which member of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The member.
    pub name: &'static str,
    /// In words.
    pub detail: String,
    /// Whether the service, and not the settings, is at fault: the same may succeed later.
    pub is_ours: bool,
}

impl Fault {
    /// A fault of `name`.
    pub fn of(name: &'static str, detail: impl fmt::Display) -> Self {
        Self { name, detail: detail.to_string(), is_ours: false }
    }

    /// The service could not render `name` now.
    pub fn ours(name: &'static str, detail: impl fmt::Display) -> Self {
        Self { name, detail: detail.to_string(), is_ours: true }
    }

    /// A template that failed. One that was stopped before it did much was stopped by a busy machine.
    pub(crate) fn rendering(name: &'static str, error: &RenderError) -> Self {
        let is_ours = matches!(error, RenderError::Stopped { costly: false });
        Self { name, detail: error.to_string(), is_ours }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.detail)
    }
}
