//! The e-mail worker: delivers to mailboxes through a mail server or Amazon SES
//! (`docs/destinations/email.md`).
//!
//! The parts, in the order of an attempt:
//!
//! - [`Email`] is the connector. It opens the [credentials], builds the [message](email_message)
//!   (subject and texts by `render`, the MIME by a library), and sends it by the transport of the
//!   settings.
//! - An SMTP [session] **connects** through the egress guard, starts TLS, **signs in** and
//!   **sends**. An idle session is reused for the next message of the same destination. [`ses`]
//!   sends the same bytes through Amazon SES.
//! - A person's [consent] is **exchanged** for a refresh token when the API passes on its code.
//! - A payload that is not attached is sent as a [link] that expires.
//! - The [verdict] turns an error of the mail server into a
//!   [`ConnectorError`](worker::ConnectorError).
//! - The [check] runs the same steps and sends no message.

mod check;
mod config;
mod confirmation;
mod confirmation_waits;
mod connector;
mod consent;
mod credentials;
mod email_message;
mod keeping;
mod link;
mod mime;
mod reply;
mod ses;
mod session;
mod sessions;
mod sign_in;
mod verdict;

pub use config::Config;
pub use connector::{Email, Parts};
pub use link::Links;

use egress::{Client, Guard, Tls};
use oauth::Tokens;
use runtime::{ConfigError, Platform};
use store::Store;
use vault::Vault;
use worker::Worker;

/// Builds the e-mail worker. Returns an error if the machine has no trusted root certificates.
pub fn build(platform: &Platform, config: Config) -> Result<Worker<Email>, ConfigError> {
    let Platform {
        aws, clock, random, ..
    } = platform.clone();
    let tls = Tls::native().map_err(ConfigError::because)?;
    let guard = Guard::new(config.worker.egress.clone());
    let client = Client::new(guard.clone(), tls.clone());
    let email = Email::new(Parts {
        guard,
        tls,
        tokens: Tokens::new(client, config.worker.schemes, clock.clone()),
        vault: Vault::new(
            &aws,
            Some(config.kms_key_id.clone()),
            clock.clone(),
            random.clone(),
        ),
        store: Store::new(
            &aws,
            config.worker.table_name.clone(),
            Some(config.worker.bucket_name.clone()),
        ),
        links: Links::new(
            &aws,
            config.link_keys_secret_arn,
            config.worker.public_url.clone(),
        ),
        ehlo_name: config.ehlo_name,
        aws,
        clock,
        random,
    });
    Ok(Worker::on(platform, config.worker, email))
}
