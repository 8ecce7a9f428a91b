//! The webhook worker: delivers by signed HTTP requests.
//!
//! The parts, in the order of an attempt:
//!
//! - [`Webhook`] is the connector. It **opens** the destination's [secrets] through the vault: the
//!   header that authenticates, and the keys that sign. A failure before the request is sent is a
//!   [`ConnectorError`](worker::ConnectorError): if Waybill is the cause, the delivery waits; if
//!   the destination is, the attempt fails.
//! - It **composes** the [request]: fixed headers in a fixed order with a new signature for every
//!   attempt, and **sends** it through `egress`.
//! - The status line and headers of the answer decide the [verdict], and for some services the body
//!   does ([preset]). The [record] keeps the beginning of the answer, without credentials.
//! - The [check] runs the same steps one after another before a destination is saved.

mod authentication;
mod check;
mod clients;
mod connector;
mod decode;
mod preset;
mod record;
mod request;
mod secrets;
mod targets;
mod verdict;

pub use connector::Webhook;

use egress::{Client, Guard, Tls};
use runtime::{ConfigError, Platform};
use vault::Vault;
use worker::{Config, Worker};

/// Builds the webhook worker. Returns an error if the machine has no trusted root certificates.
pub fn build(platform: &Platform, config: Config) -> Result<Worker<Webhook>, ConfigError> {
    let tls = Tls::native().map_err(ConfigError::because)?;
    let client = Client::new(Guard::new(config.egress.clone()), tls);
    let vault = Vault::new(
        &platform.aws,
        None,
        platform.clock.clone(),
        platform.random.clone(),
    );
    let connector = Webhook::new(
        client,
        config.schemes,
        vault,
        platform.clock.clone(),
        platform.random.clone(),
    );
    Ok(Worker::on(platform, config, connector))
}
