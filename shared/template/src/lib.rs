//! Text templates that tenants write: file names, object keys, subjects, bodies. MiniJinja with limits; no I/O.
//!
//! - A [`Template`] is **compiled** once, when a destination is saved: syntax, unknown variables and filters, and whatever
//!   its [shape] must not have, are a [`TemplateError`].
//! - It **renders** [`Variables`] as often as needed, and costs a bounded amount of time and memory whoever wrote it ([`Limits`]): MiniJinja's
//!   fuel pays for instructions and for the bytes they make, and the output has a size of its own.
//! - The [filters](filters) `date(format)`, `slug`, `json` and `ext` stand beside MiniJinja's own. What a template cannot do is a
//!   [`RenderError`]; the value of a name that has none (`reference`, `filename`) is empty text, and a name that does not exist is an error.

mod error;
mod filters;
mod limits;
mod output;
mod shape;
mod template;
mod variables;

pub use error::{RenderError, TemplateError};
pub use limits::Limits;
pub use template::Template;
pub use variables::Variables;
