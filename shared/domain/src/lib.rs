//! The domain types of Waybill and the rules that apply to them. This crate performs no I/O.
//!
//! An **organization** owns everything. A **destination** is one configured receiver. A **message**
//! is one accepted submission and is immutable. A **delivery** is the job of getting one message to
//! one destination. An **attempt** is one try to deliver. [`settle::settle`] decides the next state
//! of a delivery from the outcome of an attempt; [`health`] decides the effect on the destination.
//! [`input`] reads what clients send and reports every mistake at once. Time and randomness are
//! passed in as [`Clock`] and [`Random`].

pub mod alert;
pub mod alert_email;
pub mod api_key;
pub mod attempt;
pub mod audit;
pub mod authorization;
pub mod bounds;
pub mod causes;
pub mod check;
pub mod clock;
pub mod credentials;
pub mod delivery;
pub mod destination;
pub mod event_type;
pub mod failure_rate;
pub mod health;
pub mod id;
pub mod input;
pub mod key_ring;
pub mod limits;
pub mod media_type;
pub mod message;
pub mod organization;
pub mod percent;
pub mod portal_link;
pub mod quota;
pub mod random;
pub mod reason;
pub mod receipt;
pub mod recovery;
pub mod retry;
pub mod role;
pub mod role_arn;
pub mod secret_arn;
pub mod settings;
pub mod settle;
pub mod signing_secret;
pub mod statistics;
pub mod system_destination;
pub mod timestamp;
pub mod trace;
pub mod waiting;

pub use causes::chain;
pub use clock::Clock;
pub use random::Random;
pub use reason::Reason;
pub use timestamp::Timestamp;
