//! The webhook worker: delivers by HTTP request, signed (destinations.md, webhook).
//!
//! The cast and their verbs, in the order of an attempt:
//!
//! - [`Webhook`] is the connector. It **opens** the destination's [secrets] through the vault: the header that authenticates, and the keys
//!   that sign. Whatever keeps it from sending is a [hindrance]: ours, and the delivery waits, or the destination's, and that is its outcome.
//! - It **composes** the [request]: fixed headers in a fixed order, signed afresh on every attempt, and **sends** it through `egress`.
//! - The answer's status line and headers decide the [verdict]; its beginning goes into the [record], with no credential in it.
//! - The [check] walks the same way one step after the other, before a destination is saved.

mod check;
mod config;
mod connector;
mod hindrance;
mod record;
mod request;
mod secrets;
mod verdict;

pub use config::Config;
pub use connector::Webhook;

use egress::{Client, Guard, Tls};
use queue::Inbox;
use runtime::{ConfigError, Platform};
use store::Store;
use vault::Vault;
use worker::{Parts, Worker};

/// The webhook worker as a function. Refuses when the machine has no root certificates to trust.
pub fn build(platform: &Platform, config: Config) -> Result<Worker<Webhook>, ConfigError> {
    let Platform { aws, clock, random, shutdown } = platform.clone();
    let tls = Tls::native().map_err(ConfigError::because)?;
    let client = Client::new(Guard::new(config.egress), tls);
    let vault = Vault::new(&aws, None, clock.clone(), random.clone());
    Ok(Worker::new(Parts {
        connector: Webhook::new(client, config.schemes, vault, clock.clone(), random.clone()),
        store: Store::new(&aws, config.table_name, Some(config.bucket_name)),
        inbox: Inbox::new(&aws, config.webhook_queue_url, config.webhook_dlq_url),
        clock,
        random,
        shutdown,
    }))
}
