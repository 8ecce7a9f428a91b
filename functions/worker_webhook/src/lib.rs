//! The webhook worker: delivers by HTTP request, signed (destinations.md, webhook).
//!
//! The cast and their verbs, in the order of an attempt:
//!
//! - [`Webhook`] is the connector. It **opens** the destination's [secrets] through the vault: the header that authenticates, and the keys
//!   that sign. Whatever keeps it from sending is a [`ConnectorError`](worker::ConnectorError): ours, and the delivery waits, or the destination's, and that is its outcome.
//! - It **composes** the [request]: fixed headers in a fixed order, signed afresh on every attempt, and **sends** it through `egress`.
//! - The answer's status line and headers decide the [verdict], and for some services its body ([preset]); its beginning goes into the
//!   [record], with no credential in it.
//! - The [check] walks the same way one step after the other, before a destination is saved.

mod authentication;
mod check;
mod clients;
mod connector;
mod decode;
mod preset;
mod record;
mod request;
mod secrets;
mod verdict;

pub use connector::Webhook;

use egress::{Client, Guard, Tls};
use runtime::{ConfigError, Platform};
use vault::Vault;
use worker::{Config, Worker};

/// The webhook worker as a function. Refuses when the machine has no root certificates to trust.
pub fn build(platform: &Platform, config: Config) -> Result<Worker<Webhook>, ConfigError> {
    let tls = Tls::native().map_err(ConfigError::because)?;
    let client = Client::new(Guard::new(config.egress.clone()), tls);
    let vault = Vault::new(&platform.aws, None, platform.clock.clone(), platform.random.clone());
    let connector = Webhook::new(client, config.schemes, vault, platform.clock.clone(), platform.random.clone());
    Ok(Worker::on(platform, config, connector))
}
