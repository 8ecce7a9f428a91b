//! Deliveries and messages as they are shown. The responses of the API, the pages of the console,
//! the status updates and the OpenAPI document are all generated from these types.

pub mod delivery;
pub mod message;
pub mod words;
