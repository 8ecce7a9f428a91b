//! Why something could not be rendered.

use std::fmt;

/// Why something could not be rendered, and by which member of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The member.
    pub name: &'static str,
    /// In words.
    pub detail: String,
}

impl Fault {
    /// A fault of `name`.
    pub fn of(name: &'static str, detail: impl fmt::Display) -> Self {
        Self { name, detail: detail.to_string() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.detail)
    }
}
