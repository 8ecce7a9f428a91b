//! Tests the SFTP connector against OpenSSH, ProFTPD and a scripted server.

#![allow(
    missing_docs,
    reason = "tests are named so that they read as what they hold"
)]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod check;
mod contract;
mod credentials;
mod deliver;
mod host_keys;
mod odd;
mod proftpd;
mod publish;
mod repeat;
mod trouble;
mod world;
