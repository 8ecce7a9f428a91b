//! What a destination receives, worked out of a message: bodies, subjects, keys, names. Pure, so that a preview shows what a delivery sends.
//!
//! - [`Wording`] is what templates can say about a delivery.
//! - A [`Notice`] says an event of Waybill's own in words that a person can act on; any other event in a sentence.
//! - [`webhook`] makes a request's body, from a template or for a chat or pager service; [`mail`] a subject and the texts; [`line`](mod@line) a key or a
//!   name.
//! - What does not work out is a [`Fault`]: the member of the settings, and why.

mod defang;
mod fault;
pub mod line;
pub mod mail;
mod notice;
mod off_thread;
mod preset;
pub mod webhook;
mod wording;

pub use fault::Fault;
pub use notice::Notice;
pub use off_thread::off_thread;
pub use template::Stop;
pub use wording::{CHECK_EVENT_TYPE, PAYLOAD_READ_BYTES_MAX, Wording, is_json, payload_of};
