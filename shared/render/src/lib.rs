//! Renders what a destination receives from a message: bodies, subjects, keys, names. It does no
//! I/O, so that a preview shows what a delivery sends.
//!
//! - [`TemplateValues`] holds the values that templates can use about a delivery.
//! - A [`Notice`] describes an event of Waybill itself in words that a person can act on, and any
//!   other event by its name.
//! - [`webhook`] renders the body of a request, from a template or for a chat or on-call service;
//!   [`mail`] renders a subject and the texts; [`line`](mod@line) a key or a name.
//! - A [`Fault`] says which setting could not be rendered, and why.

mod defang;
mod fault;
pub mod line;
pub mod mail;
mod notice;
mod off_thread;
mod preset;
mod template_values;
pub mod webhook;

pub use fault::Fault;
pub use notice::Notice;
pub use off_thread::off_thread;
pub use template::Stop;
pub use template_values::{
    CHECK_EVENT_TYPE, PAYLOAD_READ_BYTES_MAX, TemplateValues, is_json, payload_of,
};
