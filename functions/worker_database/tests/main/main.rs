//! Tests the database connector against PostgreSQL and MariaDB, with certificates of an authority
//! that only the tests trust.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]
#![allow(
    missing_docs,
    reason = "tests are named so that they read as what they hold"
)]

mod agree;
mod bench;
mod check;
mod contract;
mod credentials;
mod cut;
mod document;
mod exact;
mod exact_mysql;
mod exact_postgres;
mod hostile;
mod once;
mod pool;
mod property;
mod reach;
mod rows;

/// Runs each of these tests against each engine.
macro_rules! for_each_engine {
    ($($name:ident),* $(,)?) => {
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::bench::Bench::postgres()).await;
            })*
        }
        mod mysql {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::bench::Bench::mysql()).await;
            })*
        }
    };
}
pub(crate) use for_each_engine;
