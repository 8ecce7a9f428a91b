//! What organizations configure, and what is counted about it.

mod api_key;
mod audit;
mod destination;
mod flow;
mod health;
mod idempotency;
mod organization;
mod rate;
mod statistics;
