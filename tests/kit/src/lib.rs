//! Helpers for tests: real servers that keep state, with an interface in the words of the domain.

pub mod azurite;
pub mod browser;
pub mod collector;
pub mod contracts;
pub mod dns;
pub mod dynamodb_local;
pub mod entra;
pub mod exim;
pub mod fetch;
pub mod file_s3;
pub mod gcs;
pub mod iam_s3;
pub mod identity_provider;
pub mod line;
pub mod mail_folder;
pub mod moto;
pub mod odd_s3;
pub mod odd_sftp;
pub mod proftpd;
pub mod raw;
pub mod scripted_mail;
pub mod sdk;
pub mod sink;
pub mod smtp;
pub mod sshd;
pub mod stack;
pub mod verifier;

pub use servers::{mariadb, pgbouncer, postgres, tls};
