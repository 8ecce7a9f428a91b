//! Starts servers that are installed on this machine, for tests and the demo. A server runs until
//! its value is dropped. If it cannot be started, the function panics with the server's output.

pub mod google;
pub mod mariadb;
pub mod pgbouncer;
pub mod postgres;
pub mod program;
pub mod tls;
