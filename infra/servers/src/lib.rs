//! Servers that are installed on this machine, started for as long as somebody holds them: for tests, and for the demo. They panic, with what the
//! server said, when it cannot be started.

pub mod google;
pub mod mariadb;
pub mod pgbouncer;
pub mod postgres;
pub mod program;
pub mod tls;
