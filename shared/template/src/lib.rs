//! Text templates that tenants write: file names, object keys, subjects, bodies. MiniJinja with limits; no I/O.
//!
//! - A [`Template`] is **compiled** when a destination is saved: its [depth] is counted before anything recursive runs, then syntax,
//!   unknown variables and filters, and whatever its [shape] must not have, are a [`TemplateError`].
//! - It **renders** [`Variables`] as often as needed, and costs a bounded amount of time and memory whoever wrote it ([`Limits`]).
//!   MiniJinja's fuel pays for instructions and for the bytes they make. What instructions read is paid for by the
//!   [meter], through which the [metered] syntax tree leads every operation that can be expensive. A [`Stop`] ends a render from outside.
//! - A [`Payload`] is JSON that keeps its text: a [`Document`], whose [values] are written as they were sent.
//! - The [filters](filters) `date(format)`, `slug`, `json` and `ext` are added to MiniJinja's own. What a template cannot do is a
//!   [`RenderError`]; the value of a name that has none (`reference`, `filename`) is empty text, and a name that does not exist is an error.

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
