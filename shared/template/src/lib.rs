//! Text templates that tenants write, for file names, object keys, subjects and bodies: MiniJinja
//! with limits and without I/O.
//!
//! - A [`Template`] is **compiled** when a destination is saved. Its [depth] is checked before
//!   anything recursive runs. Syntax errors, unknown variables and filters, and anything that its
//!   [shape] must not have, are a [`TemplateError`].
//! - It **renders** [`Variables`] as often as needed, in a limited amount of time and memory
//!   ([`Limits`]). MiniJinja's fuel charges for instructions and for the bytes that they produce.
//!   The [meter] charges for what instructions read: the [metered] syntax tree passes every
//!   operation that can be expensive through it. A [`Stop`] ends a render from outside.
//! - A [`Payload`] is JSON that keeps its text: a [`Document`], whose [values] are written
//!   unchanged.
//! - The [filters](filters) `date(format)`, `slug`, `json` and `ext` are added to MiniJinja's own.
//!   A failure while rendering is a [`RenderError`]. A variable without a value (`reference`,
//!   `filename`) is empty text, and an unknown variable is an error.

mod depth;
mod document;
mod error;
mod filters;
mod json_text;
mod json_value;
mod limits;
mod meter;
mod metered;
mod operators;
mod payload;
mod shape;
mod template;
mod values;
mod variables;

pub use depth::DEPTH_MAX;
pub use document::{DOCUMENT_DEPTH_MAX, Document, DocumentError};
pub use error::{RenderError, TemplateError};
pub use json_text::{JsonLayout, laid_out};
pub use limits::Limits;
pub use meter::Stop;
pub use payload::Payload;
pub use template::Template;
pub use variables::Variables;
