//! The views that responses are made of, one file per noun. The OpenAPI document is generated from
//! these types.

pub mod alert;
pub mod api_key;
pub mod audit;
pub mod authorization;
pub mod destination;
pub mod job;
pub mod message;
pub mod meta;
pub mod organization;
pub mod portal_link;
pub mod problem;
pub mod statistics;

pub use dispatch::view::delivery;
