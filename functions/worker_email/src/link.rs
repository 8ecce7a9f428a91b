//! Links to payloads that are not attached.

use access::PayloadLinks;
use aws_config::SdkConfig;
use domain::Timestamp;
use domain::delivery::Delivery;
use std::time::Duration;
use vault::{Confidential, KeySource, KeyUse};
use worker::{ConnectorError, Unavailable, dependency};

/// How long a link in a mail leads to its payload.
const LIFE: Duration = Duration::from_secs(7 * 86_400);

/// Makes links; the first one loads the keys that sign them.
#[derive(Debug)]
pub struct Links {
    keys: KeySource,
    public_url: String,
}

impl Links {
    /// Links that lead to `public_url`.
    #[must_use]
    pub fn new(aws: &SdkConfig, link_keys_secret_arn: String, public_url: String) -> Self {
        Self { keys: KeySource::new(aws, link_keys_secret_arn, KeyUse::Links), public_url }
    }

    /// A link to a delivery's payload.
    pub(crate) async fn to(&self, delivery: &Delivery, now: Timestamp) -> Result<String, ConnectorError> {
        let keys = dependency(self.keys.ring(now)).await.map_err(Unavailable::because)?;
        let signer = PayloadLinks::new(keys);
        let token = signer.seal(delivery.organization, delivery.id.message, now.plus(LIFE));
        // Whoever holds it may download: a mail server's reply must not show it.
        Confidential::add(&token.as_str().into());
        Ok(format!("{}/d/{token}", self.public_url))
    }
}
