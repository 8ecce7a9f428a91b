//! Deliveries and messages as people and programs see them: the answers of the API, the pages of the console and status updates are all
//! made from these types, and so is the OpenAPI document.

pub mod delivery;
pub mod message;
pub mod words;
