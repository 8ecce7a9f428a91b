//! Waybill as people use it: the running process, spoken to over HTTP, and receivers that do what
//! receivers do.
//!
//! A file for each theme; each test is named as the behaviour it shows. Most share one process
//! ([`stage`]), where every test is an organization of its own; those that kill, stop or configure
//! the process have their own.
//!
//! What cannot be seen from outside is shown elsewhere: tasks that come twice, poisoned tasks and
//! failing AWS services in the tests of the functions, ciphertexts moved to another record in those
//! of the vault.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod alert_emails;
mod alerts;
mod answers;
mod backfill;
mod batches;
mod blocked_addresses;
mod bodies;
mod bringing_back;
mod checks;
mod clients;
mod connections;
mod consent;
mod counters;
mod crashes;
mod credentials;
mod delivering;
mod delivery_limits;
mod destinations;
mod earlier_versions;
mod every_type;
mod failures;
mod fairness;
mod fallbacks;
mod fan_out;
mod history;
mod hostile_servers;
mod idempotency;
mod input;
mod isolation;
mod jobs;
mod keys;
mod lifecycle;
mod limits;
mod mail;
mod memory;
mod operators;
mod pauses;
mod poison;
mod presets;
mod processes;
mod protocol;
mod quotas;
mod readme;
mod receivers;
mod recovery;
mod redaction;
mod redelivering;
mod retries;
mod rotation;
mod secrets;
mod shutdown;
mod sign_in;
mod signatures;
mod stage;
mod start_up;
mod statistics;
mod stored_templates;
mod telemetry;
mod templates;
mod tokens;
mod updates;
mod uploads;
mod waiting;
